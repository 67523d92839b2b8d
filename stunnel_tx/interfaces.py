"""Plug points: what third parties may provide (zope.interface)."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class ILogSink(Interface):
    """A place where finished log lines go."""

    def write(level: int, ident: str, text: str) -> None:
        """Put out one line.

        *level* is a syslog severity (0 to 7), *ident* the connection's id, *text* one line
        without control characters. Must not block and must not raise.
        """

    def reopen() -> bool | None:
        """Open the underlying file again, where there is one.

        False when that has failed: the sink goes on with what it has, and has logged why.
        """

    def close() -> None:
        """Flush and let go of the underlying resource."""


class INegotiation(Interface):
    """A protocol that agrees on TLS in its own words: a value of the option ``protocol``.

    Third parties provide it together with ``twisted.plugin.IPlugin`` from a module in the
    package ``stunnel_tx.plugins``. The stages are
    :class:`~stunnel_tx.negotiation.stages.Stages`: dialogues for the moments in which the
    protocol may talk, each an ``async`` function of one
    :class:`~stunnel_tx.negotiation.peer.Conversation`. A dialogue must not use sockets, threads
    or the reactor; sizes and times are bounded by whoever runs it. It says that a peer is at
    fault by raising an error of :mod:`stunnel_tx.errors`, whose text becomes a line in the log
    and so must not hold a secret.
    """

    name = Attribute("The word of ``protocol``: lower-case letters, digits and hyphens.")
    client = Attribute("``Stages`` of a client-mode service, or None where there are none.")
    server = Attribute("``Stages`` of a server-mode service, or None where there are none.")
    specification = Attribute("The documents that describe the protocol, as text.")
    alpn = Attribute("Its ALPN names (RFC 7301), a tuple of bytes, often empty.")
