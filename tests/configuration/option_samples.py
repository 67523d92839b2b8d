"""A good value, what it means, and a bad value, for every option."""

from __future__ import annotations

from ipaddress import ip_network

from attrs import frozen

from stunnel_tx.configuration.addresses import EndpointString, HostPort, UnixPath
from stunnel_tx.configuration.openssl_commands import Overrides
from stunnel_tx.configuration.option_flags import OptionFlags
from stunnel_tx.configuration.protocol_values import PermittedNetwork
from stunnel_tx.configuration.protocols import BUILT_IN
from stunnel_tx.configuration.socket_options import SocketOption
from stunnel_tx.configuration.values import DebugLevel

__all__ = ["ANYTHING_GOES", "SAMPLES", "Sample"]


@frozen
class Sample:
    """Texts that must be read as values, and texts that must be refused."""

    good: tuple[tuple[str, object], ...]
    bad: tuple[str, ...]


ANYTHING_GOES = frozenset(
    {"CAfile", "CApath", "chroot", "CRLfile", "CRLpath", "EGD", "key", "pid", "RNDfile", "sni"}
)
"""Options for which every text has a meaning, the empty one included."""

_YES_NO = Sample((("yes", True), ("NO", False)), ("true", "1", "", "on"))
_TEXT = Sample((("some text", "some text"),), ("",))
_CLEARABLE = Sample((("some text", "some text"), ("", None)), ())
_ENTRY = Sample((("entry", ("entry",)),), ("",))
_TIMEOUT = Sample((("30", 30), ("0", 0), ("-1", -1)), ("", "30s", "1.5", "x"))
_VERSION = Sample(
    (("TLSv1.2", 0x0303), ("tlsv1.3", 0x0304), ("TLSv1", 0x0301), ("all", 0)),
    ("SSLv3", "SSLv2", "TLSv1.4", "DTLSv1.2", ""),
)
_ACCOUNT = Sample((("nobody", "nobody"), ("65534", "65534"), ("0", None)), ("",))
_KEY = Sample(
    (("00" * 16, bytes(16)), (":".join(["a0"] * 32), b"\xa0" * 32)),
    ("00", "0" * 33, "xx" * 16, "0:0" * 16, ""),
)

_NOT_AN_ADDRESS = ("", "example.com", "host:", "http://host:80", "host:99999", "[::1]", "1:2:3:4")
_ADDRESSES = (
    ("443", (HostPort(None, 443, "443"),)),
    ("host:https", (HostPort("host", "https", "host:https"),)),
    ("/run/x.sock", (UnixPath("/run/x.sock"),)),
    ("unix:/run/x.sock", (EndpointString("unix", "unix:/run/x.sock"),)),
)
_CONNECT = Sample(_ADDRESSES, (*_NOT_AN_ADDRESS, "host:0"))

_GLOBAL = {
    "chroot": _CLEARABLE,
    "compression": Sample((("zlib", "zlib"), ("Deflate", "deflate")), ("lzma", "")),
    "EGD": _CLEARABLE,
    "engine": _ENTRY,
    "engineCtrl": _ENTRY,
    "engineDefault": _ENTRY,
    "fips": _YES_NO,
    "foreground": Sample((("quiet", "quiet"), ("Yes", "yes")), ("loud", "")),
    "iconActive": _TEXT,
    "iconError": _TEXT,
    "iconIdle": _TEXT,
    "log": Sample((("overwrite", "overwrite"),), ("truncate", "")),
    "output": _TEXT,
    "pid": Sample((("/run/x.pid", "/run/x.pid"), ("", None)), ()),
    "provider": _ENTRY,
    "providerParameter": _ENTRY,
    "RNDbytes": Sample((("64", 64),), ("x", "")),
    "RNDfile": _CLEARABLE,
    "RNDoverwrite": _YES_NO,
    "setEnv": Sample(
        (("A=b=c", (("A", "b=c"),)), ("A=", (("A", None),)), ("A", (("A", None),))), ("=b", "")
    ),
    "syslog": _YES_NO,
    "taskbar": _YES_NO,
}

