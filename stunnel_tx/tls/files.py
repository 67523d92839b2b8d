"""The files that a context is made from, by their paths."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from attrs import evolve

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.identity import local_path

if TYPE_CHECKING:
    from stunnel_tx.tls.policy import TLSPolicy

__all__ = ["files_of", "with_absolute_paths"]


def files_of(policy: TLSPolicy) -> tuple[str, ...]:
    """Every file and directory that the context of *policy* is read from, each once.

    The store of the operating system is not among them.
    """
    trust, revocation = policy.trust, policy.revocation
    named = (
        *(_plain(each) for each in (*policy.certificate_files, policy.key_file)),
        *(_plain(each) for each in policy.identity_files),
        *(trust.ca_file, trust.ca_path, revocation.crl_file, revocation.crl_path),
        *(policy.psk_file, policy.dh_file),
    )
    return tuple(dict.fromkeys(each for each in named if each is not None))


def _plain(source: str | None) -> str | None:
    """The path that *source* names; ``None`` for what is no file."""
    if source is None:
        return None
    try:
        return local_path(source)
    except FileUnusable:
        return None


def with_absolute_paths(policy: TLSPolicy, directory: str) -> TLSPolicy:
    """*policy* as it reads from any working directory; relative paths start in *directory*."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else posixpath.join(directory, path)

    def identity(source: str) -> str:
        # A URI stays one, it cannot be relative.
        return posixpath.join(directory, source) if _plain(source) == source else source

    trust, revocation = policy.trust, policy.revocation
    return evolve(
        policy,
        certificate_files=tuple(identity(each) for each in policy.certificate_files),
        identity_files=tuple(identity(each) for each in policy.identity_files),
        key_file=None if policy.key_file is None else identity(policy.key_file),
        trust=evolve(
            trust, ca_file=absolute(trust.ca_file), ca_path=absolute(trust.ca_path), chroot=None
        ),
        revocation=evolve(
            revocation,
            crl_file=absolute(revocation.crl_file),
            crl_path=absolute(revocation.crl_path),
        ),
        psk_file=absolute(policy.psk_file),
        dh_file=absolute(policy.dh_file),
        key_log=absolute(policy.key_log),
    )
