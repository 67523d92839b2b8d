"""What ``protocol`` and the options around it must come to together."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from stunnel_tx.configuration.protocol_warnings import PROXIES
from stunnel_tx.configuration.rule import Complaint, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.configuration.rule import Subject

__all__ = ["PROTOCOL_RULES", "place_fault"]

NTLM_REFUSED = (
    "NTLM is not supported: what HTTP proxies take of it rests on MD4 and single DES or MD5"
)

_LOGIN = ("protocolUsername", "protocolPassword")

MAX_PORT = 65535

LONGEST_CREDENTIAL = 255
"""Bytes of a user or a password in SOCKS 5 (RFC 1929 section 2)."""

_HOST = re.compile(r"[!$%+.0-9A-Z^_a-z~:-]{1,255}")
_MAIL_NAME = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9._:\]-]{0,254}")
_DOMAIN = re.compile(r"[^\s\x00-\x20\x7f'\"<>&]{1,1023}")

_NAMES = {"lmtp": _MAIL_NAME, "smtp": _MAIL_NAME, "xmpp": _DOMAIN, "xmpp-server": _DOMAIN}
"""What a client of a protocol may call itself, or whom it may ask for."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
"""A field line (RFC 9110 section 5.1): a token, a colon, and no control characters."""

_AUTHENTICATION = {
    "connect": ("basic",),
    "lmtp": ("plain", "login"),
    "smtp": ("plain", "login"),
}


def _name(settings: Settings) -> str:
    return "" if settings["protocol"] is None else str(settings["protocol"].name)


def _protocol(subject: Subject) -> Iterator[Complaint]:
    protocol = subject["protocol"]
    mode = "client" if subject["client"] else "server"
    if protocol is None:
        return
    if subject["transport"] == "udp":
        yield Complaint("Protocol not supported over udp", "protocols are made for tcp", "protocol")
    elif protocol.unsupported:
        yield Complaint(
            f"Protocol not supported: {protocol}: {protocol.unsupported}", "remove it", "protocol"
        )
    elif not (protocol.client if subject["client"] else protocol.server):
        yield Complaint(
            f"Protocol not supported in {mode} mode: {protocol}", "remove it", "protocol"
        )


def _protocol_host(subject: Subject) -> Iterator[Complaint]:
    protocol, given = _name(subject.settings), subject["protocolHost"]
    if not subject["client"]:
        return
    if protocol in PROXIES:
        if given is None:
            yield Complaint(
                f'"protocolHost" has to be configured for "protocol = {protocol}"',
                "add protocolHost = HOST:PORT, the place to reach behind the proxy",
                "protocol",
            )
        elif remedy := place_fault(given):
            yield Complaint("Invalid protocolHost", remedy, "protocolHost")
    elif given is not None and protocol in _NAMES and not _NAMES[protocol].fullmatch(given):
        remedy = "write a host name, or an address in brackets"
        if protocol.startswith("xmpp"):
            remedy = "write the domain, without blanks and quotes"
        yield Complaint("Invalid protocolHost", remedy, "protocolHost")


def place_fault(given: str) -> str:
    """What would be right in place of *given* as HOST:PORT; empty when it is right."""
    host, _, port = given.rpartition(":")
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    if not host or not digits or not 0 < int(port) <= MAX_PORT:
        return "write HOST:PORT"
    if host.startswith("[") and host.endswith("]"):
        return "" if _is_ipv6(host[1:-1]) else "write an IPv6 address in the brackets"
    if ":" in host:
        return f"an IPv6 address needs brackets: write [{host}]:{port}"
    return "" if _HOST.fullmatch(host) else "write HOST:PORT, the host in visible ASCII characters"


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _credentials(subject: Subject) -> Iterator[Complaint]:
    """Half of them is no protection where they are asked for, and no use where they are sent."""
    if subject["protocol"] is None:
        return
    for option, other in (_LOGIN, _LOGIN[::-1]):
        if subject[option] is not None and subject[other] is None:
            yield Complaint(f'"{option}" needs "{other}"', f"add {other}", option)


