"""TLS on a socket: who we are, whom we trust, and what we think of the peer.

Concepts: a *policy* (frozen values for one service) is made into a *context* (immutable, one
per service and generation of its files); the context makes *connections*; a *verdict* says
whether a peer is accepted. The *identity* is a certificate chain with its key, *trust* the
certificates a peer is measured against. Flow: policy -> identity, trust -> context ->
connection -> verdict. The ClientHello is parsed before any of that, on bytes alone.
"""