_SERVICE = {
    "accept": Sample((*_ADDRESSES, ("0", (HostPort(None, 0, "0"),))), _NOT_AN_ADDRESS),
    "client": _YES_NO,
    "connect": _CONNECT,
    "debug": Sample(
        (
            ("7", DebugLevel("daemon", 7)),
            ("Warning", DebugLevel("daemon", 4)),
            ("LOCAL3.err", DebugLevel("local3", 3)),
        ),
        ("8", "warn", "daemon.", "nowhere.3", "", "."),
    ),
    "delay": _YES_NO,
    "exec": _TEXT,
    "execArgs": Sample((("cat  -u", ("cat", "-u")),), ("",)),
    "failover": Sample((("RR", "rr"), ("prio", "prio")), ("random", "")),
    "ident": _TEXT,
    "include": _TEXT,
    "libwrap": _YES_NO,
    "local": Sample((("192.0.2.1", "192.0.2.1"), ("[::1]", "::1")), ("", "host:80", "a b")),
    "logId": Sample((("Unique", "unique"),), ("random", "")),
    "pty": _YES_NO,
    "redirect": _CONNECT,
    "requireCloseNotify": _YES_NO,
    "reset": _YES_NO,
    "retry": Sample((("yes", 1000), ("no", None), ("0", 0), ("250", 250)), ("-1", "soon", "")),
    "service": _TEXT,
    "setgid": _ACCOUNT,
    "setuid": _ACCOUNT,
    "socket": Sample(
        (
            ("l:TCP_NODELAY=no", (SocketOption("l", "TCP_NODELAY", value=False),)),
            ("a:SO_LINGER=1:60", (SocketOption("a", "SO_LINGER", (1, 60)),)),
        ),
        ("", "x:SO_DEBUG=yes", "a:SO_NONE=1", "a:so_debug=yes", "a:SO_DEBUG", "a:SO_DEBUG=2"),
    ),
    "stack": Sample((("65536", 65536),), ("big", "")),
    "TIMEOUTbusy": _TIMEOUT,
    "TIMEOUTclose": _TIMEOUT,
    "TIMEOUTconnect": _TIMEOUT,
    "TIMEOUTidle": _TIMEOUT,
    "TIMEOUTocsp": _TIMEOUT,
    "transparent": Sample((("yes", "source"), ("no", "none"), ("Both", "both")), ("on", "")),
    "transport": Sample((("UDP", "udp"), ("tcp", "tcp")), ("sctp", "")),
}

_PROTOCOL = {
    "acceptProxy": Sample(
        (
            ("10.0.0.0/8", (ip_network("10.0.0.0/8"),)),
            ("UNIX, 2001:db8::1", ("unix", ip_network("2001:db8::1/128"))),
        ),
        ("", "10.0.0.1/8", "host", "10.0.0.0/8,", "all"),
    ),
    "protocol": Sample(
        (("SMTP", BUILT_IN["smtp"]), ("xmpp-server", BUILT_IN["xmpp-server"])), ("gopher", "")
    ),
    "protocolAllow": Sample(
        (
            ("192.0.2.1", (PermittedNetwork(ip_network("192.0.2.1/32")),)),
            (
                "10.0.0.0/8  443,8000-8099",
                (PermittedNetwork(ip_network("10.0.0.0/8"), (range(443, 444), range(8000, 8100))),),
            ),
        ),
        ("", "host 80", "10.0.0.1/8", "10.0.0.0/8 80 81", "::/0 0", "::/0 65536", "::/0 9-8"),
    ),
    "protocolAuthentication": _TEXT,
    "protocolDomain": _TEXT,
    "protocolHeader": _ENTRY,
    "protocolHost": _TEXT,
    "protocolPassword": _TEXT,
    "protocolUsername": _TEXT,
    "sendProxy": Sample((("1", 1), ("2", 2), ("None", 0)), ("0", "3", "v1", "yes", "")),
}

