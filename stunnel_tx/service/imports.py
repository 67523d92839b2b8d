"""Loading everything ahead of a chroot: in a jail there is nothing left to import from.

A start loads what its configuration uses, and no more. Inside a jail, or under an account that
may not read the installation, a reload can only use what has been loaded before.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from typing import Final

from stunnel_tx.errors import OperatingError
from stunnel_tx.service.endpoints import plugin_kinds
from stunnel_tx.service.protocols import find_protocol

__all__ = ["LATE", "PACKAGES", "import_everything"]

#: The parts of this program that are at work while it serves.
PACKAGES: Final = (
    "stunnel_tx.configuration",
    "stunnel_tx.negotiation",
    "stunnel_tx.relay",
    "stunnel_tx.service",
    "stunnel_tx.telemetry",
    "stunnel_tx.tls",
    "stunnel_tx.tunnel",
)

#: What those load where they need it, or what the libraries below them do.
LATE: Final = (
    "cryptography.hazmat.primitives.serialization.pkcs12",
    "encodings.idna",
    "getpass",
    "grp",
    "pwd",
    "service_identity.hazmat",
    "twisted.internet.endpoints",
    "twisted.internet.ssl",
    "twisted.internet.stdio",
    "twisted.plugin",
    "twisted.protocols.tls",
    "zope.interface.verify",
)


def import_everything() -> None:
    """Load every module that a later reload may use, and find every plugin."""
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    plugin_kinds()
    with contextlib.suppress(OperatingError):
        # A plugin that cannot be used is told about when a configuration asks for it.
        find_protocol("")
