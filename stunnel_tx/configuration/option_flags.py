"""The flags of ``options = [-]NAME``: OpenSSL's ``SSL_OP_`` names and their bits, as data.

The numbers are part of OpenSSL's public interface (SSL_CTX_set_options(3)); several old
names are kept there with the value 0 and have no effect.
"""

from __future__ import annotations

import difflib

from attrs import frozen

from stunnel_tx.configuration.values import InvalidValue, quoted

__all__ = ["DEFAULT_OPTION_FLAGS", "OPTION_FLAGS", "OptionFlags", "parse_option_flag"]

_BITS = {
    "ALLOW_CLIENT_RENEGOTIATION": 8,
    "ALLOW_NO_DHE_KEX": 10,
    "ALLOW_UNSAFE_LEGACY_RENEGOTIATION": 18,
    "CIPHER_SERVER_PREFERENCE": 22,
    "CISCO_ANYCONNECT": 15,
    "CLEANSE_PLAINTEXT": 1,
    "COOKIE_EXCHANGE": 13,
    "CRYPTOPRO_TLSEXT_BUG": 31,
    "DISABLE_TLSEXT_CA_NAMES": 9,
    "DONT_INSERT_EMPTY_FRAGMENTS": 11,
    "ENABLE_KTLS": 3,
    "ENABLE_MIDDLEBOX_COMPAT": 20,
    "IGNORE_UNEXPECTED_EOF": 7,
    "LEGACY_SERVER_CONNECT": 2,
    "NO_ANTI_REPLAY": 24,
    "NO_COMPRESSION": 17,
    "NO_DTLSv1": 26,
    "NO_DTLSv1_2": 27,
    "NO_ENCRYPT_THEN_MAC": 19,
    "NO_EXTENDED_MASTER_SECRET": 0,
    "NO_QUERY_MTU": 12,
    "NO_RENEGOTIATION": 30,
    "NO_SESSION_RESUMPTION_ON_RENEGOTIATION": 16,
    "NO_SSLv3": 25,
    "NO_TICKET": 14,
    "NO_TLSv1": 26,
    "NO_TLSv1_1": 28,
    "NO_TLSv1_2": 27,
    "NO_TLSv1_3": 29,
    "PRIORITIZE_CHACHA": 21,
    "SAFARI_ECDHE_ECDSA_BUG": 6,
    "TLSEXT_PADDING": 4,
    "TLS_ROLLBACK_BUG": 23,
}

_WITHOUT_EFFECT = (
    "EPHEMERAL_RSA",
    "MICROSOFT_BIG_SSLV3_BUFFER",
    "MICROSOFT_SESS_ID_BUG",
    "MSIE_SSLV2_RSA_PADDING",
    "NETSCAPE_CA_DN_BUG",
    "NETSCAPE_CHALLENGE_BUG",
    "NETSCAPE_DEMO_CIPHER_CHANGE_BUG",
    "NETSCAPE_REUSE_CIPHER_CHANGE_BUG",
    "NO_SSLv2",
    "PKCS1_CHECK_1",
    "PKCS1_CHECK_2",
    "SINGLE_DH_USE",
    "SINGLE_ECDH_USE",
    "SSLEAY_080_CLIENT_DH_BUG",
    "SSLREF2_REUSE_CERT_TYPE_BUG",
    "TLS_BLOCK_PADDING_BUG",
    "TLS_D5_BUG",
)

_LATER_BITS = {
    "NO_TX_CERTIFICATE_COMPRESSION": 32,
    "NO_RX_CERTIFICATE_COMPRESSION": 33,
    "ENABLE_KTLS_TX_ZEROCOPY_SENDFILE": 34,
    "PREFER_NO_DHE_KEX": 35,
    "LEGACY_EC_POINT_FORMATS": 36,
    "SERVER_PREFERENCE": 22,
}
"""Names of OpenSSL 3.2 and later, which stunnel lists behind the others."""

_MASKS = {
    "ALL": 0x80000850,
    "NO_DTLS_MASK": 1 << 26 | 1 << 27,
    "NO_SSL_MASK": 0b11111 << 25,
}


def _listing_key(name: str) -> str:
    return name.replace("_", "").upper()


def _table() -> dict[str, int]:
    older = {name: 1 << bit for name, bit in _BITS.items()}
    older |= dict.fromkeys(_WITHOUT_EFFECT, 0) | _MASKS
    ordered = {name: older[name] for name in sorted(older, key=_listing_key)}
    return ordered | {name: 1 << bit for name, bit in _LATER_BITS.items()}


OPTION_FLAGS = _table()
"""Name to mask, in the order of stunnel's ``-options``."""

_BY_LOWER_NAME = {name.lower(): (name, mask) for name, mask in OPTION_FLAGS.items()}


@frozen
class OptionFlags:
    """Flags to set and flags to clear, each a mask of ``SSL_OP_`` bits; clearing wins."""

    set: int
    clear: int

    def __or__(self, other: OptionFlags) -> OptionFlags:
        return OptionFlags(self.set | other.set, self.clear | other.clear)

    def applied_to(self, mask: int) -> int:
        """Return ``mask`` with the flags set, then cleared."""
        return (mask | self.set) & ~self.clear


DEFAULT_OPTION_FLAGS = OptionFlags(OPTION_FLAGS["NO_SSLv2"] | OPTION_FLAGS["NO_SSLv3"], 0)


def parse_option_flag(given: str) -> OptionFlags:
    """Read one flag, any case; a leading ``-`` clears it.

    :raises InvalidValue: for a name OpenSSL does not have.
    """
    clear = given.startswith("-")
    name = given[1:].strip() if clear else given
    known = _BY_LOWER_NAME.get(name.lower())
    if known is None:
        close = difflib.get_close_matches(name.lower(), _BY_LOWER_NAME, n=1)
        suggestion = _BY_LOWER_NAME[close[0]][0] if close else ""
        hint = f"did you mean {suggestion}?" if close else "see the list printed by -options"
        raise InvalidValue(f"Illegal TLS option {quoted(name)}", hint)
    return OptionFlags(0, known[1]) if clear else OptionFlags(known[1], 0)
