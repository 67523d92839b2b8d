"""The certificates that most clients have: those of the operating system's store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stunnel_tx.tls.errors import FileUnusable
from stunnel_tx.tls.pem import blocks, certificate_of, read_file
from stunnel_tx.tls.trust import SYSTEM_STORES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.x509 import Certificate

__all__ = ["system_roots"]


def system_roots() -> Iterator[Certificate]:
    """The trusted certificates of the system, none where it has no bundle of them in one file.

    OpenSSL's variable ``SSL_CERT_FILE`` names another one. What cannot be read is left out: the
    store is only asked whom else people trust.
    """
    named = os.environ.get("SSL_CERT_FILE")
    bundle = next((each for each in (named, *SYSTEM_STORES) if each and Path(each).is_file()), None)
    if bundle is None:
        return
    try:
        data = read_file(bundle, wait=False)
    except FileUnusable:
        return
    for block in blocks(data):
        if block.is_certificate:
            try:
                yield certificate_of(block)
            except ValueError:
                continue
