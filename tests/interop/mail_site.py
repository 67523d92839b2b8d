"""A mail site on loopback ports: Dovecot, Postfix, and our program in front of them or behind.

The daemons have configurations, queues and mailboxes of their own in a folder that ends with
the test; nothing of the system's is read or written.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from tests.doubles.real_programs import PATIENCE, eventually, find_program, free_port, missing
from tests.interop.stage import Stage, port_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from tests.doubles.real_programs import RealProgram

#: Who logs in, and whose the mailbox is.
USER, PASSWORD = "ann", "open sesame"
MAILBOX = f"{USER}@example.org"

#: Dovecot takes a client with its own address for one on the same machine, from whom it wants no
#: TLS; so it listens where no client comes from.
ELSEWHERE = "127.0.0.2"

#: Lines of each log that a failing test shows.
_TAIL: Final = 60

_DOVECOT: Final = """
base_dir = {site}/run
state_dir = {site}/state
instance_name = {instance}
log_path = /dev/stderr
auth_verbose = yes
protocols = imap pop3 lmtp sieve
listen = {host}
auth_mechanisms = plain login
mail_location = maildir:{site}/mail/%n
first_valid_uid = 1
{tls}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {site}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={site}/home/%n
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  chroot =
  inet_listener sieve {{
    port = {sieve}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service auth {{
  unix_listener sasl {{
    mode = 0666
  }}
}}
protocol lmtp {{
  mail_plugins = sieve
  postmaster_address = postmaster@example.org
}}
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
}}
"""

_DOVECOT_TLS: Final = """ssl = required
ssl_cert = <{site}/server.pem
ssl_key = <{site}/server.pem
disable_plaintext_auth = yes"""

_DOVECOT_PLAIN: Final = "ssl = no\ndisable_plaintext_auth = no"

_POSTFIX: Final = """
compatibility_level = 3.6
queue_directory = {site}/queue
data_directory = {site}/data
maillog_file = {site}/postfix.out
maillog_file_prefixes = {site}
myhostname = mail.example.org
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
notify_classes =
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_relay_restrictions = {relay}
virtual_mailbox_domains = example.org
virtual_transport = lmtp:inet:{lmtp}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {site}/run/sasl
smtpd_sasl_authenticated_header = yes
smtpd_tls_received_header = yes
smtpd_tls_security_level = {level}
smtpd_tls_cert_file = {site}/server.pem
smtpd_tls_key_file = {site}/server.pem
lmtp_tls_security_level = {lmtp_level}
lmtp_tls_CAfile = {site}/ca.pem
lmtp_tls_secure_cert_match = localhost
lmtp_tls_loglevel = 1
"""

#: The folders of Postfix's queue.
_QUEUES: Final = (
    "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace"
).split()

_POSTFIX_MASTER: Final = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@frozen
class Dovecot:
    """A running Dovecot; its services listen on ``host``."""

    program: RealProgram
    host: str
    ports: Mapping[str, int]

    def address(self, service: str) -> str:
        """Where *service* (imap, pop3, lmtp, sieve) listens, as stunnel writes it."""
        return f"{self.host}:{self.ports[service]}"


@frozen
class Postfix:
    """A running Postfix; it says in ``report`` what it has done."""

    program: RealProgram
    port: int
    report: Path

    @property
    def log(self) -> str:
        """All it has said so far."""
        said = self.report.read_text(encoding="utf-8") if self.report.exists() else ""
        return self.program.log + said


class Site(Stage):
    """A stage with daemons that change their user."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            missing("daemons that change their user need root")
        # For the clients of Python's library: none waits for ever.
        self.addCleanup(socket.setdefaulttimeout, socket.getdefaulttimeout())
        socket.setdefaulttimeout(PATIENCE)
        # Not below TMPDIR, which other users may be unable to enter.
        self.site = Path(tempfile.mkdtemp(prefix="site.", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.site, ignore_errors=True)
        self.site.chmod(0o755)
        shutil.copy(self.directory / "ca.pem", self.site)
        shutil.copy(self.directory / "server.pem", self.site)

    # --- daemons ---------------------------------------------------------------------------

    def folder(self, name: str, owner: str = "root") -> Path:
        """A new folder of the site that belongs to *owner*."""
        made = self.site / name
        made.mkdir()
        shutil.chown(made, owner)
        return made

    def greeting(self, program: RealProgram, host: str, port: int) -> None:
        """Wait until *program* greets clients, as servers of mail and news do."""

        def greets() -> bool:
            if not program.running:
                raise AssertionError(f"{program.name} has ended")
            try:
                with socket.create_connection((host, port)) as sock:
                    return sock.recv(1) != b""
            except OSError:
                return False

        try:
            eventually(greets, f"{program.name} greets")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{program.log}") from None

    def dovecot(self, *, tls: bool) -> Dovecot:
        """Run Dovecot: with *tls* it lets nobody log in without, else it knows no TLS."""
        self.folder("state")
        self.folder("mail", "mail")
        self.folder("home", "mail")
        (self.site / "users").write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
        ports = distinct_ports("imap", "pop3", "lmtp", "sieve")
        text = _DOVECOT.format(
            site=self.site,
            instance=self.site.name,
            host=ELSEWHERE,
            tls=(_DOVECOT_TLS if tls else _DOVECOT_PLAIN).format(site=self.site),
            **ports,
        )
        path = self.site / "dovecot.conf"
        path.write_text(text, encoding="utf-8")
        program = self.start("dovecot", ["dovecot", "-F", "-c", str(path)])
        # Left to itself it takes a second to end.
        self.addCleanup(program.signal, signal.SIGKILL)
        self.greeting(program, ELSEWHERE, ports["sieve"])
        return Dovecot(program, ELSEWHERE, ports)

    def postfix(
        self,
        lmtp: str,
        *,
        tls: bool,
        relay: str = "reject_unauth_destination",
        lmtp_tls: bool = False,
    ) -> Postfix:
        """Run Postfix: with *tls* it takes no mail without, else it knows no TLS.

        It delivers to the LMTP server at *lmtp*, and with *lmtp_tls* only where that has a
        certificate for ``localhost``. *relay* is its setting ``smtpd_relay_restrictions``.
        """
        etc = self.folder("etc")
        self.folder("data", "postfix")
        port = free_port()
        text = _POSTFIX.format(
            site=self.site,
            relay=relay,
            lmtp=lmtp,
            level="encrypt" if tls else "none",
            lmtp_level="secure" if lmtp_tls else "none",
        )
        (etc / "main.cf").write_text(text, encoding="utf-8")
        (etc / "master.cf").write_text(_POSTFIX_MASTER.format(port=port), encoding="utf-8")
        program = self.start_postfix(etc)
        self.greeting(program, "127.0.0.1", port)
        return Postfix(program, port, self.site / "postfix.out")

    def start_postfix(self, etc: Path) -> RealProgram:
        """Make the folders of the queue, then run the daemon without scripts around it."""
        queue = self.folder("queue")
        (queue / "pid").mkdir()
        for name in _QUEUES:
            shutil.chown(self.folder(f"queue/{name}"), "postfix", "postdrop")
        # It waits until the file is two seconds old, lest it be still written.
        os.utime(etc / "main.cf", (0, 0))
        master = ["/usr/lib/postfix/sbin/master", "-c", str(etc), "-s"]
        return self.start("postfix", master)

    # --- our program -----------------------------------------------------------------------

    def before(self, protocol: str, connect: str, **options: str) -> int:
        """Server mode in front of a plain daemon at *connect*; its port."""
        more = f"protocol = {protocol}\n" + options.pop("more", "")
        self.ours = self.server_mode(connect, more, **options)
        return port_of(self.ours, "server")

    def behind(self, protocol: str, connect: str, more: str = "") -> int:
        """Client mode that reaches a daemon with TLS at *connect*; its port."""
        self.ours = self.tunnels(
            f"[client]\nclient = yes\naccept = 127.0.0.1:0\nconnect = {connect}\n"
            f"protocol = {protocol}\nsni = localhost\n"
            f"verifyChain = yes\ncheckHost = localhost\nCAfile = @ca.pem\n{more}",
            "client",
        )
        return port_of(self.ours, "client")

    # --- clients ---------------------------------------------------------------------------

    def trusting(self) -> ssl.SSLContext:
        """The settings of a client that trusts nobody but the test's authority."""
        import ssl

        return ssl.create_default_context(cafile=str(self.directory / "ca.pem"))

    def run_client(self, *command: str, stdin: bytes = b"", status: int = 0) -> str:
        """What *command*, a program with its arguments, says; it must end with *status*."""
        done = subprocess.run(
            [find_program(command[0]), *command[1:]],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
            cwd=self.directory,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        said = done.stdout.decode(errors="replace")
        self.assertEqual(done.returncode, status, f"{command}\n{said}\n{self.logs()}")
        return said

    def s_client(self, protocol: str, port: int, command: str, *options: str) -> str:
        """What ``openssl s_client`` gets for *command* after STARTTLS; it checks the chain."""
        return self.run_client(
            "openssl", "s_client", "-starttls", protocol, "-connect", f"127.0.0.1:{port}",
            "-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname", "localhost",
            "-crlf", "-quiet", *options, stdin=command.encode(),
        )  # fmt: skip

    def mails(self, user: str = USER) -> list[str]:
        """The new messages in the mailbox of *user*, as they are stored."""
        new = self.site / "mail" / user / "new"
        return [path.read_text(encoding="utf-8") for path in sorted(new.glob("*"))]

    def delivered(self, subject: str) -> str:
        """Wait for the message with *subject*, and return it."""
        line = f"\nSubject: {subject}\n"
        try:
            eventually(lambda: any(line in each for each in self.mails()), f"{subject} arrives")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        return next(each for each in self.mails() if line in each)

    def logs(self) -> str:
        """What everybody involved has said last, for the message of a failing test."""
        found = [*self.directory.glob("*.log"), *self.site.glob("*.out")]
        tails = {
            path.name: path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
            for path in sorted(found)
        }
        return "\n".join(f"--- {name}\n" + "\n".join(tail) for name, tail in tails.items())


def distinct_ports(*names: str) -> dict[str, int]:
    """A free port for each of *names*."""
    ports: dict[str, int] = {}
    while len(ports) < len(names):
        port = free_port()
        if port not in ports.values():
            ports[names[len(ports)]] = port
    return ports


def message(subject: str, body: str = "Hello\r\n", recipient: str = MAILBOX) -> bytes:
    """A mail."""
    return (
        f"From: bob@example.net\r\nTo: {recipient}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@example.net>\r\n\r\n{body}"
    ).encode()
