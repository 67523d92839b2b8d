"""stunnel_tx: a protocol-aware TLS wrapper that reads stunnel's configuration.

Concepts, in the direction of flow: a *service* (one section of the configuration)
listens; each accepted connection becomes a *tunnel*; the tunnel negotiates, does its
TLS handshake and hands two *channels* to the *relay*.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__"]
