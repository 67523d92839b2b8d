"""Files are stored in and fetched from vsftpd: TLS on the control connection both ways."""

from __future__ import annotations

import ftplib

from tests.interop.ftp_site import CONTENT, VsftpdSite


class ClientModeTests(VsftpdSite):
    """Clients without TLS; vsftpd lets nobody log in without it."""

    def test_files(self) -> None:
        """ftplib, curl and lftp fetch and store files; without us they are refused."""
        address = self.vsftpd(tls=True)
        with ftplib.FTP() as direct:
            direct.connect("127.0.0.1", int(address.rpartition(":")[2]))
            with self.assertRaises(ftplib.error_perm):
                direct.login("anonymous", "me@example.org")
        port = self.behind("ftp", address)
        with ftplib.FTP() as client:
            client.connect("127.0.0.1", port)
            self.check_files(client)
        url = f"ftp://127.0.0.1:{port}"
        self.assertEqual(self.run_client("curl", "-sS", f"{url}/there.txt").encode(), CONTENT)
        said = self.run_client("lftp", "-e", "set ftp:ssl-allow no; cls -1; exit", url)
        self.assertEqual(said.split(), ["incoming/", "there.txt"])


class ServerModeTests(VsftpdSite):
    """Clients with TLS; vsftpd knows nothing of it."""

    def setUp(self) -> None:
        super().setUp()
        self.port = self.before("ftp", self.vsftpd(tls=False))
        self.url = f"ftp://127.0.0.1:{self.port}"

    def test_files(self) -> None:
        """ftplib, curl and lftp fetch and store files, with data connections in the clear."""
        import ssl

        trusting = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        with ftplib.FTP_TLS(context=trusting) as client:
            client.connect("127.0.0.1", self.port)
            client.auth()
            client.prot_c()
            self.check_files(client)
        said = self.run_client(
            "curl", "-sS", "--cacert", "ca.pem", "--ftp-ssl-control", f"{self.url}/there.txt"
        )
        self.assertEqual(said.encode(), CONTENT)
        options = (
            "set ftp:ssl-force yes; set ftp:ssl-allow-anonymous yes; set ftp:ssl-protect-data no;"
            f"set ftp:ssl-protect-list no; set ssl:ca-file {self.directory}/ca.pem; cls -1; exit"
        )
        said = self.run_client("lftp", "-e", options, self.url)
        self.assertEqual(said.split(), ["incoming/", "there.txt"])

    def test_both_modes(self) -> None:
        """A client without TLS works through client mode in front of server mode."""
        port = self.behind("ftp", f"127.0.0.1:{self.port}")
        with ftplib.FTP() as client:
            client.connect("127.0.0.1", port)
            self.check_files(client)

    def test_protected_data(self) -> None:
        """A client that insists on protected data connections learns that there are none."""
        with ftplib.FTP_TLS() as client:
            client.connect("127.0.0.1", self.port)
            client.auth()
            client.voidcmd("PBSZ 0")
            with self.assertRaisesRegex(ftplib.error_perm, "^536"):
                client.voidcmd("PROT P")
        # 64: the required level of TLS failed.
        self.run_client("curl", "-sS", "-k", "--ssl-reqd", f"{self.url}/there.txt", status=64)

    def test_login_has_to_wait(self) -> None:
        """A client that logs in without TLS is refused, and its password is nowhere."""
        with ftplib.FTP() as client:
            client.connect("127.0.0.1", self.port)
            with self.assertRaisesRegex(ftplib.error_perm, "^530"):
                client.login("anonymous", "secret@example.org")
        self.assertNotIn("secret@", self.logs())

    def test_s_client(self) -> None:
        """The program openssl s_client logs in."""
        said = self.s_client(
            "ftp", self.port, "-quiet", "-ign_eof", "-crlf",
            stdin=b"USER anonymous\nPASS me@example.org\nQUIT\n",
        )  # fmt: skip
        self.assertIn("230 Login successful", said)
        self.assertIn("221 Goodbye", said)

    def test_implicit_tls(self) -> None:
        """A curl that starts TLS at once is served on the same port."""
        said = self.run_client(
            "curl", "-sS", "--cacert", "ca.pem", "--ftp-ssl-control",
            f"ftps://127.0.0.1:{self.port}/there.txt",
        )  # fmt: skip
        self.assertEqual(said.encode(), CONTENT)
