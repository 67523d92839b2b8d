"""ManageSieve: STARTTLS (RFC 5804 §2.2).

A ManageSieve server greets with its capabilities, and says them again once TLS is up. In client
mode that second list is the client's greeting, so nothing of the first one is passed on. In
server mode the back end does not know that TLS has started, so its greeting is kept and said
inside TLS, without STARTTLS (§1.7 forbids it there).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.errors import LimitExceeded, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.limits import LONG_LINE
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.replies import shown
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, refusal, taken_leave

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, Peer

__all__ = ["NEGOTIATION"]

#: Longest literal read before TLS, in bytes: enough for the argument of NOOP or AUTHENTICATE.
_LITERAL_BYTES: Final = LONG_LINE

#: The end of a line whose last string is a literal (RFC 5804 §4); only clients write the "+".
_LITERAL: Final = re.compile(rb"\{([0-9]{1,10})\+?\}$")

_WORD: Final = re.compile(rb"[A-Za-z]+")
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\["\\])*"')

#: RFC 5804 §1.7 requires all of these; no SASL mechanism may be used before TLS.
_CAPABILITIES: Final = (
    b'"IMPLEMENTATION" "stunnel"\r\n"SASL" ""\r\n"SIEVE" ""\r\n"STARTTLS"\r\n"VERSION" "1.0"\r\n'
)

#: Commands that have to wait for TLS.
_LATER: Final = frozenset(
    b"AUTHENTICATE UNAUTHENTICATE HAVESPACE PUTSCRIPT LISTSCRIPTS SETACTIVE GETSCRIPT"
    b" DELETESCRIPT RENAMESCRIPT CHECKSCRIPT".split()
)


@frozen
class Logical:
    """A line together with its literals: as sent, and its first line alone.

    ``raw`` ends with CRLF; ``first`` has no terminator; ``literal`` is the first literal.
    """

    raw: bytes
    first: bytes
    literal: bytes | None = None


async def _read_logical(peer: Peer) -> Logical:
    """The next line, continued behind each literal it holds."""
    line = first = await peer.read_line(LONG_LINE)
    raw = line + b"\r\n"
    literal = None
    while (announced := _LITERAL.search(line)) is not None:
        size = int(announced[1])
        if size > _LITERAL_BYTES:
            raise LimitExceeded("literal length in bytes", _LITERAL_BYTES)
        data = await peer.read_exactly(size)
        if b"\0" in data:
            raise ProtocolViolation("NUL in a literal")
        literal = data if literal is None else literal
        line = await peer.read_line(LONG_LINE)
        raw += data + line + b"\r\n"
    return Logical(raw, first, literal)


def _status(line: bytes) -> bytes:
    """OK, NO or BYE where *line* is the end of a response, else nothing."""
    word = _WORD.match(line)
    if word is None:
        return b""
    status = word[0].upper()
    if status not in {b"OK", b"NO", b"BYE"} or line[len(status) :][:1] not in {b"", b" "}:
        raise ProtocolViolation(f"neither OK, NO nor BYE: {shown(line)}")
    return status


async def _read_greeting(peer: Peer) -> bytes:
    """The server's capabilities and its OK, as sent but without STARTTLS (RFC 5804 §1.2)."""
    kept = b""
    while True:
        line = await _read_logical(peer)
        status = _status(line.first)
        if status in {b"NO", b"BYE"}:
            raise PeerRefused(f"Server refuses service: {shown(line.first)}")
        if status:
            return kept + line.raw
        if not line.first.startswith((b'"', b"{")):
            raise ProtocolViolation(f"Unknown server welcome: {shown(line.first)}")
        name = line.literal if line.first.startswith(b"{") else line.first.split(b'"')[1]
        if (name or b"").upper() != b"STARTTLS":
            kept += line.raw


# --- client mode ---------------------------------------------------------------------------


async def _ask(conversation: Conversation) -> None:
    remote = conversation.far()
    await _read_greeting(remote)
    await remote.send(b"STARTTLS\r\n")
    answer = await _read_logical(remote)
    status = _status(answer.first)
    if not status:
        raise ProtocolViolation(f"neither OK, NO nor BYE: {shown(answer.first)}")
    if status != b"OK":
        raise PeerRefused(f"Server does not support TLS: {shown(answer.first)}")


# --- server mode ---------------------------------------------------------------------------


async def _serve(conversation: Conversation) -> None:
    """Greet the local side and answer it until it asks for TLS."""
    conversation.state = await _read_greeting(conversation.far())
    local = conversation.local
    await local.send(_CAPABILITIES + b'OK "ManageSieve ready"\r\n')
    while True:
        command = await _read_logical(local)
        verb, _, argument = command.first.strip(b" ").partition(b" ")
        verb = verb.upper()
        if verb == b"STARTTLS" and not argument:
            await go_ahead(conversation, b'OK "Begin TLS negotiation now"\r\n')
            return
        if verb == b"LOGOUT" and not argument:
            await taken_leave(conversation, b'OK "Bye"\r\n')
        await local.send(_answer(verb, argument, command.literal))


def _answer(verb: bytes, argument: bytes, literal: bytes | None) -> bytes:
    """The response to a command other than STARTTLS and LOGOUT as they should be."""
    if verb == b"NOOP":
        return _noop(argument, literal)
    if verb in _LATER:
        return b'NO (ENCRYPT-NEEDED) "Must issue a STARTTLS command first"\r\n'
    if verb not in {b"CAPABILITY", b"STARTTLS", b"LOGOUT"}:
        return b'NO "Unknown command"\r\n'
    if argument:
        return b'NO "No arguments allowed"\r\n'
    return _CAPABILITIES + b'OK "Capabilities listed"\r\n'


def _noop(argument: bytes, literal: bytes | None) -> bytes:
    """OK, with the string the client wants to see again (RFC 5804 §2.13)."""
    if not argument:
        return b'OK "Done"\r\n'
    if literal is not None and _LITERAL.fullmatch(argument):
        return b'OK (TAG {%d}\r\n%b) "Done"\r\n' % (len(literal), literal)
    if _QUOTED.fullmatch(argument):
        return b'OK (TAG %b) "Done"\r\n' % argument
    return b'NO "NOOP takes one string"\r\n'


async def _say_again(conversation: Conversation) -> None:
    """TLS is up: the back end's capabilities, which RFC 5804 §2.2 wants said once more."""
    capabilities, conversation.state = conversation.state, None
    await conversation.local.send(capabilities)


_NO_SERVICE: Final = b'BYE (TRYLATER) "Service not available"\r\n'

_refuse = refusal(_NO_SERVICE)

NEGOTIATION: Final = Negotiation(
    name="sieve",
    client=Stages(middle=refusing(_ask, _refuse), refuse=_refuse),
    server=Stages(
        middle=refusing(_serve, _refuse),
        late=refusing(_say_again, _refuse),
        connects_first=True,
        refuse=_refuse,
    ),
    specification="RFC 5804",
    alpn=(b"managesieve",),
)