_TLS = {
    "cert": _ENTRY,
    "ciphers": _TEXT,
    "ciphersuites": _TEXT,
    "config": Sample(
        (
            ("cipherstring:HIGH", (Overrides(ciphers="HIGH"),)),
            ("MinProtocol:TLSv1.2", (Overrides(min_version=0x0303),)),
        ),
        ("", "CipherString", "Nonsense:1", "MinProtocol:SSLv3", "Options:Nonsense"),
    ),
    "curves": _TEXT,
    "engineId": _TEXT,
    "engineNum": Sample((("1", 1),), ("0", "x", "")),
    "key": _CLEARABLE,
    "keyLog": _TEXT,
    "options": Sample(
        (("no_ticket", OptionFlags(1 << 14, 0)), ("-NO_SSLv3", OptionFlags(0, 1 << 25))),
        ("NO_SSLv9", "-", ""),
    ),
    "PSKidentity": _TEXT,
    "PSKsecrets": _TEXT,
    "renegotiation": _YES_NO,
    "renew": _YES_NO,
    "securityLevel": Sample((("0", 0), ("5", 5)), ("6", "-1", "")),
    "sessionCacheSize": Sample((("0", 0), ("50000", 50000)), ("many", "")),
    "sessionCacheTimeout": Sample((("60", 60),), ("long", "")),
    "sessiond": Sample(
        (("192.0.2.1:54321", HostPort("192.0.2.1", 54321, "192.0.2.1:54321")),), ("192.0.2.1", "")
    ),
    "sessionResume": _YES_NO,
    "sni": Sample((("www.example.org", ("www.example.org",)), ("", ("",))), ()),
    "sniUnknown": Sample((("Refuse", "refuse"), ("primary", "primary")), ("ignore", "")),
    "alpn": Sample(
        (
            ("h2, http/1.1", (b"h2", b"http/1.1")),
            ("imap", (b"imap",)),
            ("a:b", (b"a", b"b")),
        ),
        ("", ",", "h2,", "x" * 256),
    ),
    "requireALPN": _YES_NO,
    "clientIdentity": _ENTRY,
    "sslVersion": _VERSION,
    "sslVersionMax": _VERSION,
    "sslVersionMin": _VERSION,
    "ticketKeySecret": _KEY,
    "ticketMacSecret": _KEY,
    "tlsProfile": Sample((("Modern", "modern"), ("old", "old")), ("fast", "")),
}

_VERIFICATION = {
    "CAengine": _ENTRY,
    "CAfile": Sample((("ca.pem", "ca.pem"), ("", None)), ()),
    "CApath": Sample((("/etc/ssl/certs", "/etc/ssl/certs"), ("", None)), ()),
    "CAstore": Sample((("System", "system"),), ("org.openssl.winstore:", "")),
    "checkCN": _ENTRY,
    "checkDNS": Sample(
        (("*.Example.org", ("*.Example.org",)), ("host", ("host",))),
        ("", "*", "a.*.org", "w*.example.org", "a b", "a..b"),
    ),
    "checkEmail": _ENTRY,
    "checkHost": _ENTRY,
    "checkIP": Sample(
        (("192.0.2.1", ("192.0.2.1",)), ("[2001:DB8::0:1]", ("2001:db8::1",))),
        ("192.0.2", "host", ""),
    ),
    "checkO": _ENTRY,
    "checkOU": _ENTRY,
    "checkURI": Sample(
        (
            ("spiffe://td/ns/*/sa/web", ("spiffe://td/ns/*/sa/web",)),
            ("spiffe://td/**", ("spiffe://td/**",)),
            ("urn:example:a", ("urn:example:a",)),
        ),
        ("", "td/ns", "spiffe://*/x", "spiffe://td/a*", "spiffe://td/**/x", "urn:*", "a:b c"),
    ),
    "CRLcheckChain": _YES_NO,
    "CRLfile": _CLEARABLE,
    "CRLpath": _CLEARABLE,
    "OCSP": Sample(
        (("http://ocsp.example.org/x", "http://ocsp.example.org/x"),),
        ("https://ocsp.example.org/", "ocsp.example.org", ""),
    ),
    "OCSPaia": _YES_NO,
    "OCSPflag": Sample((("nocerts", frozenset({"NOCERTS"})),), ("NOTHING", "")),
    "OCSPnonce": _YES_NO,
    "OCSPrequire": _YES_NO,
    "pinSHA256": Sample(
        (
            ("A" * 43 + "=", (bytes(32),)),
            ("sha256//" + "A" * 43 + "=", (bytes(32),)),
        ),
        ("", "AAAA", "A" * 44, "a" * 64),
    ),
    "requireCert": _YES_NO,
    "verify": Sample((("0", 0), ("4", 4)), ("5", "-1", "yes", "")),
    "verifyChain": _YES_NO,
    "verifyPeer": _YES_NO,
}

SAMPLES: dict[str, Sample] = {**_GLOBAL, **_SERVICE, **_PROTOCOL, **_TLS, **_VERIFICATION}
