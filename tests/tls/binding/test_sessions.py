"""Tests of stunnel_tx.tls.binding.sessions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.tls.binding.sessions import _id_in, session_id
from tests.doubles.tls_pairs import TLS_1_2, TLS_1_3, raw_socket, tls_pair


class SessionIdTests(SynchronousTestCase):
    """The id of a session, and what it tells."""

    def test_when_it_can_be_resumed(self) -> None:
        """A session has an id of 32 bytes once it can be resumed: in TLS 1.3 after a ticket."""
        for version, before in ((TLS_1_2, 32), (TLS_1_3, 0)):
            server, client = tls_pair(version)
            for each in (server, client):
                self.addCleanup(raw_socket(each).close)
            session = client.get_session()
            assert session is not None
            self.assertEqual(len(session_id(session) or b""), before)
            server.send(b"!")
            client.recv(1)
            session = client.get_session()
            assert session is not None
            self.assertEqual(len(session_id(session) or b""), 32)

    def test_lengths(self) -> None:
        """Short and long forms of DER lengths."""
        front = b"\x02\x01\x01" + b"\x02\x02\x03\x04" + b"\x04\x02\x13\x02"
        for size in (0, 32, 127, 128, 300):
            wanted = bytes(size)
            length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
            body = front + b"\x04" + length + wanted + b"\x04\x00"
            head = b"\x30\x82" + len(body).to_bytes(2, "big")
            self.assertEqual(_id_in(head + body), wanted)
