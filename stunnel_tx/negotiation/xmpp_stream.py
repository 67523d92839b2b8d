"""STARTTLS of XMPP, between clients and servers and among servers (RFC 6120 §5).

::

    client mode                              server mode
    L -> stream header, kept                 L -> stream header
    R <- stream header of our own            L <- stream header, features: starttls required
    R -> header, features: starttls          L -> starttls
    R <- starttls                            L <- proceed
    R -> proceed, TLS on R                   TLS on L, which opens a new stream
    R <- the kept header, then relay

In server mode a client that starts TLS at once (XEP-0368) is served on the same port.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from stunnel_tx.errors import DeadlineExceeded, LimitExceeded, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.limits import TLS_HANDSHAKE
from stunnel_tx.negotiation.refusing import refusing, tell
from stunnel_tx.negotiation.stages import Stages
from stunnel_tx.negotiation.upgrades import go_ahead, taken_leave
from stunnel_tx.negotiation.xml_stream import Tag, XMLStream

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

STREAMS: Final = "http://etherx.jabber.org/streams"
TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"

START_TLS: Final = f"<starttls xmlns='{TLS}'/>".encode()
PROCEED: Final = f"<proceed xmlns='{TLS}'/>".encode()
FEATURES: Final = (
    f"<stream:features><starttls xmlns='{TLS}'><required/></starttls></stream:features>".encode()
)

#: The condition (RFC 6120 §4.9.3.15) from the moment on when the local side has done its part.
REMOTE_FAILED: Final = "remote-connection-failed"

#: A domain or full address as it may stand in an attribute: no markup, no blanks, no entities.
_ADDRESS: Final = re.compile(r"[^\s\x00-\x20\x7f'\"<>&]{1,1023}")
_VERSION: Final = re.compile(r"0*[1-9][0-9]{0,3}\.[0-9]{1,4}")


@define
class Opening:
    """What is known of the local side's stream, and how a refusal has to be put.

    ``raw`` is the header as it came, ``answered`` whether we have sent one of our own, and
    ``condition`` the defined condition (RFC 6120 §4.9.3) that a fault now means.
    """

    raw: bytes = b""
    to: str = ""
    origin: str = ""
    answered: bool = False
    condition: str = "not-well-formed"


@frozen
class Dialogues:
    """The dialogues for one content namespace: ``jabber:client`` or ``jabber:server``."""

    namespace: str

    def client(self) -> Stages:
        """Client mode."""
        return Stages(
            early=refusing(self.hear_header, self.refuse),
            middle=refusing(self.start_tls, self.refuse),
            late=refusing(pass_header, self.refuse),
            refuse=self.refuse,
        )

    def server(self) -> Stages:
        """Server mode."""
        return Stages(early=refusing(self.await_start_tls, self.refuse), refuse=self.refuse)

    async def refuse(self, conversation: Conversation, error: Exception) -> None:
        """A stream error, in a stream that is opened for it if need be (RFC 6120 §4.9.1.2)."""
        opening = conversation.state
        if not isinstance(opening, Opening):
            opening = Opening(condition=REMOTE_FAILED) if conversation.inside_tls else Opening()
        condition = opening.condition
        if isinstance(error, LimitExceeded):
            condition = "policy-violation"
        elif isinstance(error, DeadlineExceeded) and condition != REMOTE_FAILED:
            condition = "connection-timeout"
        header = b"" if opening.answered else self.header(origin=opening.to, name=stream_name())
        words = f"<stream:error><{condition} xmlns='{ERRORS}'/></stream:error></stream:stream>"
        await tell(conversation, header + words.encode())

    def header(self, *, to: str = "", origin: str = "", name: str = "") -> bytes:
        """A stream header (RFC 6120 §4.7)."""
        attributes = "".join(
            f" {key}='{value}'"
            for key, value in (("to", to), ("from", origin), ("id", name))
            if value
        )
        return (
            f"<?xml version='1.0'?><stream:stream xmlns='{self.namespace}' "
            f"xmlns:stream='{STREAMS}'{attributes} version='1.0'>"
        ).encode()

    async def hear_header(self, conversation: Conversation) -> None:
        """Client mode, first: the local header tells which domain to ask for.

        It is sent as it is once TLS is up.
        """
        opening = Opening()
        conversation.state = opening
        await self._read_header(conversation, opening)
        opening.to = conversation.options.host or opening.to
        if not _ADDRESS.fullmatch(opening.to):
            opening.to = ""
            opening.condition = "improper-addressing"
            raise ProtocolViolation("XMPP stream header that names no server")
        opening.condition = REMOTE_FAILED

    async def start_tls(self, conversation: Conversation) -> None:
        """Client mode, before TLS: ask for it if it is offered, and take nothing else."""
        remote = conversation.far()
        opening: Opening = conversation.state
        # Among servers "from" is required; a client need not say who it is before TLS.
        origin = opening.origin if self.namespace == "jabber:server" else ""
        await remote.send(self.header(to=opening.to, origin=origin))
        stream = XMLStream(remote)
        check_header(await stream.header())
        features = await stream.child()
        if features is None or features.name == (STREAMS, "error"):
            raise PeerRefused("XMPP server refuses the stream")
        if features.name != (STREAMS, "features"):
            raise ProtocolViolation("XMPP server sent no stream features")
        if (TLS, "starttls") not in features.names:
            raise PeerRefused("Server does not support TLS")
        await remote.send(START_TLS)
        answer = await stream.child()
        if answer is None or answer.name in {(TLS, "failure"), (STREAMS, "error")}:
            raise PeerRefused("XMPP server refuses TLS")
        if answer.name != (TLS, "proceed"):
            raise ProtocolViolation("XMPP server did not answer starttls")

    async def await_start_tls(self, conversation: Conversation) -> None:
        """Server mode: a stream of our own that offers TLS and nothing else."""
        local = conversation.local
        if (await local.peek(1))[0] == TLS_HANDSHAKE:
            conversation.refused = True  # it waits for TLS
            return
        opening = Opening()
        conversation.state = opening
        stream = await self._read_header(conversation, opening)
        opening.answered = True
        header = self.header(origin=opening.to, to=opening.origin, name=stream_name())
        await local.send(header + FEATURES)
        request = await stream.child()
        if request is None:
            await taken_leave(conversation, b"</stream:stream>")
            return
        if request.name != (TLS, "starttls"):
            opening.condition = "policy-violation"
            raise ProtocolViolation("XMPP client did not ask for TLS")
        await go_ahead(conversation, PROCEED)
        # Inside TLS the client opens another stream (RFC 6120 §5.4.3.3).
        conversation.state = Opening(to=opening.to, condition=REMOTE_FAILED)

    async def _read_header(self, conversation: Conversation, opening: Opening) -> XMLStream:
        """The local side's header, checked."""
        stream = XMLStream(conversation.local)
        tag = await stream.header()
        opening.raw = stream.raw
        opening.to = _address(tag, "to")
        opening.origin = _address(tag, "from")
        if tag.name != (STREAMS, "stream") or tag.scope.get("") != self.namespace:
            opening.condition = "invalid-namespace"
        elif not _VERSION.fullmatch(tag.attributes.get("version", "")):
            opening.condition = "unsupported-version"
        else:
            return stream
        raise ProtocolViolation("XMPP stream header that is not for this service")


async def pass_header(conversation: Conversation) -> None:
    """Client mode, inside TLS: the local header opens the new stream."""
    await conversation.far().send(conversation.state.raw)


def check_header(tag: Tag) -> None:
    """Versions before 1.0 have neither features nor TLS (RFC 6120 §4.7.5)."""
    if tag.name != (STREAMS, "stream"):
        raise ProtocolViolation("XMPP server sent no stream header")
    if not _VERSION.fullmatch(tag.attributes.get("version", "")):
        raise PeerRefused("Server does not support TLS")


def stream_name() -> str:
    """An id that nobody can guess (RFC 6120 §4.7.3)."""
    return os.urandom(12).hex()


def _address(tag: Tag, key: str) -> str:
    """The attribute where it can stand in ours as it is, else nothing."""
    value = tag.attributes.get(key, "")
    return value if _ADDRESS.fullmatch(value) else ""
