"""Tests of the login: renumbering, plugins, and passwords that must not go astray."""

from __future__ import annotations

import contextlib
from functools import cache
from itertools import cycle

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, PeerRefused, ProtocolViolation, StunnelTxError
from stunnel_tx.negotiation.limits import LINES
from stunnel_tx.negotiation.mysql_login import PlainClient, TLSClient, encrypt, log_in
from stunnel_tx.negotiation.mysql_packets import Link, packet
from tests.doubles.conversations import ScriptedPeer, run

_SAID = st.one_of(
    st.binary(max_size=3),
    st.sampled_from([b"\x01\x04", b"\x01", b"\xfe", b"\xfesha256_password\0", b"\x02", b"p\0"]),
)

NONCE = b"NONCE123NONCE456789A"
OK = b"\0\0\0\2\0\0\0"
ERR = b"\xff\x15\x04#28000Access denied"
FAST = b"\x01\x03"
FULL = b"\x01\x04"
PASSWORD = b"p\xc3\xa4ssword\0"


@cache
def private_key() -> rsa.RSAPrivateKey:
    """A server's key, made once."""
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """The public half as a server sends it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def decrypt(data: bytes, nonce: bytes) -> bytes:
    """What the server makes of an encrypted password."""
    padding = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)
    mixed = private_key().decrypt(data, padding)
    return bytes(one ^ other for one, other in zip(mixed, cycle(nonce), strict=False))


class Login:
    """A login with scripted packets; ``told`` and ``heard`` are the payloads of each side."""

    def __init__(self, client: list[bytes], server: list[bytes], *, tls_client: bool) -> None:
        """Payloads in order; every side numbers for itself, from where the response ended."""
        self._client = Numbered(client, 3 if tls_client else 2, answers=True)
        self._server = Numbered(server, 2 if tls_client else 3, answers=False)
        self.client = Link(self._client, 3 if tls_client else 2)
        self.server = Link(self._server, 2 if tls_client else 3)
        self.answer = (
            TLSClient(self.server, NONCE + b"\0").answer
            if tls_client
            else PlainClient(self.server).answer
        )

    def run(self) -> None:
        """Play it."""
        run(log_in(self.client, self.server, self.answer))

    @property
    def told(self) -> list[bytes]:
        """Payloads the client got."""
        return self._client.got

    @property
    def heard(self) -> list[bytes]:
        """Payloads the server got."""
        return self._server.got


class Numbered(ScriptedPeer):
    """Says payloads one after the other, each with the number that is due for its side."""

    def __init__(self, payloads: list[bytes], sequence: int, *, answers: bool) -> None:
        super().__init__(b"")
        self.payloads = payloads
        self.sequence = sequence
        self.got: list[bytes] = []

    async def read_exactly(self, count: int) -> bytes:
        """Number the next payload only when it is asked for."""
        if not self.unread and self.payloads:
            self.incoming += packet(self.payloads.pop(0), self.sequence)
            self._arrived = len(self.incoming)
            self.sequence += 1
        return await super().read_exactly(count)

    async def send(self, data: bytes) -> None:
        """Check the number and keep the payload."""
        size = int.from_bytes(data[:3], "little")
        if size != len(data) - 4 or data[3] != self.sequence:
            raise AssertionError(f"packet {data!r} where number {self.sequence} is due")
        self.sequence += 1
        self.got.append(data[4:])


class LoginTests(SynchronousTestCase):
    """:func:`log_in` with both kinds of client."""

    def test_plugins_passed_on(self) -> None:
        """Switches, rounds of questions and fast logins go through, renumbered, until the end."""
        switch = b"\xfeclient_ed25519\0" + b"n" * 32
        rows: tuple[tuple[list[bytes], list[bytes]], ...] = (
            ([OK], []),
            ([ERR], []),
            ([FAST, OK], []),
            ([switch, OK], [b"s" * 64]),
            ([switch, ERR], [b""]),
            ([b"\xfedialog\0\x04Password: ", b"\x05Token: ", OK], [b"pw\0", b"123\0"]),
            ([b"\xfemysql_native_password\0" + NONCE + b"\0", OK], [b"h" * 20]),
        )
        for server, client in rows:
            for tls_client in (False, True):
                login = Login(client[:], server[:], tls_client=tls_client)
                login.run()
                self.assertEqual((login.told, login.heard), (server, client))

    def test_nothing_beyond_the_end(self) -> None:
        """What follows OK is left for the relay."""
        login = Login([], [OK, b"\x03beyond"], tls_client=True)
        login.run()
        self.assertEqual(login.told, [OK])

    def test_plain_client_asks_for_key(self) -> None:
        """A request for an RSA key never reaches a server that would take it for the password."""
        for said, request in ((FULL, b"\x02"), (b"\xfesha256_password\0" + NONCE, b"\x01")):
            login = Login([request], [said, OK], tls_client=False)
            self.assertRaises(PeerRefused, login.run)
            self.assertEqual(login.heard, [])
            # Through a UNIX socket the client sends the password as it is.
            login = Login([PASSWORD], [said, OK], tls_client=False)
            login.run()
            self.assertEqual((login.told, login.heard), ([said, OK], [PASSWORD]))

    def test_tls_client_sends_password(self) -> None:
        """The password reaches a server without TLS in its RSA key only."""
        key = b"\x01" + pem(private_key())
        other = b"other nonce 20 bytes"
        for said, request, nonce in (
            (FULL, b"\x02", NONCE),
            (b"\xfesha256_password\0" + other + b"\0", b"\x01", other),
        ):
            login = Login([PASSWORD], [said, key, OK], tls_client=True)
            login.run()
            self.assertEqual(login.told, [said, OK])
            self.assertEqual(login.heard[0], request)
            self.assertEqual(decrypt(login.heard[1], nonce), PASSWORD)

    def test_nonce_of_switch(self) -> None:
        """After a switch its nonce counts, for the full login that follows too."""
        other = b"other nonce 20 bytes"
        switch = b"\xfecaching_sha2_password\0" + other + b"\0"
        key = b"\x01" + pem(private_key())
        login = Login([b"h" * 32, PASSWORD], [switch, FULL, key, OK], tls_client=True)
        login.run()
        self.assertEqual(login.told, [switch, FULL, OK])
        self.assertEqual(decrypt(login.heard[2], other), PASSWORD)

    def test_empty_password(self) -> None:
        """An empty password is passed on as it is."""
        login = Login([b"\0"], [FULL, OK], tls_client=True)
        login.run()
        self.assertEqual(login.heard, [b"\0"])

    def test_no_key(self) -> None:
        """Without a usable key the password is sent to nobody."""
        ed = pem(ed25519.Ed25519PrivateKey.generate())
        for answer, error in (
            (ERR, PeerRefused),
            (OK, PeerRefused),
            (b"", PeerRefused),
            (b"\x01", ProtocolViolation),
            (b"\x01nonsense", ProtocolViolation),
            (b"\x01" + ed, ProtocolViolation),
        ):
            login = Login([PASSWORD], [FULL, answer], tls_client=True)
            self.assertRaises(error, login.run)
            self.assertEqual((login.heard, login.told), ([b"\x02"], [FULL]))

    @settings(deadline=None, max_examples=100)
    @given(server=st.lists(_SAID, max_size=6), client=st.lists(_SAID, max_size=6))
    def test_anything(self, server: list[bytes], client: list[bytes]) -> None:
        """Whatever the packets hold, empty ones included, no error is a bug."""
        for tls_client in (False, True):
            with contextlib.suppress(StunnelTxError):
                Login(client[:], server[:], tls_client=tls_client).run()

    def test_limits(self) -> None:
        """Endless rounds, empty packets, long passwords and odd nonces are refused."""
        login = Login([], [FAST] * (LINES + 1), tls_client=True)
        self.assertRaises(LimitExceeded, login.run)
        self.assertRaises(ProtocolViolation, Login([], [b""], tls_client=True).run)
        good = pem(private_key())
        self.assertRaises(ProtocolViolation, encrypt, b"x" * 300, NONCE, good)
        self.assertRaises(ProtocolViolation, encrypt, PASSWORD, b"short", good)
