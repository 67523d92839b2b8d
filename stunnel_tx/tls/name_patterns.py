"""Patterns of the access rules: which names in a certificate an operator lets in.

The wildcard stands in the rule, never in the certificate: what a certificate holds is compared
as it stands, so that no peer can widen a rule.

==========  ========================================================================
names       a wildcard ``*`` stands for
==========  ========================================================================
CN, OU, O   any run of printable characters, also none; the case matters
DNS name    exactly one label, as the left-most one alone (``*.clients.example``)
URI         exactly one segment of the path; a final ``**`` for one or more of them
==========  ========================================================================
"""

from __future__ import annotations

import re

__all__ = ["dns_name_matches", "text_matches", "uri_matches"]

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\Z")

# RFC 3986 §3.3, without the percent-encoding: the wildcard takes plain segments only.
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()+,;=:@-]+\Z")


def text_matches(pattern: str, text: str) -> bool:
    """True when the attribute *text* of a subject is what *pattern* says."""
    if "*" not in pattern:
        return pattern == text
    # A name with control characters is an attack or a mistake.
    if not text.isprintable():
        return False
    parts = pattern.split("*")
    head, tail = parts[0], parts[-1]
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def dns_name_matches(pattern: str, name: str) -> bool:
    """True when the DNS name *name* of a certificate is what *pattern* says, in any case."""
    if not name.isascii():
        return False
    wanted = pattern.lower().rstrip(".").split(".")
    labels = name.lower().rstrip(".").split(".")
    if len(wanted) != len(labels) or not all(_LABEL.match(label) for label in labels):
        return False
    if wanted[0] == "*":
        return wanted[1:] == labels[1:]
    return wanted == labels


def uri_matches(pattern: str, uri: str) -> bool:
    """True when the URI *uri* of a certificate is what *pattern* says.

    Scheme and authority are compared in any case (RFC 3986 §6.2.2.1), the path as it stands.
    """
    if not uri.isascii() or not uri.isprintable():
        return False
    if "*" not in pattern:
        return _folded(pattern) == _folded(uri)
    wanted, segments = _folded(pattern).split("/"), _folded(uri).split("/")
    if wanted[-1] == "**":
        rest = segments[len(wanted) - 1 :]
        if not rest or not all(_is_plain(each) for each in rest):
            return False
        wanted, segments = wanted[:-1], segments[: len(wanted) - 1]
    if len(wanted) != len(segments):
        return False
    pairs = zip(wanted, segments, strict=True)
    return all(_is_plain(found) if want == "*" else want == found for want, found in pairs)


def _folded(uri: str) -> str:
    """*uri* with its scheme and authority in lower case."""
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    authority, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{authority.lower()}{slash}{path}"


def _is_plain(segment: str) -> bool:
    return segment not in {".", ".."} and _SEGMENT.match(segment) is not None
