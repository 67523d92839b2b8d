"""POP3: STLS (RFC 2595 §4), with CAPA (RFC 2449) and response codes (RFC 3206).

The greeting after TLS is our own in both modes, so it never holds a time stamp for APOP: what
came in plaintext is not passed on, and APOP's MD5 is no protection (RFC 6151).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.replies import shown, split_command
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, implicit_tls, refusal, taken_leave

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, Peer

__all__ = ["NEGOTIATION"]

_GREETING: Final = b"+OK POP3 ready\r\n"

#: Commands of the AUTHORIZATION state that show who the user is (RFC 1939 §4, RFC 5034).
_LOGINS: Final = frozenset({b"USER", b"PASS", b"APOP", b"AUTH"})


async def _read_status(peer: Peer, refused: str) -> None:
    """Read ``+OK``, with text or without it; ``-ERR`` is raised as *refused*."""
    line = await peer.read_line()
    status = line.partition(b" ")[0].upper()
    if status == b"-ERR":
        raise PeerRefused(f"{refused}: {shown(line)}")
    if status != b"+OK":
        raise ProtocolViolation(f"neither +OK nor -ERR: {shown(line)}")


# --- client mode ---------------------------------------------------------------------------


async def _ask(conversation: Conversation) -> None:
    remote = conversation.far()
    await _read_status(remote, "Server refuses service")
    await remote.send(b"STLS\r\n")
    await _read_status(remote, "Server does not support TLS")


async def _greet(conversation: Conversation) -> None:
    await conversation.local.send(_GREETING)


# --- server mode ---------------------------------------------------------------------------


async def _serve(conversation: Conversation) -> None:
    """Greet the local side and answer it until it asks for TLS."""
    if await implicit_tls(conversation, "RFC 2595"):
        return
    await _read_status(conversation.far(), "Server refuses service")
    local = conversation.local
    await local.send(_GREETING)
    while True:
        verb, argument = split_command(await local.read_line())
        if verb == b"STLS" and not argument:
            await go_ahead(conversation, b"+OK Begin TLS negotiation\r\n")
            return
        if verb == b"QUIT":
            await taken_leave(conversation, b"+OK Bye\r\n")
        await local.send(_answer(verb))


def _answer(verb: bytes) -> bytes:
    """The response to a command that is neither STLS as it should be nor QUIT."""
    if verb == b"CAPA":
        return b"+OK Capability list follows\r\nSTLS\r\nRESP-CODES\r\n.\r\n"
    if verb == b"STLS":
        return b"-ERR STLS takes no arguments\r\n"
    if verb in _LOGINS:
        return b"-ERR Must issue a STLS command first\r\n"
    return b"-ERR Command not available before STLS\r\n"


_NO_SERVICE: Final = b"-ERR [SYS/TEMP] Service not available\r\n"

_refuse = refusal(_NO_SERVICE)
_refuse_in_plain = refusal(_NO_SERVICE, implicit=True)

NEGOTIATION: Final = Negotiation(
    name="pop3",
    client=Stages(middle=refusing(_ask, _refuse), late=refusing(_greet, _refuse), refuse=_refuse),
    server=Stages(
        middle=refusing(_serve, _refuse_in_plain),
        connects_first=True,
        refuse=_refuse_in_plain,
    ),
    specification="RFC 2595 §4, RFC 1939, RFC 2449, RFC 3206",
    alpn=(b"pop3",),
)
