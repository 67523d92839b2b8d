"""A mail site on loopback ports: Dovecot, Postfix, and our program in front of them or behind.

The daemons have configurations, queues and mailboxes of their own in a folder that ends with
the test; nothing of the system's is read or written.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import frozen

from tests.doubles.real_programs import PATIENCE, eventually, free_port
from tests.interop.daemon_site import DaemonSite, host_and_port, need_users

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.doubles.real_programs import RealProgram

#: Who logs in, and whose the mailbox is.
USER, PASSWORD = "ann", "open sesame"
MAILBOX = f"{USER}@example.org"

#: Dovecot takes a client with its own address for one on the same machine, from whom it wants no
#: TLS; so it listens where no client comes from.
ELSEWHERE = "127.0.0.2"

_DOVECOT: Final = """
base_dir = {site}/run
state_dir = {site}/state
instance_name = {instance}
log_path = /dev/stderr
auth_verbose = yes
protocols = imap pop3 lmtp sieve
listen = {hosts}
haproxy_trusted_networks = 127.0.0.0/8
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
    haproxy = {told}
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
{address} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol={told}
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
    """A running Dovecot; its services listen on ``host``, and maybe on others."""

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

    def said(self, text: str) -> None:
        """Wait until *text* was said: a process of its own writes the report, some time later."""
        eventually(lambda: text in self.log, f"Postfix says {text!r}")


class Site(DaemonSite):
    """A stage with servers of mail, and the ``users`` that can log in."""

    users: ClassVar[Mapping[str, str]] = {USER: PASSWORD}

    def setUp(self) -> None:
        super().setUp()
        need_users()
        # For the clients of Python's library: none waits for ever.
        self.addCleanup(socket.setdefaulttimeout, socket.getdefaulttimeout())
        socket.setdefaulttimeout(PATIENCE)

    # --- daemons ---------------------------------------------------------------------------

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

    def dovecot(
        self,
        *,
        tls: bool,
        hosts: Sequence[str] = (ELSEWHERE,),
        ports: Mapping[str, int] | None = None,
        told: bool = False,
    ) -> Dovecot:
        """Run Dovecot: with *tls* it lets nobody log in without, else it knows no TLS.

        Every service listens on all *hosts*, on a free port unless *ports* has one. With *told*
        the PROXY header of an IMAP client tells who it is.
        """
        self.folder("state")
        self.folder("mail", "mail")
        self.folder("home", "mail")
        users = "".join(f"{name}:{password}\n" for name, password in self.users.items())
        (self.site / "users").write_text(users, encoding="utf-8")
        ports = distinct_ports("imap", "pop3", "lmtp", "sieve") if ports is None else ports
        text = _DOVECOT.format(
            site=self.site,
            instance=self.site.name,
            hosts=", ".join(hosts),
            tls=(_DOVECOT_TLS if tls else _DOVECOT_PLAIN).format(site=self.site),
            told="yes" if told else "no",
            **ports,
        )
        path = self.site / "dovecot.conf"
        path.write_text(text, encoding="utf-8")
        program = self.start("dovecot", ["dovecot", "-F", "-c", str(path)])
        # Left to itself it takes a second to end.
        self.addCleanup(program.signal, signal.SIGKILL)
        self.greeting(program, hosts[0], ports["sieve"])
        return Dovecot(program, hosts[0], ports)

    def postfix(
        self,
        lmtp: str,
        *,
        tls: bool,
        relay: str = "reject_unauth_destination",
        lmtp_tls: bool = False,
        address: str = "",
        told: bool = False,
    ) -> Postfix:
        """Run Postfix: with *tls* it takes no mail without, else it knows no TLS.

        It delivers to the LMTP server at *lmtp*, and with *lmtp_tls* only where that has a
        certificate for ``localhost``. *relay* is its setting ``smtpd_relay_restrictions``. It
        listens at *address*, on a free port without one. With *told* PROXY headers tell it who
        its clients are, and it talks to nobody without.
        """
        etc = self.folder("etc")
        self.folder("data", "postfix")
        host, port = host_and_port(address or free_port())
        text = _POSTFIX.format(
            site=self.site,
            relay=relay,
            lmtp=lmtp,
            level="encrypt" if tls else "none",
            lmtp_level="secure" if lmtp_tls else "none",
        )
        (etc / "main.cf").write_text(text, encoding="utf-8")
        services = _POSTFIX_MASTER.format(address=f"{host}:{port}", told="haproxy" if told else "")
        (etc / "master.cf").write_text(services, encoding="utf-8")
        program = self.start_postfix(etc)
        if told:
            self.accepts(program, f"{host}:{port}")
        else:
            self.greeting(program, host, port)
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

    # --- clients ---------------------------------------------------------------------------

    def trusting(self) -> ssl.SSLContext:
        """The settings of a client that trusts nobody but the test's authority."""
        import ssl

        return ssl.create_default_context(cafile=str(self.directory / "ca.pem"))

    def session(self, protocol: str, port: int, commands: str, *options: str) -> str:
        """What ``openssl s_client`` gets for *commands* after STARTTLS; it checks who is there."""
        options = ("-crlf", "-quiet", *options)
        return self.s_client(protocol, port, *options, stdin=commands.encode())

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
