"""From sockets and TLS connections to what a negotiation wants to know of them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cryptography.x509.oid import NameOID
from OpenSSL.crypto import FILETYPE_ASN1, dump_certificate

from stunnel_tx.negotiation.peer import Endpoint, Session
from stunnel_tx.negotiation.proxy_extensions import session_tlvs
from stunnel_tx.negotiation.proxy_header import encode_v1, encode_v2, read_header
from stunnel_tx.telemetry import events
from stunnel_tx.tls.binding.contexts import session_reused
from stunnel_tx.tunnel.peers import PlainPeer
from stunnel_tx.tunnel.sockets import address_text

if TYPE_CHECKING:
    import socket

    from OpenSSL import SSL
    from OpenSSL.crypto import X509

    from stunnel_tx.negotiation.proxy_header import Header
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tunnel.task import Task

__all__ = [
    "end_text",
    "endpoint",
    "local_end",
    "receive_header",
    "remote_end",
    "send_header",
    "session_of",
]


def endpoint(address: Any) -> Endpoint | None:
    """A socket's address as dialogues know it; None for an unnamed UNIX socket."""
    if isinstance(address, tuple):
        return Endpoint(str(address[0]), int(address[1]))
    text = address_text(address) if address else ""
    return Endpoint(text) if text else None


def end_text(end: Endpoint) -> str:
    """*end* as log lines show it; a UNIX path, or its absence, has no port."""
    if end.port:
        return address_text((end.host, end.port))
    try:
        ip_address(end.host)
    except ValueError:
        return address_text(end.host)
    return address_text((end.host, end.port))


def local_end(sock: socket.socket) -> Endpoint | None:
    """Our own end of a connection; None where it has none or is gone."""
    try:
        return endpoint(sock.getsockname())
    except OSError:
        return None


def remote_end(sock: socket.socket) -> Endpoint | None:
    """The other end of a connection; None where it has none or is gone."""
    try:
        return endpoint(sock.getpeername())
    except OSError:
        return None


def session_of(tls: TLSContext, connection: SSL.Connection) -> Session:
    """What TLS settled on *connection*, whose verdict is in."""
    facts = tls.facts(connection)
    peer = connection.get_peer_certificate()
    return Session(
        version=facts.version,
        cipher=facts.cipher,
        server_name=facts.server_name,
        alpn=connection.get_alpn_proto_negotiated() or None,
        certificate=None if peer is None else dump_certificate(FILETYPE_ASN1, peer),
        common_name=None if peer is None else _common_name(peer),
        # The verdict has been given, so a certificate that is judged at all has passed.
        verified=peer is not None and tls.policy.verification.evaluates,
        resumed=bool(session_reused(connection)),
    )


def _common_name(certificate: X509) -> str | None:
    """The first common name, or None where there is none or the subject cannot be read."""
    try:
        subject = certificate.to_cryptography().subject
        for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            if isinstance(attribute.value, str):
                return attribute.value
    except Exception:  # noqa: BLE001 - OpenSSL accepts what this parser raises anything for
        return None
    return None


async def receive_header(task: Task, sock: socket.socket, scope: Scope) -> Header:
    """Take the PROXY header that a peer listed in ``acceptProxy``, or a balancer, sends first.

    Raises what :func:`~stunnel_tx.negotiation.proxy_header.read_header` raises. The time is
    bounded by the caller.
    """
    header = await read_header(PlainPeer(task, sock, "local"))
    source = header.source
    scope(events.PROXY_HEADER, header.version, "unknown" if source is None else end_text(source))
    return header


async def send_header(
    task: Task,
    sock: socket.socket,
    version: int,
    source: Endpoint | None,
    target: Endpoint | None,
    session: Session | None,
) -> None:
    """Send the PROXY header of ``sendProxy``: the first bytes on a fresh connection.

    *source* and *target* are the ends of the accepted connection; *session* is its TLS session,
    None where there is none (yet).
    """
    if version == 1:
        header = encode_v1(source, target)
    else:
        header = encode_v2(source, target, session_tlvs(session))
    await PlainPeer(task, sock, "remote").send(header)
