"""The ``twistd stunnel`` command.

This directory has no ``__init__.py``: it is a part of Twisted's own plugin package, and a second
``__init__.py`` would hide Twisted's. The module behind the plugin is imported only when
``twistd stunnel`` is really run.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

stunnel = ServiceMaker(
    "stunnel_tx",
    "stunnel_tx.tap",
    "TLS tunnels between plain programs and the network, from a stunnel.conf",
    "stunnel",
)
