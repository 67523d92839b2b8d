"""Packets of the MySQL and MariaDB client/server protocol, as far as they precede login.

A packet is its length in three bytes, least significant first, a sequence number, and the
payload. Both directions share one sequence, so every packet that only one side sees shifts what
the other must be told: a :class:`Link` counts for its side.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, frozen

from stunnel_tx.errors import LimitExceeded, PeerRefused, ProtocolViolation

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Peer

#: Longest packet before the end of the login, in bytes: a response with connection attributes,
#: which servers cut at 64 KiB; drivers send a few hundred.
PACKET: Final = 32768

#: Capabilities (protocol::CapabilityFlags).
PROTOCOL_41: Final = 0x200
SSL: Final = 0x800
SECURE_CONNECTION: Final = 0x8000
PLUGIN_AUTH: Final = 0x80000

#: First bytes of what a server answers during the login.
OK: Final = 0x00
MORE_DATA: Final = 0x01
SWITCH: Final = 0xFE
ERROR: Final = 0xFF

#: Errors: codes of the server and, from 2000 on, of its clients and proxies.
HANDSHAKE_ERROR: Final = (1043, b"08S01", b"Bad handshake")
TLS_REQUIRED: Final = (3159, b"HY000", b"Connections using insecure transport are prohibited")
CANNOT_CONNECT: Final = (2003, b"HY000", b"Can't connect to the remote MySQL server over TLS")

#: Fixed part of a response and of an SSLRequest: capabilities, packet size, character set,
#: reserved (protocol::SSLRequest, protocol::HandshakeResponse41), in bytes.
FIXED: Final = 32

_VERSION_10: Final = 10
_VERSION_TEXT: Final = re.compile(rb"[\x20-\x7e]{1,200}")
_PLUGIN: Final = re.compile(rb"[A-Za-z0-9_]{0,64}")

# thread, first 8 bytes of the nonce, filler, capabilities (low half), character set, status,
# capabilities (high half), length of the nonce, reserved (MariaDB: further capabilities).
_FIELDS: Final = Struct("<4s8ssHcHHB10s")


@define
class Link:
    """One side, and the sequence number its next packet has, whoever sends it."""

    peer: Peer
    sequence: int = 0

    async def receive(self) -> bytes:
        """The payload of the side's next packet.

        Raises :class:`~stunnel_tx.errors.ProtocolViolation` for one out of sequence, and
        :class:`~stunnel_tx.errors.LimitExceeded` beyond :data:`PACKET`.
        """
        return await self.rest(await self.receive_size())

    async def receive_size(self) -> int:
        """Take the header of the side's next packet; the size of its payload in bytes."""
        header = await self.peer.read_exactly(4)
        size = int.from_bytes(header[:3], "little")
        if size > PACKET:
            raise LimitExceeded("MySQL packet in bytes", PACKET)
        if header[3] != self.sequence:
            raise ProtocolViolation("MySQL packet out of sequence")
        self._count()
        return size

    async def rest(self, size: int) -> bytes:
        """The next *size* bytes of a payload."""
        return await self.peer.read_exactly(size) if size else b""

    async def send(self, payload: bytes) -> None:
        """Send the next packet."""
        data = packet(payload, self.sequence)
        self._count()
        await self.peer.send(data)

    def _count(self) -> None:
        self.sequence = (self.sequence + 1) % 256


def packet(payload: bytes, sequence: int) -> bytes:
    """A packet as it goes over the wire."""
    return len(payload).to_bytes(3, "little") + bytes((sequence,)) + payload


def error(what: tuple[int, bytes, bytes], *, greeted: bool = True) -> bytes:
    """An ERR packet's payload; before the greeting it has no SQLSTATE (protocol::ERR_Packet)."""
    code, state, text = what
    head = bytes((ERROR,)) + code.to_bytes(2, "little")
    return head + (b"#" + state if greeted else b"") + text


@frozen
class Greeting:
    """What a server says first (protocol::HandshakeV10)."""

    version: bytes
    thread: bytes
    nonce: bytes
    capabilities: int
    charset: bytes
    status: int
    nonce_size: int
    reserved: bytes
    plugin: bytes

    def offering(self, *, tls: bool, plugin: bytes) -> Greeting:
        """The same with or without TLS, and with another authentication plugin."""
        capabilities = self.capabilities | SSL if tls else self.capabilities & ~SSL
        return evolve(self, capabilities=capabilities, plugin=plugin)

    def encode(self) -> bytes:
        """The payload."""
        fields = _FIELDS.pack(
            self.thread,
            self.nonce[:8],
            b"\0",
            self.capabilities & 0xFFFF,
            self.charset,
            self.status,
            self.capabilities >> 16,
            self.nonce_size,
            self.reserved,
        )
        start = bytes((_VERSION_10,)) + self.version + b"\0"
        tail = self.plugin + b"\0" if self.capabilities & PLUGIN_AUTH else b""
        return start + fields + self.nonce[8:] + tail


def parse_greeting(payload: bytes) -> Greeting:
    """The greeting in *payload*.

    Raises :class:`~stunnel_tx.errors.PeerRefused` for an ERR packet in its place, whose text is
    not protected and therefore not repeated, and
    :class:`~stunnel_tx.errors.ProtocolViolation` for anything else that is none.
    """
    if payload[:1] == bytes((ERROR,)):
        code = int.from_bytes(payload[1:3], "little")
        raise PeerRefused(f"MySQL server refuses the connection (error {code})")
    version, end, rest = payload[1:].partition(b"\0")
    if payload[:1] != bytes((_VERSION_10,)) or not end or not _VERSION_TEXT.fullmatch(version):
        raise ProtocolViolation("no MySQL greeting of protocol version 10")
    if len(rest) < _FIELDS.size:
        raise ProtocolViolation("cut MySQL greeting")
    thread, nonce, _, low, charset, status, high, size, reserved = _FIELDS.unpack_from(rest)
    capabilities = high << 16 | low
    if not capabilities & PROTOCOL_41 or not capabilities & SECURE_CONNECTION:
        raise ProtocolViolation("MySQL server without protocol 4.1")
    at = _FIELDS.size + max(13, size - 8)
    more, tail = rest[_FIELDS.size : at], rest[at:]
    # Some servers of 5.5 forgot the NUL behind the plugin's name.
    plugin, _, beyond = tail.partition(b"\0")
    if len(rest) < at or beyond or not _PLUGIN.fullmatch(plugin):
        raise ProtocolViolation("malformed MySQL greeting")
    if bool(tail) != bool(capabilities & PLUGIN_AUTH):
        raise ProtocolViolation("malformed MySQL greeting")
    return Greeting(
        version, thread, nonce + more, capabilities, charset, status, size, reserved, plugin
    )


def parse_switch(payload: bytes) -> tuple[bytes, bytes]:
    """Plugin and data of an AuthSwitchRequest (protocol::AuthSwitchRequest)."""
    plugin, _, data = payload[1:].partition(b"\0")
    return plugin, data
