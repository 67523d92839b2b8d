"""Moving bytes both ways once a tunnel stands, with half-close and back-pressure.

Concepts: a *loop* tells which descriptors are ready; a *channel* is one such descriptor (or a
pair) with plain or TLS bytes behind it; a *flow* is one direction from a source channel to a
sink channel; the *relay* owns two channels and the two flows between them; *deadlines* are
coarse timers. Flow of data: source channel -> shared buffer -> sink channel.
"""
