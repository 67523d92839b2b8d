"""Tests of the configurations written for each program."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.certificates import make_certificates, make_named
from benchmarks.configurations import (
    Setting,
    haproxy_configuration,
    hitch_configuration,
    stunnel_configuration,
)
from benchmarks.errors import NotMeasurable
from stunnel_tx.configuration.loader import load
from stunnel_tx.configuration.sources import file_source

_SERVER = Setting(accept=20001, connect=20002, certificate=Path("ecdsa.pem"))
_CLIENT = evolve(_SERVER, client=True)
_MAIL = evolve(_SERVER, protocol="smtp")
_NAMED = evolve(_SERVER, names=(("n0.example", Path("n0.pem")),))


class StunnelTests(SynchronousTestCase):
    """The file that stunnel and this program share."""

    def test_loads(self) -> None:
        """This program finds no error in it, on either side."""
        directory = Path(self.mktemp())
        directory.mkdir()
        setting = evolve(_SERVER, certificate=make_certificates(directory).ecdsa.resolve())
        for client in (False, True):
            path = directory / "stunnel.conf"
            path.write_text(stunnel_configuration(evolve(setting, client=client)))
            configuration = load(file_source(str(path)))
            self.assertEqual(len(configuration.services), 1)
        path.write_text(stunnel_configuration(evolve(setting, names=make_named(directory, 3))))
        self.assertEqual(len(load(file_source(str(path))).services), 4)
        path.write_text(stunnel_configuration(evolve(setting, protocol="smtp", beside=(3, 4))))
        mail, beside = load(file_source(str(path))).services
        self.assertIsNotNone(mail["protocol"])
        self.assertIsNone(beside["protocol"])

    def test_sides(self) -> None:
        """A server shows its certificate; a client needs none."""
        self.assertIn("\ncert = ecdsa.pem\n", stunnel_configuration(_SERVER))
        self.assertNotIn("client", stunnel_configuration(_SERVER))
        self.assertIn("\nclient = yes\n", stunnel_configuration(_CLIENT))
        self.assertNotIn("cert", stunnel_configuration(_CLIENT))

    def test_protocol(self) -> None:
        """A negotiation is named when there is one, and only then."""
        self.assertIn("\nprotocol = smtp\n", stunnel_configuration(_MAIL))
        self.assertNotIn("protocol", stunnel_configuration(_SERVER))


class HaproxyTests(SynchronousTestCase):
    """haproxy's file."""

    def test_sides(self) -> None:
        """TLS is on the side where it belongs, and on no other."""
        server = haproxy_configuration(_SERVER)
        self.assertIn("  bind 127.0.0.1:20001 ssl crt ecdsa.pem\n", server)
        self.assertIn("  server backend 127.0.0.1:20002\n", server)
        client = haproxy_configuration(_CLIENT)
        self.assertIn("  bind 127.0.0.1:20001\n", client)
        self.assertIn("  server backend 127.0.0.1:20002 ssl verify none\n", client)

    def test_connections(self) -> None:
        """It is told how many connections may come."""
        text = haproxy_configuration(evolve(_SERVER, most_connections=77))
        self.assertIn("  maxconn 77\n", text)

    def test_protocol(self) -> None:
        """What it cannot do is said."""
        for setting in (_MAIL, _NAMED):
            with self.assertRaises(NotMeasurable):
                haproxy_configuration(setting)


class HitchTests(SynchronousTestCase):
    """hitch's file."""

    def test_server(self) -> None:
        """It has both addresses, the certificate and one worker."""
        lines = hitch_configuration(_SERVER).splitlines()
        self.assertIn('frontend = "[127.0.0.1]:20001"', lines)
        self.assertIn('backend = "[127.0.0.1]:20002"', lines)
        self.assertIn('pem-file = "ecdsa.pem"', lines)
        self.assertIn("workers = 1", lines)

    def test_user(self) -> None:
        """It becomes another user only where one is named."""
        self.assertNotIn("user", hitch_configuration(_SERVER))
        self.assertIn('user = "nobody"', hitch_configuration(evolve(_SERVER, user="nobody")))

    def test_not_measurable(self) -> None:
        """What it cannot do is said."""
        for setting in (_CLIENT, _MAIL, _NAMED):
            with self.assertRaises(NotMeasurable):
                hitch_configuration(setting)
