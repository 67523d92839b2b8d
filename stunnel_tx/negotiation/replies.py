"""Reply lines and commands of the text protocols, taken apart and put together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.errors import OperatingError, ProtocolViolation
from stunnel_tx.negotiation.limits import LINE

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import NegotiationOptions, Peer

__all__ = [
    "Reply",
    "called",
    "host_name",
    "read_reply",
    "shown",
    "split_code",
    "split_command",
]

#: Characters of a peer's line that go into an error message.
SHOWN: Final = 60

#: Names and address literals (RFC 5321 §4.1.2, §4.1.3) of at most 255 bytes; the underscore is
#: no letter of a host name, but is found in some.
_HOST_NAME: Final = re.compile(rb"[A-Za-z0-9\[][A-Za-z0-9._:\]-]{0,254}")

_CODE: Final = re.compile(rb"([1-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


def shown(line: bytes) -> str:
    """*line* for an error message: cut to 60 bytes, and everything unprintable escaped.

    Never use it on what may hold a credential.
    """
    text = repr(line[:SHOWN])[2:-1]
    return text + "..." if len(line) > SHOWN else text


def split_code(line: bytes) -> tuple[int, bool, bytes]:
    """The code of a reply line, whether another line follows, and its text.

    RFC 5321 §4.2: three digits, then a hyphen (more follows) or a blank and text; a code alone
    is accepted (§4.2.1 says SHOULD). Raises ProtocolViolation for anything else.
    """
    parts = _CODE.fullmatch(line)
    if parts is None:
        raise ProtocolViolation(f"no reply code: {shown(line)}")
    code, separator, text = parts.groups(default=b"")
    return int(code), separator == b"-", text


@frozen
class Reply:
    """A whole reply of SMTP or LMTP: its code, and the text of its first line."""

    code: int
    text: bytes

    def __str__(self) -> str:
        """The reply in one short line, fit for an error message."""
        return f"{self.code} {shown(self.text)}".rstrip()


async def read_reply(peer: Peer, limit: int = LINE) -> Reply:
    """The next reply, all of its lines; only the first one's text is kept.

    Raises ProtocolViolation when the lines do not bear the same code (RFC 5321 §4.2.1).
    """
    code, more, text = split_code(await peer.read_line(limit))
    while more:
        again, more, _ = split_code(await peer.read_line(limit))
        if again != code:
            raise ProtocolViolation(f"reply code changes from {code} to {again}")
    return Reply(code, text)


def split_command(line: bytes) -> tuple[bytes, bytes]:
    """The verb of a command line in upper case, and its argument without outer blanks."""
    verb, _, argument = line.strip(b" \t").partition(b" ")
    return verb.upper(), argument.strip(b" \t")


def host_name(word: bytes) -> bytes | None:
    """*word* if it may stand as a host name in a greeting, else None."""
    return word if _HOST_NAME.fullmatch(word) else None


def called(options: NegotiationOptions) -> bytes:
    """The name this program calls itself: protocolHost, or ``localhost``.

    Raises OperatingError when protocolHost is no host name: a blank or a line end in it would
    become a part of the dialogue.
    """
    if options.host is None:
        return b"localhost"
    name = host_name(options.host.encode("utf-8", "replace"))
    if name is None:
        raise OperatingError("protocolHost is not a host name")
    return name
