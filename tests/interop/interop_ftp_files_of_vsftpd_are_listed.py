"""Files are stored in and fetched from vsftpd: TLS on the control connection both ways."""

from __future__ import annotations

import ftplib
import io
from typing import Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite

CONTENT: Final = b"a file\r\n" * 10_000

_VSFTPD: Final = """
listen=YES
background=NO
listen_address=127.0.0.1
listen_port={port}
anonymous_enable=YES
local_enable=NO
ftp_username=ftp
anon_root={root}
write_enable=YES
anon_upload_enable=YES
anon_umask=022
no_anon_password=NO
secure_chroot_dir={empty}
xferlog_enable=YES
dual_log_enable=YES
log_ftp_protocol=YES
vsftpd_log_file={site}/vsftpd.out
xferlog_file={site}/xfer.out
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
{tls}
"""

_TLS: Final = """
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=NO
require_ssl_reuse=NO
rsa_cert_file={site}/server.pem
"""


class VsftpdSite(DaemonSite):
    """vsftpd with one file to fetch, and a folder for files that are stored."""

    def vsftpd(self, *, tls: bool) -> str:
        """Run it: with *tls* it lets nobody log in without, else it knows no TLS; its address."""
        root = self.folder("ftp")
        (root / "there.txt").write_bytes(CONTENT)
        self.incoming = self.folder("ftp/incoming", "ftp")
        port = free_port()
        text = _VSFTPD.format(
            port=port,
            root=root,
            empty=self.folder("empty"),
            site=self.site,
            tls=_TLS.format(site=self.site) if tls else "",
        )
        path = self.file("vsftpd.conf", text)
        self.server = self.daemon("vsftpd", ["vsftpd", str(path)], port)
        return f"127.0.0.1:{port}"

    def logs(self) -> str:
        """The ends of all logs; vsftpd keeps its own in a file."""
        report = self.site / "vsftpd.out"
        return super().logs() + (report.read_text() if report.exists() else "")

    def check_files(self, client: ftplib.FTP) -> None:
        """Log in, look around, fetch a file and store another one."""
        client.login("anonymous", "me@example.org")
        self.assertEqual(sorted(client.nlst()), ["incoming", "there.txt"])
        received = io.BytesIO()
        client.retrbinary("RETR there.txt", received.write)
        self.assertEqual(received.getvalue(), CONTENT)
        client.storbinary("STOR incoming/new.txt", io.BytesIO(CONTENT))
        self.assertEqual((self.incoming / "new.txt").read_bytes(), CONTENT)
        self.assertTrue(client.quit().startswith("221"))


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
