"""What a PROXY header of version 2 tells about TLS (HAProxy's specification, section 2.2.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stunnel_tx.negotiation.proxy_header import ALPN, AUTHORITY, pack_tlv

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Session
    from stunnel_tx.negotiation.proxy_header import TLV

__all__ = ["session_tlvs"]

SSL: Final = 0x20
SSL_VERSION: Final = 0x21
SSL_CN: Final = 0x22
SSL_CIPHER: Final = 0x23
SSL_CLIENT_CERT: Final = 0x28

#: Bits of the client field: TLS is used; a certificate was shown in this connection, or at
#: least once in its session.
CLIENT_SSL: Final = 0x01
CLIENT_CERT_CONN: Final = 0x02
CLIENT_CERT_SESS: Final = 0x04

#: Longest value passed on, in bytes; receivers have small buffers for whole headers.
MAX_TEXT: Final = 255


def session_tlvs(session: Session | None, *, certificate: bool = False) -> tuple[TLV, ...]:
    """The extensions for a TLS *session* with a client; none for a client without TLS.

    With *certificate* its certificate goes along, which not every receiver has room for.
    """
    if session is None:
        return ()
    tlvs: list[TLV] = []
    if session.alpn:
        tlvs.append((ALPN, session.alpn[:MAX_TEXT]))
    if session.server_name:
        tlvs.append((AUTHORITY, _text(session.server_name)))
    tlvs.append((SSL, _ssl(session, certificate=certificate)))
    return tuple(tlvs)


def _ssl(session: Session, *, certificate: bool) -> bytes:
    shown = session.certificate is not None
    bits = CLIENT_SSL
    if shown:
        bits |= CLIENT_CERT_SESS if session.resumed else CLIENT_CERT_CONN | CLIENT_CERT_SESS
    # Zero means: shown, and verified.
    verify = 0 if shown and session.verified else 1
    value = bytes((bits,)) + verify.to_bytes(4, "big")
    value += pack_tlv(SSL_VERSION, _text(session.version))
    if session.common_name:
        value += pack_tlv(SSL_CN, _text(session.common_name))
    value += pack_tlv(SSL_CIPHER, _text(session.cipher))
    if certificate and session.certificate is not None:
        value += pack_tlv(SSL_CLIENT_CERT, session.certificate)
    return value


def _text(text: str) -> bytes:
    """*text* in UTF-8, cut at a character."""
    return text.encode("utf-8", "replace")[:MAX_TEXT].decode("utf-8", "ignore").encode("utf-8")
