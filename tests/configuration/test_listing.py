"""Tests of stunnel_tx.configuration.listing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from stunnel_tx.configuration.listing import default_lines, flag_lines, help_lines, socket_lines
from stunnel_tx.configuration.options import OPTIONS

DEFAULTS = """\
Global options:
RNDbytes               = 1024
RNDfile                = /dev/urandom
RNDoverwrite           = yes
 \n\
Service-level options:
ciphers                = kECDHEPSK+CHACHA20:ECDHE+AESGCM:ECDHE+CHACHA20
ciphersuites           = TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:\
TLS_CHACHA20_POLY1305_SHA256 (with TLSv1.3)
curves                 = X25519MLKEM768:X25519:P-256:X448:P-521:P-384
debug                  = daemon.notice
logId                  = sequential
options                = NO_SSLv2
options                = NO_SSLv3
securityLevel          = 2
sessionCacheSize       = 1000
sessionCacheTimeout    = 300 seconds
stack                  = 131072 bytes
TIMEOUTbusy            = 300 seconds
TIMEOUTclose           = 60 seconds
TIMEOUTconnect         = 10 seconds
TIMEOUTidle            = 43200 seconds
TIMEOUTocsp            = 5 seconds
verify                 = none"""


class ListingTests(SynchronousTestCase):
    """The information modes of the command line."""

    def test_defaults(self) -> None:
        """The defaults read exactly as those of stunnel 5.82."""
        self.assertEqual(default_lines(), DEFAULTS.split("\n"))

    def test_help(self) -> None:
        """Every option has one line of help in its part, the name padded to 22 columns."""
        lines = help_lines()
        names = [line.split(" ")[0] for line in lines if " = " in line]
        self.assertEqual(sorted(names), sorted(option.name for option in OPTIONS))
        border = lines.index("Service-level options:")
        self.assertLess(lines.index(next(x for x in lines if x.startswith("pid "))), border)
        self.assertGreater(lines.index(next(x for x in lines if x.startswith("accept "))), border)
        for line in lines:
            if " = " in line:
                self.assertEqual(line[22:25], " = ", line)

    def test_help_tells_what_is_missing(self) -> None:
        """The help says which options cannot be used."""
        lines = {line.split(" ")[0]: line for line in help_lines()}
        self.assertIn("(not supported yet)", lines["exec"])
        self.assertIn("(not available)", lines["engine"])
        self.assertTrue(lines["accept"].endswith("address to listen on"))

    def test_flags(self) -> None:
        """The flags are listed one a line, as they are written in a file."""
        lines = flag_lines()
        self.assertEqual(lines[:2], ["Supported TLS options:", "options = ALL"])
        self.assertEqual(len(lines), 60)

    def test_sockets(self) -> None:
        """There is a table for TCP and one for UDP, with columns as stunnel's."""
        lines = socket_lines(lambda name, udp: None if name == "IP_TTL" else f"{name[:2]}{udp:d}")
        udp = lines.index("UDP socket option defaults:")
        self.assertEqual(lines[0], "TCP socket option defaults:")
        tcp_table, udp_table = "\n".join(lines[:udp]), "\n".join(lines[udp:])
        self.assertIn(
            "    SO_REUSEADDR        |       yes|    --    |    --    |       SO0", tcp_table
        )
        self.assertIn(
            "    TCP_NODELAY         |    --    |       yes|       yes|       TC0", tcp_table
        )
        self.assertIn(
            "    SO_REUSEADDR        |       yes|       yes|    --    |       SO1", udp_table
        )
        self.assertIn("(Remote SO_SNDBUF in server mode: 131072)", tcp_table)
        self.assertNotIn("UDP_GRO", tcp_table)
        self.assertNotIn("TCP_NODELAY", udp_table)
        self.assertNotIn("IP_TTL", tcp_table + udp_table)
        self.assertNotIn("IP_BINDANY", tcp_table + udp_table)
