"""Certificates that their issuers have taken back: CRLfile and CRLpath.

In a full handshake OpenSSL looks certificates up by itself. In a resumed one nobody does, so
the leaf is looked up here, in the lists as they were when the context was built. Where the whole
chain matters no session is resumed, and none is when one of the lists has ended since
(:mod:`stunnel_tx.tls.session_periods`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cryptography import x509

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import blocks, directory_files, read_file
from stunnel_tx.tls.shared_values import SharedValues, digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from stunnel_tx.tls.policy import RevocationPolicy

__all__ = ["Revocations", "load_revocations", "recall_revocations"]

#: How OpenSSL names the lists of a hashed directory: issuer hash, dot, r, number.
_HASHED = re.compile(r"[0-9a-f]{8}\.r[0-9]+\Z")

REVOKED = "certificate revoked"
EXPIRED = "CRL has expired"


class Revocations:
    """Revocation lists by issuer; ``lists`` are those of the file, in its order.

    Without ``final`` newer lists may have come to a directory since.
    """

    def __init__(
        self,
        lists: tuple[x509.CertificateRevocationList, ...] = (),
        more: Iterable[x509.CertificateRevocationList] = (),
        *,
        final: bool = True,
    ) -> None:
        self.lists = lists
        self._final = final
        known = (*lists, *more)
        found = (each.next_update_utc for each in known)
        self._ends = tuple(each for each in found if each is not None)
        self._newest: dict[bytes, x509.CertificateRevocationList] = {}
        self._serials: dict[bytes, frozenset[int]] = {}
        for each in known:
            issuer = each.issuer.public_bytes()
            other = self._newest.get(issuer)
            if other is None or other.last_update_utc < each.last_update_utc:
                self._newest[issuer] = each

    @property
    def ends(self) -> tuple[datetime, ...]:
        """When each list is out of date."""
        return self._ends

    def problem(self, issuer: bytes, serial: int, now: datetime) -> str:
        """What speaks against the certificate *serial* of *issuer* (a DER name); "" for nothing.

        An issuer without a list passes: a full handshake without one would have failed, and
        no session would be there to be resumed.
        """
        newest = self._newest.get(issuer)
        if newest is None:
            return ""
        if serial in self._revoked(issuer, newest):
            return REVOKED
        expires = newest.next_update_utc
        return EXPIRED if self._final and expires is not None and expires < now else ""

    def _revoked(self, issuer: bytes, newest: x509.CertificateRevocationList) -> frozenset[int]:
        """The serial numbers of a list, gathered when they are first asked for."""
        found = self._serials.get(issuer)
        if found is None:
            found = frozenset(each.serial_number for each in newest)
            self._serials[issuer] = found
        return found


#: What is in use, of all contexts in the process.
_KNOWN: Final = SharedValues[Revocations]()


def recall_revocations(
    user: object, policy: RevocationPolicy, content: bytes | None, chroot: str | None = None
) -> Revocations | None:
    """As :func:`load_revocations`, with what another *user* has parsed from the same content."""
    if content is None or policy.crl_path is not None:
        return load_revocations(policy, chroot, content)
    key = digest(content)
    found = _KNOWN.find(key) or load_revocations(policy, chroot, content)
    if found is not None:
        _KNOWN.keep(user, key, found)
    return found


def load_revocations(
    policy: RevocationPolicy, chroot: str | None = None, content: bytes | None = None
) -> Revocations | None:
    """Read every list *policy* names; ``None`` when it names no source.

    *content* is what the file holds, where that is known already. A directory is looked for
    below *chroot*, where the process is still to go there. Raises :class:`FileUnusable` when a
    source cannot be read, or the file holds no list.
    """
    if policy.empty:
        return None
    lists: list[x509.CertificateRevocationList] = []
    if policy.crl_file is not None:
        data = read_file(policy.crl_file) if content is None else content
        lists.extend(_lists_in(policy.crl_file, data))
        if not lists:
            problem = f"Failed to load {policy.crl_file} revocation lookup file: no list found"
            raise FileUnusable(policy.crl_file, problem, "CRLfile needs X509 CRL blocks (PEM)")
    more: list[x509.CertificateRevocationList] = []
    if policy.crl_path is not None:
        for file in directory_files(policy.crl_path, chroot, _HASHED):
            # OpenSSL opens these when it needs them: a pipe would hold up everything then.
            more.extend(_lists_in(file, read_file(file, wait=False)))
    return Revocations(tuple(lists), more, final=policy.crl_path is None)


def _lists_in(path: str, data: bytes) -> list[x509.CertificateRevocationList]:
    found = []
    for block in blocks(data):
        if block.label != "X509 CRL":
            continue
        try:
            found.append(x509.load_pem_x509_crl(block.text))
        except ValueError as error:
            problem = f"revocation list number {len(found) + 1} is damaged: {error}"
            raise FileUnusable(path, problem) from error
    return found
