"""NNTP: STARTTLS (RFC 4642), with the commands and codes of RFC 3977.

In server mode one port serves STARTTLS and implicit TLS (RFC 8143 prefers the latter).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.replies import shown, split_code, split_command
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, implicit_tls, refusal, taken_leave

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, Peer

__all__ = ["NEGOTIATION"]

_CAPABILITIES: Final = b"101 Capability list:\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"
_HELP: Final = b"100 Help text follows\r\nSTARTTLS comes first\r\n.\r\n"

#: Commands that have to wait for TLS: those of RFC 3977 §9.2, RFC 4643, RFC 4644, RFC 8054.
_LATER: Final = frozenset(
    b"ARTICLE AUTHINFO BODY CHECK COMPRESS DATE GROUP HDR HEAD IHAVE LAST LIST LISTGROUP MODE"
    b" NEWGROUPS NEWNEWS NEXT OVER POST STAT TAKETHIS XHDR XOVER".split()
)


async def _read_code(peer: Peer) -> tuple[int, str]:
    """The code of a one-line response (RFC 3977 §3.2), and the response for a message."""
    line = await peer.read_line()
    code, more, _ = split_code(line)
    if more:
        raise ProtocolViolation(f"no blank after the response code: {shown(line)}")
    return code, shown(line)


async def _read_greeting(peer: Peer) -> int:
    """200 or 201: whether posting is allowed (RFC 3977 §5.1)."""
    code, text = await _read_code(peer)
    if code in {200, 201}:
        return code
    if code >= 400:
        raise PeerRefused(f"Server refuses service: {text}")
    raise ProtocolViolation(f"Unknown server welcome: {text}")


# --- client mode ---------------------------------------------------------------------------


async def _ask(conversation: Conversation) -> None:
    remote = conversation.far()
    await _read_greeting(remote)
    await remote.send(b"STARTTLS\r\n")
    code, text = await _read_code(remote)
    if code != 382:
        raise PeerRefused(f"Server does not support TLS: {text}")


async def _greet(conversation: Conversation) -> None:
    # 200 whatever was said in plaintext: RFC 4642 §2.2.2 wants that forgotten, and a server
    # that allows no posting refuses POST itself.
    await conversation.local.send(b"200 NNTP ready\r\n")


# --- server mode ---------------------------------------------------------------------------


async def _serve(conversation: Conversation) -> None:
    """Greet the local side and answer it until it asks for TLS."""
    if await implicit_tls(conversation, "RFC 4642"):
        return
    code = await _read_greeting(conversation.far())
    local = conversation.local
    await local.send(b"%d NNTP ready\r\n" % code)
    while True:
        verb, argument = split_command(await local.read_line())
        if verb == b"STARTTLS" and not argument:
            await go_ahead(conversation, b"382 Continue with TLS negotiation\r\n")
            return
        if verb == b"QUIT":
            await taken_leave(conversation, b"205 Bye\r\n")
        await local.send(_answer(verb))


def _answer(verb: bytes) -> bytes:
    """The response to a command that is neither STARTTLS as it should be nor QUIT."""
    if verb == b"CAPABILITIES":
        return _CAPABILITIES
    if verb == b"HELP":
        return _HELP
    if verb == b"STARTTLS":
        return b"501 STARTTLS takes no arguments\r\n"
    if verb in _LATER:
        return b"483 Must issue a STARTTLS command first\r\n"
    return b"500 Unknown command\r\n"


_NO_SERVICE: Final = b"400 Service temporarily unavailable\r\n"

_refuse = refusal(_NO_SERVICE)
_refuse_in_plain = refusal(_NO_SERVICE, implicit=True)

NEGOTIATION: Final = Negotiation(
    name="nntp",
    client=Stages(middle=refusing(_ask, _refuse), late=refusing(_greet, _refuse), refuse=_refuse),
    server=Stages(
        middle=refusing(_serve, _refuse_in_plain),
        connects_first=True,
        refuse=_refuse_in_plain,
    ),
    specification="RFC 4642, RFC 3977",
    alpn=(b"nntp",),
)
