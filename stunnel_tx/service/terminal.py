"""Asking the operator for the passphrase of a key, on the terminal."""

from __future__ import annotations

import os


def ask_passphrase(prompt: str) -> bytes | None:
    """Ask on the controlling terminal, without echo; None when there is nobody to ask."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return None
    # Loaded only now: hardly any configuration has an encrypted key.
    import getpass

    try:
        return getpass.getpass(prompt).encode("utf-8", "surrogateescape")
    except (EOFError, OSError):
        return None