def _credential_values(subject: Subject) -> Iterator[Complaint]:
    protocol = _name(subject.settings)
    for option in _LOGIN:
        given = subject[option]
        if given is None:
            continue
        size = len(given.encode("utf-8", "surrogateescape"))
        if protocol == "socks" and size > LONGEST_CREDENTIAL:
            remedy = f"SOCKS has room for {LONGEST_CREDENTIAL} bytes (RFC 1929)"
            yield Complaint(f"{option} is too long", remedy, option)
    username = subject["protocolUsername"]
    if protocol == "connect" and username is not None and ":" in username:
        remedy = "Basic authentication ends the user at the first colon (RFC 7617)"
        yield Complaint("protocolUsername contains a colon", remedy, "protocolUsername")


def _headers(subject: Subject) -> Iterator[Complaint]:
    if _name(subject.settings) != "connect" or not subject["client"]:
        return
    for line in subject["protocolHeader"]:
        if not _HEADER.fullmatch(line):
            yield Complaint("Invalid protocolHeader", "write NAME: VALUE", "protocolHeader")


def _authentication(subject: Subject) -> Iterator[Complaint]:
    word = subject["protocolAuthentication"].lower()
    if not subject["client"] or not subject.settings.is_set("protocolAuthentication"):
        return
    if word == "ntlm":
        yield Complaint(
            NTLM_REFUSED, "write protocolAuthentication = basic", "protocolAuthentication"
        )
        return
    known = _AUTHENTICATION.get(_name(subject.settings), ())
    if known and word not in known and word != "basic":
        yield Complaint(
            "Unknown authentication",
            f"write protocolAuthentication = {' or '.join(known)}",
            "protocolAuthentication",
        )


def _allow(subject: Subject) -> Iterator[Complaint]:
    asked = _name(subject.settings) == "connect" and not subject["client"]
    if asked and not subject["protocolAllow"]:
        yield Complaint(
            '"protocolAllow" has to be configured for "protocol = connect" in server mode',
            "add protocolAllow = NETWORK [PORT,...] for each place that clients may go to",
            "protocol",
        )


def _proxy_header(subject: Subject) -> Iterator[Complaint]:
    if subject["sendProxy"] and _name(subject.settings) == "proxy":
        yield Complaint(
            '"sendProxy" and "protocol = proxy" would send two headers',
            "remove one of them",
            "sendProxy",
        )


def _name_based(subject: Subject) -> Iterator[Complaint]:
    """A protocol spoken before TLS is spoken before the client has named a service."""
    if subject["client"] or not subject["sni"]:
        return
    own = subject["protocol"]
    if own is not None and own.connects_first:
        yield Complaint(
            f'"sni" is incompatible with protocol = {own}, which has reached its server before'
            " the client names a service",
            "give the section an accept of its own",
            "protocol",
        )
        return
    for line in subject["sni"]:
        service = line.partition(":")[0]
        primary = next((other for other in subject.earlier if other.name == service), None)
        if primary is None:
            continue
        theirs = primary["protocol"]
        early = any(each is not None and each.before_tls for each in (own, theirs))
        if early and _name(subject.settings) != _name(primary):
            yield Complaint(
                f"[{service}] and its name-based sections must have the same protocol before TLS",
                f"write protocol = {theirs or own} in both",
                "protocol" if own is not None else "sni",
            )


PROTOCOL_RULES = (
    Rule("client protocol transport", _protocol),
    Rule("client protocol protocolHost", _protocol_host),
    Rule("client protocol protocolAuthentication", _authentication),
    Rule("protocol protocolUsername protocolPassword", _credentials),
    Rule("protocol protocolUsername protocolPassword", _credential_values),
    Rule("client protocol protocolHeader", _headers),
    Rule("client protocol protocolAllow", _allow),
    Rule("protocol sendProxy", _proxy_header),
    Rule("client protocol sni", _name_based),
)
