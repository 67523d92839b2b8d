"""IRC STARTTLS (IRCv3 "tls" 3.1 extension), before the client registers.

::

    client mode    R <- STARTTLS              server mode    L -> CAP LS       (answered: tls)
                   R -> NOTICEs, ignored                     L -> STARTTLS
                   R -> 670                                  L <- 670
                   TLS on R                                  TLS on L

In server mode a client that starts TLS at once is served on the same port. Nothing said before
TLS counts afterwards: NICK, USER and PASS are refused, and registration begins inside TLS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.limits import TLS_HANDSHAKE
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import (
    go_ahead,
    refusal,
    request_refusal,
    taken_leave,
    turning,
)

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

#: What the numerics come from; the real server's name is known inside TLS only.
SERVER: Final = b"localhost"

_STARTED: Final = b"670"
_NOT_STARTED: Final = b"691"

#: What servers say unasked to a new connection, or while they look up its host name.
_CHATTER: Final = frozenset({b"NOTICE", b"020", b"PING"})


def parse(line: bytes) -> tuple[bytes, list[bytes]]:
    """Command in upper case and parameters of a message (RFC 2812 §2.3.1, IRCv3 tags).

    A line without a command gives an empty one.
    """
    rest = line
    for mark in (b"@", b":"):
        if rest.startswith(mark):
            rest = rest.partition(b" ")[2].lstrip(b" ")
    middle, colon, trailing = rest.partition(b" :")
    words = middle.split()
    if not words:
        return b"", []
    return words[0].upper(), words[1:] + ([trailing] if colon else [])


def numeric(code: bytes, text: bytes) -> bytes:
    """A reply to a client that has no nickname yet."""
    return b":%b %b * :%b\r\n" % (SERVER, code, text)


STARTED: Final = numeric(_STARTED, b"STARTTLS successful, proceed with TLS handshake")

#: ERROR is what a server says before it closes.
refuse: Final = refusal(b"ERROR :Closing link: the server cannot be reached\r\n")
#: The client broke the rules before TLS.
refuse_request: Final = request_refusal(
    fault=b"ERROR :Closing link: STARTTLS expected\r\n",
    slow=b"ERROR :Closing link: STARTTLS did not come in time\r\n",
)


async def start_tls(conversation: Conversation) -> None:
    """Client mode: ask, and wait for the one numeric that says yes."""
    remote = conversation.far()
    await remote.send(b"STARTTLS\r\n")
    while True:
        command, _ = parse(await remote.read_line())
        if command == _STARTED:
            return
        if command in {_NOT_STARTED, b"ERROR"} or command[:1] in {b"4", b"5"}:
            raise PeerRefused("Server does not support TLS")
        if command not in _CHATTER:
            raise ProtocolViolation("IRC server did not answer STARTTLS")


async def await_start_tls(conversation: Conversation) -> None:
    """Server mode: answer the client until it asks for TLS."""
    local = conversation.local
    if (await local.peek(1))[0] == TLS_HANDSHAKE:
        conversation.refused = True  # it waits for TLS
        return
    while True:
        command, parameters = parse(await local.read_line())
        if command == b"STARTTLS":
            await go_ahead(conversation, STARTED)
            return
        if command == b"QUIT":
            await taken_leave(conversation, b"ERROR :Closing link: Quit\r\n")
        if command == b"CAP":
            await local.send(_capabilities(parameters))
        elif command:
            # One answer for everything, credentials included: nothing of it is repeated.
            await local.send(numeric(_NOT_STARTED, b"TLS is required: send STARTTLS first"))


def _capabilities(parameters: list[bytes]) -> bytes:
    """The answer to a CAP command; the only capability before TLS is ``tls``."""
    command = parameters[0].upper() if parameters else b""
    if command == b"LS":
        return b":%b CAP * LS :tls\r\n" % SERVER
    if command == b"LIST":
        return b":%b CAP * LIST :\r\n" % SERVER
    if command == b"REQ":
        wanted = b" ".join(parameters[1:]).split()
        if wanted == [b"tls"]:
            return b":%b CAP * ACK :tls\r\n" % SERVER
        # What is refused must be named (IRCv3 capability negotiation); it has no secrets.
        return b":%b CAP * NAK :%b\r\n" % (SERVER, _printable(b" ".join(wanted))[:400])
    return numeric(_NOT_STARTED, b"TLS is required: send STARTTLS first")


def _printable(text: bytes) -> bytes:
    return bytes(byte for byte in text if 0x20 <= byte < 0x7F)


NEGOTIATION = Negotiation(
    name="irc",
    client=Stages(middle=refusing(start_tls, refuse), refuse=refuse),
    server=Stages(
        early=refusing(await_start_tls, refuse_request),
        refuse=turning(refuse_request, refuse),
    ),
    specification="IRCv3 tls 3.1",
    alpn=(b"irc",),
)
