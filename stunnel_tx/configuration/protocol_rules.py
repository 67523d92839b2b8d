"""What ``protocol`` and the options around it must come to together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.configuration.rule import Complaint, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stunnel_tx.configuration.model import Settings
    from stunnel_tx.configuration.rule import Subject

__all__ = ["PROTOCOL_RULES"]

NTLM_REFUSED = (
    "NTLM is not supported: what HTTP proxies take of it rests on MD4 and single DES or MD5"
)

MAX_PORT = 65535

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
    protocol = _name(subject.settings)
    if protocol not in {"connect", "socks"} or not subject["client"]:
        return
    given = subject["protocolHost"]
    if given is None:
        yield Complaint(
            f'"protocolHost" has to be configured for "protocol = {protocol}"',
            "add protocolHost = HOST:PORT, the place to reach behind the proxy",
            "protocol",
        )
        return
    host, _, port = given.rpartition(":")
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    if not host or not digits or not 0 < int(port) <= MAX_PORT:
        yield Complaint("Invalid protocolHost", "write HOST:PORT", "protocolHost")


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
    Rule("client protocol protocolAllow", _allow),
    Rule("protocol sendProxy", _proxy_header),
    Rule("client protocol sni", _name_based),
)
