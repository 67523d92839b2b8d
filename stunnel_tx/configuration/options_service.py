"""The service options that concern endpoints, processes, the network and the log."""

from __future__ import annotations

from stunnel_tx.configuration.addresses import parse_address, parse_local
from stunnel_tx.configuration.option import SUPPORTED, Context, Ignored, NotYet, Option, Repeat
from stunnel_tx.configuration.socket_options import DEFAULT_SOCKET_OPTIONS, parse_socket_option
from stunnel_tx.configuration.values import (
    DebugLevel,
    choice,
    debug_level,
    integer,
    level_only,
    retry_delay,
    seconds,
    text,
    transparency,
    words,
    yes_no,
)

__all__ = ["SERVICE_OPTIONS", "account", "active_address"]

_PROGRAMS = NotYet("programs")


def _passive_address(given: str, context: Context) -> tuple[object, ...]:
    return (parse_address(given, context.endpoint_kinds, passive=True),)


def active_address(given: str, context: Context) -> tuple[object, ...]:
    """Read one address to connect to, as a list of one."""
    return (parse_address(given, context.endpoint_kinds),)


def _debug(given: str, context: Context) -> DebugLevel:
    return level_only(given) if context.in_section else debug_level(given)


def account(given: str) -> str | None:
    """Read a user or group, a name or a number; 0 means that none is set (None)."""
    return None if text(given) == "0" else given


def _timeout(name: str, default: int, what: str, help_text: str, *, later: bool = False) -> Option:
    return Option(
        *(name, "SECONDS", help_text, seconds(what)),
        default=default,
        support=NotYet("OCSP", harmless_alone=True) if later else SUPPORTED,
        version_lines=(f"{default} seconds",),
    )


SERVICE_OPTIONS = (
    Option(
        *("accept", "[HOST:]PORT|/PATH|ENDPOINT", "address to listen on", _passive_address),
        default=(),
        repeat=Repeat.LIST,
        contextual=True,
    ),
    Option(*("client", "yes|no", "client mode: TLS on the connecting side", yes_no), default=False),
    Option(
        *("connect", "[HOST:]PORT|/PATH|ENDPOINT", "address to connect to", active_address),
        default=(),
        repeat=Repeat.LIST,
        contextual=True,
    ),
    Option(
        *("debug", "[FACILITY.]LEVEL", "how much to log; a facility in the global part only"),
        _debug,
        default=DebugLevel("daemon", 5),
        contextual=True,
        version_lines=("daemon.notice",),
    ),
    Option(
        *("delay", "yes|no", "look up the names of connect for each connection", yes_no),
        default=False,
    ),
    Option("exec", "PATH", "program to run for each connection", text, support=_PROGRAMS),
    Option(
        *("execArgs", "WORDS", "its arguments, the name of the program first", words),
        default=(),
        support=_PROGRAMS,
    ),
    Option(
        *("failover", "rr|prio", "which of several connect addresses to try first"),
        choice("rr", "prio"),
        default="prio",
    ),
    Option(
        *("ident", "USER", "let in only what the peer's ident server calls USER", text),
        support=NotYet("access control"),
    ),
    Option("include", "DIR", "read every file of a directory at this point", text),
    Option(
        *("libwrap", "yes|no", "obey hosts.allow and hosts.deny", yes_no),
        default=False,
        support=NotYet("access control"),
    ),
    Option("local", "HOST", "source address of outgoing connections", parse_local),
    Option(
        *("logId", "sequential|unique|thread|process", "what marks the lines of a connection"),
        choice(
            *("sequential", "unique", "thread", "process"),
            reason="Invalid connection identifier type",
        ),
        default="sequential",
        version_lines=("sequential",),
    ),
    Option(
        *("pty", "yes|no", "give the program of exec a terminal", yes_no),
        default=False,
        support=_PROGRAMS,
    ),
    Option(
        *("redirect", "[HOST:]PORT|/PATH|ENDPOINT", "address for peers that fail verification"),
        active_address,
        default=(),
        repeat=Repeat.LIST,
        roles="S",
        contextual=True,
    ),
    Option(
        *("requireCloseNotify", "yes|no"),
        "treat a TLS peer's end without close_notify as an attack: reset the other side",
        yes_no,
        default=False,
        beyond=True,
    ),
    Option("reset", "yes|no", "tell of errors by a TCP reset", yes_no, default=True),
    Option(
        *("retry", "yes|no|MILLISECONDS", "restart an exec+connect service when it ends"),
        retry_delay,
        support=NotYet("programs", harmless_alone=True),
    ),
    Option(
        *("service", "NAME", "name of the service; in the global part, of the program in syslog"),
        text,
        default="stunnel",
    ),
    Option(
        *("setgid", "GROUP", "group to run as; in a section, owner of its UNIX socket", account)
    ),
    Option(*("setuid", "USER", "user to run as; in a section, owner of its UNIX socket", account)),
    Option(
        *("socket", "a|l|r:NAME=VALUE", "option of the listening, local or remote socket"),
        parse_socket_option,
        default=DEFAULT_SOCKET_OPTIONS,
        repeat=Repeat.PER_KEY,
    ),
    Option(
        *("stack", "BYTES", "size of a thread's stack"),
        integer("Illegal thread stack size"),
        default=131072,
        support=Ignored("there is no thread for each connection"),
        version_lines=("131072 bytes",),
    ),
    _timeout("TIMEOUTbusy", 300, "busy timeout", "longest wait in a handshake or negotiation"),
    _timeout("TIMEOUTclose", 60, "close timeout", "longest wait for the peer's close_notify"),
    _timeout("TIMEOUTconnect", 10, "connect timeout", "longest wait for one address to answer"),
    _timeout("TIMEOUTidle", 43200, "idle timeout", "longest silence of an open connection"),
    _timeout(
        *("TIMEOUTocsp", 5, "OCSP connect timeout"),
        "longest wait for the connection to an OCSP responder",
        later=True,
    ),
    Option(
        *("transparent", "none|source|destination|both"),
        "keep the client's address, or the one it meant to reach",
        transparency,
        default="none",
        support=NotYet("transparent proxying"),
    ),
    Option(
        *("transport", "tcp|udp", "udp: DTLS, with datagrams on both sides"),
        choice("tcp", "udp"),
        default="tcp",
        support=NotYet("DTLS"),
    ),
)
