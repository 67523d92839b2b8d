"""One connection's way from accept to close.

Concepts: a *tunnel* is one accepted connection with what it is joined to; its *task* runs its
set-up as a coroutine; the *destination* finds and connects the remote side; the *runtime* is what
all tunnels of a process share. Flow: accepted socket -> ClientHello -> TLS handshake ->
destination -> relay. The order is written down in :mod:`stunnel_tx.tunnel.tunnel` only.
"""
