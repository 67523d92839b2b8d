"""What SMTP and LMTP share beyond what the tests of either show."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.errors import LimitExceeded, PeerRefused
from stunnel_tx.negotiation.mail_transfer import Dialect, no_service, upgrade_server
from stunnel_tx.negotiation.peer import Endpoint
from tests.doubles.conversations import ScriptedPeer, Turns, conversation, run

DIALECT = Dialect(b"XMTP", hello=b"XHLO", plain_hello=None, implicit=False)


class NoServiceTests(SynchronousTestCase):
    """The refusal."""

    def test_transient(self) -> None:
        """Mail is never made to bounce by a refusal of ours: all of them are 421."""
        for error in (PeerRefused("554"), LimitExceeded("lines", 1)):
            self.assertTrue(no_service(error).startswith(b"421 4."))


class UpgradeServerTests(SynchronousTestCase):
    """The server is asked for TLS."""

    def test_dialect(self) -> None:
        """The word for hello is the dialect's; the client's address is told to nobody."""
        turns = Turns([(b"", b"220 a\r\n"), (b"XHLO", b"250 a\r\n"), (b"STARTTLS", b"220\r\n")])
        remote = ScriptedPeer(turns)
        talk = conversation(ScriptedPeer(), remote, source=Endpoint("192.0.2.7", 1))
        run(upgrade_server(talk, DIALECT))
        self.assertEqual(remote.sent, b"XHLO localhost\r\nSTARTTLS\r\n")

    def test_error_text(self) -> None:
        """A refusal's text is in the error, escaped and cut."""
        remote = ScriptedPeer(b"554 go away\x1b[2J" + b"x" * 500 + b"\r\n")
        error = self.assertRaises(
            PeerRefused, run, upgrade_server(conversation(ScriptedPeer(), remote), DIALECT)
        )
        self.assertIn("554 go away\\x1b[2Jxxx", str(error))
        self.assertLess(len(str(error)), 120)
