"""vsftpd with files to fetch and a folder for those that are stored."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from tests.doubles.real_programs import free_port
from tests.interop.daemon_site import DaemonSite, host_and_port

if TYPE_CHECKING:
    import ftplib

CONTENT: Final = b"a file\r\n" * 10_000

_VSFTPD: Final = """
listen=YES
background=NO
listen_address={host}
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

    def vsftpd(self, *, tls: bool, address: str = "") -> str:
        """Run it: with *tls* it lets nobody log in without, else it knows no TLS; its address.

        It listens at *address*, on a free port without one.
        """
        root = self.folder("ftp")
        (root / "there.txt").write_bytes(CONTENT)
        self.incoming = self.folder("ftp/incoming", "ftp")
        host, port = host_and_port(address or free_port())
        text = _VSFTPD.format(
            host=host,
            port=port,
            root=root,
            empty=self.folder("empty"),
            site=self.site,
            tls=_TLS.format(site=self.site) if tls else "",
        )
        path = self.file("vsftpd.conf", text)
        self.server = self.daemon("vsftpd", ["vsftpd", str(path)], f"{host}:{port}")
        return f"{host}:{port}"

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
