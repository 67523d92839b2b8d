"""What the options of one scope must come to together, one function per rule.

Each rule names the options it reads; it is left out when a line of one of them could not
be used, so that one mistake is reported once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stunnel_tx.configuration.openssl_commands import Overrides
from stunnel_tx.configuration.options_verification import SUBJECT_CHECKS
from stunnel_tx.configuration.protocol_rules import PROTOCOL_RULES
from stunnel_tx.configuration.rule import Complaint, Rule, Subject
from stunnel_tx.configuration.verification_values import SYSTEM_STORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stunnel_tx.configuration.model import Settings

__all__ = ["GLOBAL_RULES", "SERVICE_RULES", "Complaint", "Rule", "Subject", "endpoints_of"]

TLS_1_3 = 0x0304


def endpoints_of(settings: Settings) -> list[str]:
    """Name the endpoints a service defines, one entry each."""
    found = [name for name in ("accept", "connect", "exec") if settings[name]]
    if settings["transparent"] in {"destination", "both"}:
        found.append(f"transparent = {settings['transparent']}")
    if settings["sni"] and not settings["client"]:
        found.append("sni")
    protocol = settings["protocol"]
    chooses = protocol is not None and protocol.chooses_destination and not settings["client"]
    if chooses and settings["transport"] != "udp":
        found.append(f"protocol = {protocol}")
        if str(protocol) == "connect" and "connect" in found:
            # stunnel wants a line that it does not use.
            found.remove("connect")
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
    elif found == ["accept", "sni"]:
        yield Complaint(
            "Each service must define two endpoints",
            "a section with sni is reached through the section it names: write connect or exec"
            " instead of accept",
            "accept",
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
    elif subject["verification"].pin and not _local_copies(subject):
        yield Complaint(
            "verifyPeer compares with local copies, and the system's store has none",
            "add CAfile = FILE or CApath = DIR with the certificates of the peers",
            "verification",
        )


def _local_copies(subject: Subject) -> bool:
    return bool(subject["CApath"]) or subject["CAfile"] not in {None, SYSTEM_STORE}


def _authenticates(subject: Subject) -> bool:
    """Whether a peer's certificate, once there, can be turned down."""
    return subject["verification"].authenticates or bool(subject["pinSHA256"])


def _subject_checks(subject: Subject) -> Iterator[Complaint]:
    if _authenticates(subject):
        return
    for option in SUBJECT_CHECKS:
        if subject[option]:
            yield Complaint(
                f'Either "verifyChain" or "verifyPeer" has to be enabled for "{option}"',
                "add verifyChain = yes",
                option,
            )


def _version_range(subject: Subject) -> Iterator[Complaint]:
    commands = Overrides.together(subject["config"])
    lowest, highest = commands.bounds(subject["sslVersionMin"], subject["sslVersionMax"])
    modern = subject["tlsProfile"] == "modern" and not lowest
    above, below = "sslVersionMin", "sslVersionMax"
    blamed = below
    if commands.min_version is not None:
        above = blamed = "config = MinProtocol"
    if commands.max_version is not None:
        below = blamed = "config = MaxProtocol"
    option = blamed.partition(" ")[0]
    if lowest and highest and lowest > highest:
        yield Complaint(
            "Invalid protocol version range", f"{below} must not be below {above}", option
        )
    elif modern and commands.min_version is None and 0 < highest < TLS_1_3:
        yield Complaint(
            "Invalid protocol version range",
            f"tlsProfile = modern begins with TLSv1.3: remove {below}, or write"
            " tlsProfile = intermediate",
            option,
        )


def _redirect(subject: Subject) -> Iterator[Complaint]:
    if not subject["redirect"]:
        return
    if subject["client"]:
        yield Complaint('"redirect" is unsupported in client sections', "remove it", "redirect")
    elif subject["protocol"] is not None and subject["protocol"].connects_first:
        yield Complaint(
            '"redirect" is incompatible with the specified protocol negotiation',
            f"{subject['protocol']} has reached its server before the peer can be verified",
            "redirect",
        )
    elif not _authenticates(subject):
        yield Complaint(
            'Either "verifyChain" or "verifyPeer" has to be enabled for "redirect" to work',
            "add verifyChain = yes",
            "redirect",
        )


def _server_name(subject: Subject) -> Iterator[Complaint]:
    if subject["client"]:
        return
    for line in subject["sni"]:
        service, colon, pattern = line.partition(":")
        if not colon or not pattern.strip():
            yield Complaint(
                "Invalid SNI parameter format", "write sni = SERVICE:PATTERN in a server", "sni"
            )
            continue
        primary = next((other for other in subject.earlier if other.name == service), None)
        if primary is None or primary["client"]:
            yield Complaint(
                "SNI section name not found",
                f"[{service}] must be a server section above this one, in the same spelling",
                "sni",
            )
        elif not pattern.isascii():
            yield Complaint(
                "Invalid SNI parameter format",
                "clients send names in ASCII: write the xn-- form of each label",
                "sni",
            )


def _protocol_names(subject: Subject) -> Iterator[Complaint]:
    # A protocol may have a registered name, which then counts.
    if subject["requireALPN"] and not subject["alpn"] and subject["protocol"] is None:
        yield Complaint(
            '"alpn" has to be configured for "requireALPN"', "add alpn = NAME", "requireALPN"
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
    Rule(f"{_VERIFY} pinSHA256 {' '.join(SUBJECT_CHECKS)}", _subject_checks),
    Rule("sslVersion sslVersionMin sslVersionMax tlsProfile config", _version_range),
    Rule(f"{_VERIFY} pinSHA256 client redirect protocol", _redirect),
    Rule("sni client service", _server_name),
    Rule("alpn protocol requireALPN", _protocol_names),
    Rule(f"{_VERIFY} CRLcheckChain CRLfile CRLpath OCSP OCSPaia", _revocation),
    *PROTOCOL_RULES,
)

GLOBAL_RULES = (Rule("foreground output pid", _full_paths),)
