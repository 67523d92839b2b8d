"""FTP with TLS on the control connection (RFC 4217, RFC 2228).

::

    client mode    R -> 220 greeting         server mode    R -> 220 greeting, withheld
                   R <- AUTH TLS                            L <- 220 of our own
                   R -> 234                                 L -> AUTH TLS
                   TLS on R                                 L <- 234
                   R <- PBSZ 0, PROT C                      TLS on L
                   L <- 220 of our own                      L -> PBSZ, PROT, answered here

Data connections go directly between client and server, past this program, and are plain: PROT C
is asked for and granted, PROT P is refused (536). Once the client has sent its first other
command, a later PROT is answered by the server itself, which has no TLS and says so.
A client that starts TLS at once is served on the same port; its greeting comes inside TLS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, implicit_tls, refusal, taken_leave
from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, Peer

GREETING: Final = b"220 Service ready\r\n"

GO_AHEAD: Final = b"234 Proceed with TLS\r\n"

#: Answers before TLS to commands that need none; everything else needs TLS.
PLAIN_ANSWERS: Final = {
    b"NOOP": b"200 OK\r\n",
    b"FEAT": b"211-Features:\r\n AUTH TLS\r\n PBSZ\r\n PROT\r\n211 End\r\n",
    b"PBSZ": b"503 AUTH TLS comes first\r\n",
    b"PROT": b"503 AUTH TLS comes first\r\n",
    b"CCC": b"533 There is no TLS to clear\r\n",
}
TLS_REQUIRED: Final = b"530 AUTH TLS is required\r\n"

#: Answers to PROT by its level (RFC 2228 §3, RFC 4217 §9).
LEVELS: Final = {
    b"C": b"200 Data connections are plain\r\n",
    b"P": b"536 Data connections cannot be protected here, use PROT C\r\n",
    b"S": b"536 Data connections cannot be protected here, use PROT C\r\n",
    b"E": b"536 Data connections cannot be protected here, use PROT C\r\n",
}

_IMPLICIT: Final = "implicit TLS"


async def read_reply(peer: Peer) -> int:
    """The code of the next reply, whose text is dropped (RFC 959 §4.2).

    Between the first and the last line of a long reply anything may stand.
    """
    first = await peer.read_line()
    code, separator = first[:3], first[3:4]
    if not (len(code) == 3 and code.isdigit() and separator in {b"", b" ", b"-"}):
        raise ProtocolViolation("malformed FTP reply")
    if separator == b"-":
        while True:
            line = await peer.read_line()
            if line[:3] == code and line[3:4] in {b"", b" "}:
                break
    return int(code)


async def read_greeting(remote: Peer) -> None:
    """Take the server's greeting; 120 announces that it comes later (RFC 959 §5.4)."""
    code = await read_reply(remote)
    if code == 120:
        code = await read_reply(remote)
    if code != 220:
        raise PeerRefused("Unknown server welcome")


#: 421 is understood at any time, except by a client that waits for TLS.
CLOSING: Final = b"421 Service not available, closing control connection\r\n"
refuse: Final = refusal(CLOSING)
refuse_in_plain: Final = refusal(CLOSING, implicit=True)


async def auth_tls(conversation: Conversation) -> None:
    """Client mode: nothing of the server's greeting reaches the client, which waits for ours."""
    remote = conversation.far()
    await read_greeting(remote)
    await remote.send(b"AUTH TLS\r\n")
    code = await read_reply(remote)
    if code != 234:
        raise PeerRefused(f"Server does not support TLS ({code})")


async def announce_plain_data(conversation: Conversation) -> None:
    """Client mode, inside TLS: say that data connections will be plain, and greet the client.

    A server that insists on protected ones is still good for everything but transfers, which it
    will refuse in its own words; the log says so in advance.
    """
    remote = conversation.far()
    for command in (b"PBSZ 0", b"PROT C"):
        await remote.send(command + b"\r\n")
        code = await read_reply(remote)
        if code == 421:
            raise PeerRefused("FTP server closes the connection (421)")
        if code // 100 != 2:
            conversation.note(events.FTP_PLAIN_DATA_REFUSED, command.decode(), code)
    await conversation.local.send(GREETING)


async def await_auth(conversation: Conversation) -> None:
    """Server mode: answer the client until it asks for TLS; the server hears nothing of it."""
    local = conversation.local
    await read_greeting(conversation.far())
    if await implicit_tls(conversation, "RFC 4217"):
        conversation.state = _IMPLICIT
        return
    await local.send(GREETING)
    while True:
        command, parameter = split(await local.read_line())
        if command == b"AUTH":
            answer = _auth_answer(parameter)
            if answer == GO_AHEAD:
                await go_ahead(conversation, answer)
                return
            await local.send(answer)
        elif command == b"QUIT":
            await taken_leave(conversation, b"221 Bye\r\n")
        else:
            await local.send(PLAIN_ANSWERS.get(command, TLS_REQUIRED))


def split(line: bytes) -> tuple[bytes, bytes]:
    """Command in upper case and parameter of a line."""
    command, _, parameter = line.partition(b" ")
    return command.upper(), parameter.strip()


def _auth_answer(parameter: bytes) -> bytes:
    """RFC 4217 §4: TLS-C is an alias of TLS. SSL would imply protected data, which we lack."""
    if not parameter:
        return b"501 AUTH needs a mechanism\r\n"
    if parameter.upper() in {b"TLS", b"TLS-C"}:
        return GO_AHEAD
    return b"504 Only AUTH TLS is known\r\n"


async def answer_protection(conversation: Conversation) -> None:
    """Server mode, inside TLS: PBSZ and PROT are ours, the first other command is the server's.

    A server that speaks unasked, or leaves, takes its leave: the relay passes that on.
    """
    local = conversation.local
    if conversation.state == _IMPLICIT:
        await local.send(GREETING)
    while await conversation.speaker() is local:
        line = await local.read_line()
        command, parameter = split(line)
        if command == b"PBSZ":
            # RFC 4217 §9: whatever was asked for, the size is 0.
            valid = parameter.isdigit()
            await local.send(b"200 PBSZ=0\r\n" if valid else b"501 PBSZ needs a number\r\n")
        elif command == b"PROT":
            await local.send(LEVELS.get(parameter.upper(), b"504 Unknown level\r\n"))
        else:
            await conversation.far().send(line + b"\r\n")
            return


NEGOTIATION = Negotiation(
    name="ftp",
    client=Stages(
        middle=refusing(auth_tls, refuse),
        late=refusing(announce_plain_data, refuse),
        refuse=refuse,
    ),
    server=Stages(
        middle=refusing(await_auth, refuse_in_plain),
        late=refusing(answer_protection, refuse),
        connects_first=True,
        refuse=refuse_in_plain,
    ),
    specification="RFC 4217, RFC 2228",
    alpn=(b"ftp",),
)
