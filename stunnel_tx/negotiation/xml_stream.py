"""The little XML that precedes TLS in XMPP: tags, namespaces, nothing else (RFC 6120 §11.1).

No general parser is used: a peer that nobody has authenticated gets no entities expanded, no
document types read and no depth to climb. Comments, processing instructions and ``<!`` are
refused as the RFC demands. Text inside elements is skipped. Nothing is read beyond the ``>``
of the last tag asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from stunnel_tx.errors import LimitExceeded, ProtocolViolation

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Peer

#: Bytes of one stream before TLS: header and features of real servers have up to 1,500.
STREAM: Final = 16384

#: Elements within one child of the stream, and how deep they may be nested.
ELEMENTS: Final = 200
DEPTH: Final = 8

_LOOK: Final = 512
_NAME: Final = r"[A-Za-z_][\w.\-]*+(?::[A-Za-z_][\w.\-]*+)?+"
_VALUE: Final = r"(?:\"[^\"<]*+\"|'[^'<]*+')"
_ATTRIBUTE: Final = re.compile(rf"\s++({_NAME})\s*+=\s*+({_VALUE})", re.ASCII)
_START: Final = re.compile(rf"<({_NAME})((?:\s++{_NAME}\s*+=\s*+{_VALUE})*+)\s*+(/?)>", re.ASCII)
_END: Final = re.compile(rf"</({_NAME})\s*+>", re.ASCII)
_DECLARATION: Final = re.compile(
    r"<\?xml\s+version\s*=\s*[\"']1\.[0-9][\"']"
    r"(?:\s+encoding\s*=\s*[\"'][Uu][Tt][Ff]-8[\"'])?"
    r"(?:\s+standalone\s*=\s*[\"'](?:yes|no)[\"'])?\s*\?>",
    re.ASCII,
)
_BLANK: Final = b" \t\r\n"

#: A name with its namespace, which is empty for none.
Name = tuple[str, str]


@frozen
class Tag:
    """A start tag: its name, its attributes as written, and the namespaces in force inside."""

    name: Name
    written: str
    attributes: dict[str, str]
    scope: dict[str, str]
    empty: bool


@frozen
class Element:
    """A whole element; ``names`` are those of everything inside it, in order."""

    name: Name
    names: tuple[Name, ...]


@define
class XMLStream:
    """The stream that *peer* sends; ``raw`` is what has been read of it.

    Every method raises :class:`~stunnel_tx.errors.ProtocolViolation` for what is not well
    formed, or not allowed in XMPP, and :class:`~stunnel_tx.errors.LimitExceeded` beyond
    :data:`STREAM`, :data:`ELEMENTS` and :data:`DEPTH`.
    """

    peer: Peer
    raw: bytes = b""
    _opening: Tag | None = field(default=None, init=False)

    async def header(self) -> Tag:
        """The tag that opens the stream, behind an XML declaration if there is one."""
        text = await self._markup(blank=True)
        if _DECLARATION.fullmatch(text):
            text = await self._markup(blank=True)
        tag = parse_start(text, {})
        if tag.empty:
            raise ProtocolViolation("XML stream that ends in its header")
        self._opening = tag
        return tag

    async def child(self) -> Element | None:
        """The next element of the stream, or None when the stream is closed."""
        opening = self._opening
        if opening is None:
            raise RuntimeError("the stream has no header yet")
        text = await self._markup(blank=True)
        if text.startswith("</"):
            _close(text, opening)
            return None
        first = parse_start(text, opening.scope)
        names: list[Name] = []
        inside = [] if first.empty else [first]
        while inside:
            text = await self._markup(blank=False)
            if text.startswith("</"):
                _close(text, inside.pop())
                continue
            tag = parse_start(text, inside[-1].scope)
            names.append(tag.name)
            if not tag.empty:
                inside.append(tag)
            if len(inside) > DEPTH:
                raise LimitExceeded("XML elements nested", DEPTH)
            if len(names) > ELEMENTS:
                raise LimitExceeded("XML elements before TLS", ELEMENTS)
        return Element(first.name, tuple(names))

    async def _markup(self, *, blank: bool) -> str:
        """The next tag as text; only white space may precede it if *blank*."""
        while (data := await self.peer.peek(_LOOK))[:1] != b"<":
            text = data.partition(b"<")[0]
            if (blank and text.strip(_BLANK)) or b"\0" in text:
                raise ProtocolViolation("text in an XML stream where a tag is due")
            await self._take(len(text))
        start = len(self.raw)
        await self._take(1)
        quote = 0
        while True:
            data = await self.peer.peek(_LOOK)
            end, quote = _tag_end(data, quote)
            await self._take(end or len(data))
            if end:
                break
        try:
            return self.raw[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolViolation("XML stream that is not UTF-8") from error

    async def _take(self, count: int) -> None:
        if len(self.raw) + count > STREAM:
            raise LimitExceeded("XML stream before TLS in bytes", STREAM)
        self.raw += await self.peer.read_exactly(count)


def _tag_end(data: bytes, quote: int) -> tuple[int, int]:
    """How many bytes of *data* belong to a tag that ends in it (0: it does not), open quote."""
    for place, byte in enumerate(data):
        if byte == 0x3C or (byte < 0x20 and byte not in _BLANK):
            raise ProtocolViolation("malformed XML tag")
        if quote:
            if byte == quote:
                quote = 0
        elif byte in b"\"'":
            quote = byte
        elif byte == 0x3E:
            return place + 1, 0
    return 0, quote


def parse_start(text: str, outer: dict[str, str]) -> Tag:
    """The start tag in *text*, within the namespaces of *outer* by prefix."""
    match = _START.fullmatch(text)
    if match is None:
        raise ProtocolViolation("malformed or forbidden XML tag")
    written, between, slash = match.groups()
    attributes: dict[str, str] = {}
    scope = dict(outer)
    for attribute in _ATTRIBUTE.finditer(between):
        key, value = attribute[1], attribute[2][1:-1]
        if key in attributes:
            raise ProtocolViolation("XML attribute given twice")
        attributes[key] = value
        if key == "xmlns":
            scope[""] = value
        elif key.startswith("xmlns:"):
            scope[key[6:]] = value
    return Tag(_resolve(written, scope), written, attributes, scope, bool(slash))


def _resolve(written: str, scope: dict[str, str]) -> Name:
    prefix, _, local = written.rpartition(":")
    if prefix and not scope.get(prefix):
        raise ProtocolViolation("XML prefix without a namespace")
    return scope.get(prefix, ""), local


def _close(text: str, opened: Tag) -> None:
    match = _END.fullmatch(text)
    if match is None or match[1] != opened.written:
        raise ProtocolViolation("XML end tag without its start tag")
