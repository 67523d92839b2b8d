"""IMAP: STARTTLS (RFC 9051 §6.2.1, RFC 2595 §3), and implicit TLS on the same port.

In server mode the capabilities shown before TLS are a list of our own: of the server's, the
revisions of IMAP alone are taken over, since everything else waits for TLS.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from stunnel_tx.errors import PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.limits import LONG_LINE
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.replies import shown
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, implicit_tls, refusal, taken_leave

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, Peer

__all__ = ["NEGOTIATION"]

_TAG: Final = b"stunnel"

#: A tag, and what follows it: ASTRING-CHAR without "+" (RFC 9051 §9). Longer tags than this are
#: nobody's; a line that is no command must not be repeated to the client as if it were one.
_COMMAND: Final = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]{1,64}) +([^ ]+)(?: +(.*))?')

#: The end of a line that announces a literal (RFC 9051 §4.3): its size, and "+" (RFC 7888)
#: where the client sends it without being asked to.
_LITERAL: Final = re.compile(rb"\{[0-9]+(\+?)\}$")

_REVISION: Final = re.compile(rb"\[CAPABILITY ([^\]]*)\]", re.IGNORECASE)

#: Untagged responses that may come before the answer to STARTTLS; all are ignored.
_UNTAGGED: Final = frozenset({b"OK", b"NO", b"BAD", b"CAPABILITY"})


# --- client mode: this side asks the server ------------------------------------------------


async def _read_greeting(remote: Peer) -> bytes:
    """The greeting, of which only ``* OK`` will do (RFC 9051 §7.1).

    PREAUTH would forbid STARTTLS, and so is what an attacker sends.
    """
    line = await remote.read_line(LONG_LINE)
    words = line.upper().split(b" ", 2)
    if words[:2] == [b"*", b"OK"]:
        return line
    if words[:2] == [b"*", b"BYE"]:
        raise PeerRefused(f"Server refuses service: {shown(line)}")
    if words[:2] == [b"*", b"PREAUTH"]:
        raise ProtocolViolation("Server says PREAUTH, which forbids STARTTLS")
    raise ProtocolViolation(f"Unknown server welcome: {shown(line)}")


async def _ask(conversation: Conversation) -> None:
    remote = conversation.far()
    await _read_greeting(remote)
    await remote.send(_TAG + b" STARTTLS\r\n")
    while True:
        line = await remote.read_line(LONG_LINE)
        first, _, rest = line.partition(b" ")
        status = rest.partition(b" ")[0].upper()
        if first == _TAG:
            break
        if first != b"*" or status not in _UNTAGGED | {b"BYE"}:
            raise ProtocolViolation(f"Unexpected response: {shown(line)}")
        if status == b"BYE":
            raise PeerRefused(f"Server refuses service: {shown(line)}")
    if status in {b"NO", b"BAD"}:
        raise PeerRefused(f"Server does not support TLS: {shown(line)}")
    if status != b"OK":
        raise ProtocolViolation(f"Unexpected response: {shown(line)}")


async def _greet(conversation: Conversation) -> None:
    await conversation.local.send(b"* OK IMAP ready\r\n")


# --- server mode: a client asks this side --------------------------------------------------


def _capabilities(greeting: bytes) -> bytes:
    """What this side can do before TLS; the revisions are those *greeting* lists, if it does."""
    listed = _REVISION.search(greeting)
    words = listed[1].upper().split() if listed is not None else []
    revisions = [word for word in (b"IMAP4REV1", b"IMAP4REV2") if word in words]
    names = [word.replace(b"REV", b"rev") for word in revisions or [b"IMAP4REV1"]]
    return b" ".join([b"CAPABILITY", *names, b"ID", b"STARTTLS", b"LOGINDISABLED"])


async def _serve(conversation: Conversation) -> None:
    """Greet the local side and answer it until it asks for TLS."""
    if await implicit_tls(conversation, "RFC 2595"):
        return
    local = conversation.local
    capabilities = _capabilities(await _read_greeting(conversation.far()))
    await local.send(b"* OK [%b] IMAP ready\r\n" % capabilities)
    while True:
        line = await local.read_line(LONG_LINE)
        literal = _LITERAL.search(line)
        if literal is not None and literal[1]:
            # Its bytes are on the way, and must not be taken for commands.
            raise ProtocolViolation("Client sends a literal unasked before TLS")
        command = _COMMAND.fullmatch(line)
        if command is None:
            await local.send(b"* BAD No command\r\n")
            continue
        tag, verb, argument = command[1], command[2].upper(), command[3]
        if verb == b"STARTTLS" and not argument:
            await go_ahead(conversation, b"%b OK Begin TLS negotiation now\r\n" % tag)
            return
        if verb == b"LOGOUT" and not argument:
            await taken_leave(
                conversation, b"* BYE Logging out\r\n%b OK LOGOUT completed\r\n" % tag
            )
        await local.send(_answer(tag, verb, bool(argument), literal is not None, capabilities))


def _answer(
    tag: bytes, verb: bytes, has_argument: bool, literal: bool, capabilities: bytes
) -> bytes:
    """The responses to a command other than STARTTLS and LOGOUT as they should be.

    A tagged answer where the client waits for leave to send a literal cancels the command
    (RFC 9051 §4.3), so no literal is ever read. Nothing but the tag is repeated.
    """
    if verb in {b"LOGIN", b"AUTHENTICATE"}:
        return b"%b NO [PRIVACYREQUIRED] Must issue a STARTTLS command first\r\n" % tag
    if literal:
        return b"%b BAD No literals before TLS\r\n" % tag
    if verb == b"ID" and has_argument:
        return b"* ID NIL\r\n%b OK ID completed\r\n" % tag
    if has_argument and verb in {b"CAPABILITY", b"NOOP", b"STARTTLS", b"LOGOUT"}:
        return b"%b BAD No arguments allowed\r\n" % tag
    if verb == b"CAPABILITY":
        return b"* %b\r\n%b OK CAPABILITY completed\r\n" % (capabilities, tag)
    if verb == b"NOOP":
        return b"%b OK NOOP completed\r\n" % tag
    return b"%b BAD Not before TLS: must issue a STARTTLS command first\r\n" % tag


_NO_SERVICE: Final = b"* BYE Service not available\r\n"

_refuse = refusal(_NO_SERVICE)
_refuse_in_plain = refusal(_NO_SERVICE, implicit=True)

NEGOTIATION: Final = Negotiation(
    name="imap",
    client=Stages(middle=refusing(_ask, _refuse), late=refusing(_greet, _refuse), refuse=_refuse),
    server=Stages(
        middle=refusing(_serve, _refuse_in_plain),
        connects_first=True,
        refuse=_refuse_in_plain,
    ),
    specification="RFC 9051 §6.2.1, RFC 3501, RFC 2595 §3",
    alpn=(b"imap",),
)
