"""The options that are valid above the first section only."""

from __future__ import annotations

from functools import partial

from stunnel_tx.configuration.option import (
    NO_ENGINES,
    Group,
    Ignored,
    Option,
    Refused,
    Repeat,
    Scope,
)
from stunnel_tx.configuration.values import (
    choice,
    clearable_text,
    environment_assignment,
    integer,
    one_text,
    text,
    yes_no,
)

__all__ = ["GLOBAL_OPTIONS"]

_global = partial(Option, scope=Scope.GLOBAL, group=Group.GLOBAL)

_NO_SEEDING = Ignored("today's OpenSSL takes its random numbers from the operating system")
_NO_WINDOW = Ignored("it belongs to the window of stunnel on Windows")
_NO_PROVIDERS = Refused(
    "providers cannot be loaded through pyOpenSSL",
    "remove the line and use a key in a file",
)

GLOBAL_OPTIONS = (
    _global("chroot", "DIR", "directory to lock the program into once it listens", clearable_text),
    _global(
        *("compression", "deflate|zlib|zstd|brotli", "compression below TLS"),
        choice(
            *("deflate", "zlib", "zstd", "brotli"),
            reason="Specified compression type is not available",
        ),
        support=Refused(
            "Compression type disabled in this OpenSSL build",
            "remove the line: compressing under TLS gives away secrets (CRIME)",
        ),
    ),
    _global("EGD", "PATH", "socket of an entropy daemon", clearable_text, support=_NO_SEEDING),
    _global(
        *("engine", "auto|ID", "OpenSSL engine to load", one_text),
        default=(),
        repeat=Repeat.LIST,
        support=NO_ENGINES,
    ),
    _global(
        *("engineCtrl", "COMMAND[:ARGUMENT]", "command for the engine before it", one_text),
        default=(),
        repeat=Repeat.LIST,
        support=NO_ENGINES,
    ),
    _global(
        *("engineDefault", "LIST", "what the engine before it is used for", one_text),
        default=(),
        repeat=Repeat.LIST,
        support=NO_ENGINES,
    ),
    _global(
        *("fips", "yes|no", "restrict OpenSSL to its FIPS 140 validated part", yes_no),
        default=False,
        support=Refused(
            "FIPS mode cannot be switched on through pyOpenSSL",
            "remove the line, or write fips = no",
        ),
    ),
    _global(
        *("foreground", "yes|quiet|no", "stay in the foreground; yes also logs to stderr"),
        choice("yes", "quiet", "no"),
        default="no",
    ),
    _global("iconActive", "FILE", "icon while connections are open", text, support=_NO_WINDOW),
    _global("iconError", "FILE", "icon after a configuration error", text, support=_NO_WINDOW),
    _global("iconIdle", "FILE", "icon while nothing is connected", text, support=_NO_WINDOW),
    _global(
        *("log", "append|overwrite", "what opening the log file does to its old content"),
        choice("append", "overwrite"),
        default="append",
    ),
    _global("output", "FILE", "log file", text),
    _global("pid", "FILE", "file to write the process id to; empty for none", clearable_text),
    _global(
        *("provider", "ID", "OpenSSL provider to load", one_text),
        default=(),
        repeat=Repeat.LIST,
        support=_NO_PROVIDERS,
    ),
    _global(
        *("providerParameter", "ID:NAME=VALUE", "parameter of a loaded provider", one_text),
        default=(),
        repeat=Repeat.LIST,
        support=_NO_PROVIDERS,
    ),
    _global(
        *("RNDbytes", "BYTES", "how much to read of a seed file"),
        integer("Illegal number of bytes to read from random seed files"),
        default=1024,
        support=_NO_SEEDING,
        version_lines=("1024",),
    ),
    _global(
        *("RNDfile", "FILE", "file with random seed data", clearable_text),
        default="/dev/urandom",
        support=_NO_SEEDING,
        version_lines=("/dev/urandom",),
    ),
    _global(
        *("RNDoverwrite", "yes|no", "renew the seed file with fresh random data", yes_no),
        default=True,
        support=_NO_SEEDING,
        version_lines=("yes",),
    ),
    _global(
        *("setEnv", "NAME=VALUE", "set an environment variable; without VALUE, remove it"),
        environment_assignment,
        default=(),
        repeat=Repeat.LIST,
    ),
    _global("syslog", "yes|no", "log to the system's log", yes_no, default=True),
    _global(
        *("taskbar", "yes|no", "show an icon in the task bar", yes_no),
        default=True,
        support=_NO_WINDOW,
    ),
)
