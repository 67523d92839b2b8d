"""FTP with vsftpd, both directions."""

from __future__ import annotations

import ftplib
from typing import Final

from tests.interop.ftp_site import CONTENT, VsftpdSite
from tests.interop.howto.machine import FOLDER, Machine

PAGE: Final = "docs/howto/upgrade-ftp.md"

HOST: Final = "ftp.example.org"


class ServerTests(Machine, VsftpdSite):
    """The server knows no TLS; clients want it, and know who must be there."""

    def test_files(self) -> None:
        """Files are fetched and stored."""
        # Where the server names its own address: clients find it there.
        self.host(HOST, "127.0.0.1")
        self.certificate(FOLDER / "ftp.pem", HOST)
        self.vsftpd(tls=False, address="127.0.0.1:10021")
        ours = self.run_page(PAGE, 0)
        import ssl

        trusting = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        with ftplib.FTP_TLS(HOST, context=trusting) as client:
            client.auth()
            client.prot_c()
            self.check_files(client)
        said = self.run_client(
            "curl", "-sS", "--cacert", "ca.pem", "--ftp-ssl-control", f"ftp://{HOST}/there.txt"
        )
        self.assertEqual(said.encode(), CONTENT)
        self.check_used(ours, "ftp")


class ClientTests(Machine, VsftpdSite):
    """The server talks to nobody without TLS; clients know nothing of it."""

    def test_files(self) -> None:
        """Files are fetched and stored."""
        self.host(HOST, "127.0.0.11")
        self.certificate(self.site / "server.pem", HOST)
        self.vsftpd(tls=True, address="127.0.0.11:21")
        ours = self.run_page(PAGE, 1)
        with ftplib.FTP() as client:
            client.connect("127.0.0.1", 2121)
            client.trust_server_pasv_ipv4_address = True  # type: ignore[attr-defined]
            self.check_files(client)
        url = "ftp://127.0.0.1:2121/there.txt"
        said = self.run_client("curl", "-sS", "--no-ftp-skip-pasv-ip", url)
        self.assertEqual(said.encode(), CONTENT)
        # Without that it goes to 127.0.0.1 for the data, where nobody is (7).
        self.run_client("curl", "-sS", url, status=7)
        self.check_used(ours, "ftp")
