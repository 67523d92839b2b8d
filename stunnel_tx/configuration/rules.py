"""What the options of one scope must come to together, one function per rule.

Each rule names the options it reads; it is left out when a line of one of them could not
be used, so that one mistake is reported once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from stunnel_tx.configuration.options_protocol import (
    CLIENT_ONLY,
    CONNECTS_FIRST,
    OWN_ENDPOINT,
    SERVER_ONLY,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stunnel_tx.configuration.model import Settings

__all__ = ["GLOBAL_RULES", "SERVICE_RULES", "Complaint", "Rule", "Subject", "endpoints_of"]


@frozen(eq=False, repr=False)
class Complaint:
    """What a rule has to say; ``option`` is the one whose line is to blame, if any."""

    text: str
    remedy: str
    option: str | None = None


@frozen(eq=False, repr=False)
class Subject:
    """A scope under examination; ``earlier`` are the services declared before it."""

    settings: Settings
    inetd: bool = False
    earlier: tuple[Settings, ...] = ()

    def __getitem__(self, option: str) -> Any:
        return self.settings[option]


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


@frozen(eq=False, repr=False)
class Rule:
    """A check, and the options it reads."""

    reads: frozenset[str] = field(converter=_names)
    check: Callable[[Subject], Iterator[Complaint]]


def endpoints_of(settings: Settings) -> list[str]:
    """Name the endpoints a service defines, one entry each."""
    found = [name for name in ("accept", "connect", "exec") if settings[name]]
    if settings["transparent"] in {"destination", "both"}:
        found.append(f"transparent = {settings['transparent']}")
    if settings["sni"] is not None and not settings["client"]:
        found.append("sni")
    own = (settings["protocol"], settings["client"]) in OWN_ENDPOINT
    if own and settings["transport"] != "udp":
        found.append(f"protocol = {settings['protocol']}")
    return found


def _endpoints(subject: Subject) -> Iterator[Complaint]:
    found = endpoints_of(subject.settings)
    shown = ", ".join(found) or "none"
    if subject.inetd:
        if len(found) != 1 or found == ["accept"]:
            yield Complaint(
                "Inetd mode must define one endpoint",
                f"without a [section] the client is at stdin: name connect or exec alone"
                f" (found: {shown})",
                "accept" if "accept" in found else None,
            )
    elif len(found) != 2:
        yield Complaint(
            "Each service must define two endpoints",
            f"name where connections come from (accept) and go to (connect) (found: {shown})",
        )


def _certificate(subject: Subject) -> Iterator[Complaint]:
    given = any(subject[name] for name in ("cert", "PSKsecrets", "engineId", "engineNum"))
    if not subject["client"] and not given:
        yield Complaint(
            "TLS server needs a certificate",
            "add cert = FILE, or client = yes if the TLS server is at the other end",
        )


def _trust_anchors(subject: Subject) -> Iterator[Complaint]:
    sources = ("CAengine", "CAfile", "CApath", "CAstore")
    if subject["verification"].authenticates and not any(subject[name] for name in sources):
        yield Complaint(
            'Either "CAfile", "CApath" or "CAstore" has to be configured',
            "add CAfile = FILE with the certificates to trust",
            "verification",
        )


def _subject_checks(subject: Subject) -> Iterator[Complaint]:
    if subject["verification"].authenticates:
        return
    for option in ("checkEmail", "checkHost", "checkIP"):
        if subject[option]:
            yield Complaint(
                f'Either "verifyChain" or "verifyPeer" has to be enabled for "{option}"',
                "add verifyChain = yes",
                option,
            )


def _version_range(subject: Subject) -> Iterator[Complaint]:
    lowest, highest = subject["sslVersionMin"], subject["sslVersionMax"]
    if lowest and highest and lowest > highest:
        yield Complaint(
            "Invalid protocol version range",
            "sslVersionMax must not be below sslVersionMin",
            "sslVersionMax",
        )


def _redirect(subject: Subject) -> Iterator[Complaint]:
    if not subject["redirect"]:
        return
    if subject["client"]:
        yield Complaint('"redirect" is unsupported in client sections', "remove it", "redirect")
    elif subject["protocol"] in CONNECTS_FIRST:
        yield Complaint(
            '"redirect" is incompatible with the specified protocol negotiation',
            f"{subject['protocol']} has reached its server before the peer can be verified",
            "redirect",
        )
    elif not subject["verification"].authenticates:
        yield Complaint(
            'Either "verifyChain" or "verifyPeer" has to be enabled for "redirect" to work',
            "add verifyChain = yes",
            "redirect",
        )


def _server_name(subject: Subject) -> Iterator[Complaint]:
    if subject["sni"] is None or subject["client"]:
        return
    service, colon, pattern = subject["sni"].partition(":")
    if not colon or not pattern.strip():
        yield Complaint(
            "Invalid SNI parameter format", "write sni = SERVICE:PATTERN in a server", "sni"
        )
        return
    primary = next((other for other in subject.earlier if other.name == service), None)
    if primary is None or primary["client"]:
        yield Complaint(
            "SNI section name not found",
            f"[{service}] must be a server section above this one, in the same spelling",
            "sni",
        )
        return
    yield Complaint(
        'server form of sni not supported yet by stunnel_tx (planned: "TLS in full")',
        "give each name a section with an accept of its own",
        "sni",
    )


def _revocation(subject: Subject) -> Iterator[Complaint]:
    needs_chain = [name for name in ("CRLcheckChain", "OCSP", "OCSPaia") if subject[name]]
    for option in needs_chain:
        if not subject["verification"].chain:
            yield Complaint(
                f'"verifyChain" has to be enabled for "{option}"', "add verifyChain = yes", option
            )
    if subject["CRLcheckChain"] and not (subject["CRLfile"] or subject["CRLpath"]):
        yield Complaint(
            'Either "CRLfile" or "CRLpath" has to be configured for "CRLcheckChain"',
            "add CRLfile = FILE",
            "CRLcheckChain",
        )


def _protocol(subject: Subject) -> Iterator[Complaint]:
    protocol = subject["protocol"]
    mode = "client" if subject["client"] else "server"
    if protocol is None:
        return
    if subject["transport"] == "udp":
        yield Complaint("Protocol not supported over udp", "protocols are made for tcp", "protocol")
    elif protocol in (SERVER_ONLY if subject["client"] else CLIENT_ONLY):
        yield Complaint(
            f"Protocol not supported in {mode} mode: {protocol}", "remove it", "protocol"
        )
    elif protocol == "connect" and subject["client"] and not subject["protocolHost"]:
        yield Complaint(
            '"protocolHost" has to be configured for "protocol = connect"',
            "add protocolHost = HOST:PORT, the place to reach behind the proxy",
            "protocol",
        )


def _full_paths(subject: Subject) -> Iterator[Complaint]:
    if subject["foreground"] != "no":
        return
    for option, what in (("output", "Log"), ("pid", "Pid")):
        path = subject[option]
        if path and not path.startswith("/"):
            yield Complaint(
                f"{what} file must include full path name",
                "a daemon works in /: begin the path with /, or write foreground = yes",
                option,
            )


_VERIFY = "verification verify verifyChain verifyPeer requireCert"

SERVICE_RULES = (
    Rule("accept connect exec transparent sni client protocol transport", _endpoints),
    Rule("client cert PSKsecrets engineId engineNum", _certificate),
    Rule(f"{_VERIFY} CAengine CAfile CApath CAstore", _trust_anchors),
    Rule(_VERIFY, _subject_checks),
    Rule("sslVersion sslVersionMin sslVersionMax", _version_range),
    Rule(f"{_VERIFY} client redirect protocol", _redirect),
    Rule("sni client", _server_name),
    Rule(f"{_VERIFY} CRLcheckChain CRLfile CRLpath OCSP OCSPaia", _revocation),
    Rule("client protocol protocolHost transport", _protocol),
)

GLOBAL_RULES = (Rule("foreground output pid", _full_paths),)
