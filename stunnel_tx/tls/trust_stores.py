"""The stores that chains are built from: one for all contexts that trust the same.

A store is shared only where everything in it is known when it is made: the content of the
files, the flags, and the system's store as it is. It is filled before anybody else gets it, and
never changed afterwards. With a directory of the operator's own, where OpenSSL looks when it
needs something and keeps what it found, each context has a store to itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen
from OpenSSL.crypto import X509StoreFlags

from stunnel_tx.tls.binding.stores import CertificateStore, store_of, use_store
from stunnel_tx.tls.errors import ContextRefused, FileUnusable
from stunnel_tx.tls.memory_files import named_content
from stunnel_tx.tls.pem import read_file
from stunnel_tx.tls.shared_values import SharedValues, digest
from stunnel_tx.tls.trust import system_places

if TYPE_CHECKING:
    from collections.abc import Hashable

    from OpenSSL import SSL

    from stunnel_tx.tls.policy import TLSPolicy
    from stunnel_tx.tls.revocations import Revocations

__all__ = ["STORES", "StoreContent", "set_trust_store"]

#: The stores in use, of all contexts in the process.
STORES: Final = SharedValues[CertificateStore]()


@frozen
class StoreContent:
    """What was read from the files of CAfile and CRLfile, and the lists found there."""

    bundle: bytes | None = None
    lists: bytes | None = None
    revocations: Revocations | None = None


def set_trust_store(
    context: SSL.Context,
    policy: TLSPolicy,
    content: StoreContent,
    stores: SharedValues[CertificateStore] = STORES,
) -> None:
    """Give *context* the store of *policy*, one of *stores* if there is one of that kind.

    Raises :class:`FileUnusable`, :class:`ContextRefused` or ``SSL.Error``.
    """
    key = _key(policy, content)
    shared = None if key is None else stores.find(key)
    if key is not None and shared is not None and use_store(context, shared):
        stores.keep(context, key, shared)
        return
    exact = _fill(context, policy, content)
    # A system's store that was changed meanwhile may be half of each.
    if key is None or not exact or key != _key(policy, content):
        return
    own = store_of(context)
    if own is not None:
        stores.keep(context, key, own)


def _key(policy: TLSPolicy, content: StoreContent) -> Hashable | None:
    """Everything that goes into a store; ``None`` for one that is not to be shared."""
    trust, revocation = policy.trust, policy.revocation
    if trust.ca_path is not None or revocation.crl_path is not None:
        return None
    system = _system_content() if trust.system else None
    files = (digest(content.bundle), digest(content.lists))
    return (*files, trust.system, system, _flags(policy, content))


def _flags(policy: TLSPolicy, content: StoreContent) -> int:
    if content.revocations is None:
        return 0
    whole = X509StoreFlags.CRL_CHECK_ALL if policy.revocation.whole_chain else 0
    return X509StoreFlags.CRL_CHECK | whole


def _fill(context: SSL.Context, policy: TLSPolicy, content: StoreContent) -> bool:
    """Load everything; False where it may be something else than *content*."""
    sources, revocation, exact = policy.trust, policy.revocation, True
    if sources.ca_file is not None and content.bundle is not None:
        with named_content(sources.ca_file, content.bundle) as (name, exact):
            context.load_verify_locations(name)
    if sources.ca_path is not None:
        context.load_verify_locations(None, sources.ca_path)
    if sources.system:
        context.set_default_verify_paths()
    if content.revocations is None:
        return exact
    store = context.get_cert_store()
    if store is None:
        raise ContextRefused(policy.service, "no certificate store for revocation lists")
    for each in content.revocations.lists:
        store.add_crl(each)
    if revocation.crl_path is not None:
        # The same look-up by hash serves certificates and lists.
        context.load_verify_locations(None, revocation.crl_path)
    store.set_flags(_flags(policy, content))
    return exact


def _system_content() -> Hashable:
    """What the system's store is at this moment; raises :class:`FileUnusable`."""
    return tuple((place, _state(place)) for place in system_places())


def _state(place: str) -> Hashable:
    path = Path(place)
    try:
        if path.is_dir():
            found = path.stat()
            return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
        if not path.exists():
            return None
        # OpenSSL is going to open it.
        return digest(read_file(place, wait=False))
    except OSError as error:
        raise FileUnusable(place, os.strerror(error.errno or 0)) from error
