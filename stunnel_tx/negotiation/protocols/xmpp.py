"""XMPP between a client and its server: see :mod:`stunnel_tx.negotiation.xmpp_stream`."""

from __future__ import annotations

from stunnel_tx.negotiation.stages import Negotiation
from stunnel_tx.negotiation.xmpp_stream import Dialogues

_DIALOGUES = Dialogues("jabber:client")

NEGOTIATION = Negotiation(
    name="xmpp",
    client=_DIALOGUES.client(),
    server=_DIALOGUES.server(),
    specification="RFC 6120 §5, XEP-0368",
    alpn=(b"xmpp-client",),
)
