"""LDAP StartTLS (RFC 4511 §4.14, RFC 4513 §3.1).

::

    client mode    R <- extendedReq StartTLS      server mode    L -> extendedReq StartTLS
                   R -> extendedResp success                     L <- extendedResp success
                   TLS on R                                      TLS on L

In server mode a client that starts TLS at once (ldaps) is served on the same port, and every
other operation before StartTLS gets its own response with confidentialityRequired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from stunnel_tx.errors import LimitExceeded, PeerClosed, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.ber import (
    ENUMERATED,
    OCTET_STRING,
    SEQUENCE,
    Element,
    decode_integer,
    elements,
    encode,
    encode_integer,
    read_element,
)
from stunnel_tx.negotiation.limits import BYTES, LINES, TLS_HANDSHAKE
from stunnel_tx.negotiation.refusing import refusing
from stunnel_tx.negotiation.stages import Negotiation, Stages
from stunnel_tx.negotiation.upgrades import go_ahead, refusal, request_refusal, turning
from stunnel_tx.telemetry import events

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation

START_TLS: Final = b"1.3.6.1.4.1.1466.20037"
NOTICE_OF_DISCONNECTION: Final = b"1.3.6.1.4.1.1466.20036"

#: Protocol operations by tag (RFC 4511 appendix B).
EXTENDED_REQUEST: Final = 0x77
EXTENDED_RESPONSE: Final = 0x78
UNBIND_REQUEST: Final = 0x42
ABANDON_REQUEST: Final = 0x50

#: The response to each request that has one.
RESPONSES: Final = {
    0x60: 0x61,  # bind
    0x63: 0x65,  # search: searchResDone
    0x66: 0x67,  # modify
    0x68: 0x69,  # add
    0x4A: 0x6B,  # delete
    0x6C: 0x6D,  # modifyDN
    0x6E: 0x6F,  # compare
    EXTENDED_REQUEST: EXTENDED_RESPONSE,
}

#: Result codes (RFC 4511 §4.1.9) with their names.
SUCCESS: Final = 0
PROTOCOL_ERROR: Final = 2
ADMIN_LIMIT_EXCEEDED: Final = 11
CONFIDENTIALITY_REQUIRED: Final = 13
UNAVAILABLE: Final = 52
RESULT_NAMES: Final = {
    1: "operationsError",
    PROTOCOL_ERROR: "protocolError",
    8: "strongerAuthRequired",
    10: "referral",
    ADMIN_LIMIT_EXCEEDED: "adminLimitExceeded",
    12: "unavailableCriticalExtension",
    CONFIDENTIALITY_REQUIRED: "confidentialityRequired",
    51: "busy",
    UNAVAILABLE: "unavailable",
    53: "unwillingToPerform",
    80: "other",
}

_CONTROLS: Final = 0xA0
_REQUEST_NAME: Final = 0x80
_REFERRAL: Final = 0xA3
_RESPONSE_NAME: Final = 0x8A
_RESPONSE_VALUE: Final = 0x8B
_MESSAGE_ID: Final = 1
_MAX_MESSAGE_ID: Final = 2**31 - 1

REQUEST: Final = encode(
    SEQUENCE,
    encode_integer(_MESSAGE_ID),
    encode(EXTENDED_REQUEST, encode(_REQUEST_NAME, START_TLS)),
)


@frozen
class Message:
    """An LDAPMessage (RFC 4511 §4.1.1); its controls are not looked at."""

    number: int
    operation: Element


def parse_message(element: Element) -> Message:
    """The message in *element*. Raises :class:`~stunnel_tx.errors.ProtocolViolation`."""
    parts = elements(element.content)
    if len(parts) == 3 and parts[2].tag == _CONTROLS:
        parts = parts[:2]
    if len(parts) != 2:
        raise ProtocolViolation("malformed LDAP message")
    number = decode_integer(parts[0])
    if not 0 <= number <= _MAX_MESSAGE_ID:
        raise ProtocolViolation("LDAP message number out of range")
    return Message(number, parts[1])


def parse_result(content: bytes) -> tuple[int, bytes | None]:
    """Result code and name of an extended response (RFC 4511 §4.12)."""
    parts = elements(content)
    if len(parts) < 3 or any(part.tag != OCTET_STRING for part in parts[1:3]):
        raise ProtocolViolation("malformed LDAP result")
    optional = [part.tag for part in parts[3:]]
    known = (_REFERRAL, _RESPONSE_NAME, _RESPONSE_VALUE)
    if optional != [tag for tag in known if tag in optional]:
        raise ProtocolViolation("malformed LDAP result")
    names = [part.content for part in parts[3:] if part.tag == _RESPONSE_NAME]
    return decode_integer(parts[0], ENUMERATED), names[0] if names else None


def response(
    number: int, tag: int, code: int, words: bytes = b"", name: bytes | None = None
) -> bytes:
    """An LDAPMessage with the result *code*, *words* as its diagnostic message."""
    result = encode_integer(code, ENUMERATED) + encode(OCTET_STRING) + encode(OCTET_STRING, words)
    if name is not None:
        result += encode(_RESPONSE_NAME, name)
    return encode(SEQUENCE, encode_integer(number), encode(tag, result))


def notice(code: int, words: bytes) -> bytes:
    """A notice of disconnection (RFC 4511 §4.4.1)."""
    return response(0, EXTENDED_RESPONSE, code, words, NOTICE_OF_DISCONNECTION)


#: The remote server cannot be had: a client may be told so at any time.
refuse: Final = refusal(notice(UNAVAILABLE, b"The directory server cannot be reached"))
#: The local client's own messages are at fault.
refuse_request: Final = request_refusal(
    fault=notice(PROTOCOL_ERROR, b"StartTLS expected"),
    slow=notice(ADMIN_LIMIT_EXCEEDED, b"StartTLS did not come in time"),
)


async def start_tls(conversation: Conversation) -> None:
    """Client mode: ask the server for TLS.

    Of the server's answer only the result code is used: text and referrals are not protected.
    """
    remote = conversation.far()
    await remote.send(REQUEST)
    message = parse_message(await read_element(remote, SEQUENCE, BYTES))
    if message.operation.tag != EXTENDED_RESPONSE:
        raise ProtocolViolation("LDAP server answered StartTLS with another operation")
    code, name = parse_result(message.operation.content)
    if message.number == 0 and name == NOTICE_OF_DISCONNECTION:
        raise PeerRefused(f"LDAP server disconnects: {_result_text(code)}")
    if message.number != _MESSAGE_ID:
        raise ProtocolViolation("LDAP response to another request")
    if code != SUCCESS:
        raise PeerRefused(f"LDAP response has indicated an error {_result_text(code)}")
    if name not in {None, START_TLS}:
        raise ProtocolViolation("LDAP response to another extended operation")
    conversation.note(events.LDAP_STARTED)


def _result_text(code: int) -> str:
    return f"({code}, {RESULT_NAMES.get(code, 'unknown')})"


async def await_start_tls(conversation: Conversation) -> None:
    """Server mode: answer operations until StartTLS is asked for."""
    local = conversation.local
    if (await local.peek(1))[0] == TLS_HANDSHAKE:
        conversation.refused = True  # it waits for TLS
        return
    for _ in range(LINES):
        message = parse_message(await read_element(local, SEQUENCE, BYTES))
        tag = message.operation.tag
        if tag == UNBIND_REQUEST:
            conversation.refused = True  # it wants no answer (RFC 4511 §4.3)
            raise PeerClosed("LDAP client left before StartTLS")
        if tag == ABANDON_REQUEST:
            continue  # every earlier operation has been answered already
        if tag not in RESPONSES or message.number == 0:
            raise ProtocolViolation("LDAP client sent what is no request")
        answer, started = _answer(message)
        if started:
            conversation.note(events.LDAP_STARTED)
            await go_ahead(conversation, answer)
            return
        await local.send(answer)
    raise LimitExceeded("LDAP operations before StartTLS", LINES)


def _answer(message: Message) -> tuple[bytes, bool]:
    """The response to a request, and whether TLS comes next."""
    number, operation = message.number, message.operation
    tag = RESPONSES[operation.tag]
    if operation.tag == EXTENDED_REQUEST:
        parts = elements(operation.content)
        if not parts or parts[0].tag != _REQUEST_NAME:
            raise ProtocolViolation("malformed LDAP extended request")
        if parts[0].content == START_TLS:
            # RFC 4511 §4.14.1: without a requestValue.
            if len(parts) > 1:
                words = b"StartTLS takes no value"
                return response(number, tag, PROTOCOL_ERROR, words, START_TLS), False
            return response(number, tag, SUCCESS, b"", START_TLS), True
    return response(number, tag, CONFIDENTIALITY_REQUIRED, b"StartTLS is required"), False


NEGOTIATION = Negotiation(
    name="ldap",
    client=Stages(middle=refusing(start_tls, refuse), refuse=refuse),
    server=Stages(
        early=refusing(await_start_tls, refuse_request),
        refuse=turning(refuse_request, refuse),
    ),
    specification="RFC 4511 §4.14, RFC 4513 §3.1",
)
