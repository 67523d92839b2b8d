"""Protocol-aware upgrades to TLS: what is said before, around and right after the handshake.

Concepts: a *peer* is one side as a dialogue sees it (read a line, read n bytes, send); a *stage*
is a moment in which a protocol may talk (early, middle, late); a *dialogue* is an ``async def``
that talks in one stage and reads like the transcript in the RFC; a *conversation* is what a
dialogue is given. Everything here is free of sockets, OpenSSL and Twisted: the driver in
:mod:`stunnel_tx.tunnel.peers` gives dialogues real connections, deadlines and budgets.
"""
