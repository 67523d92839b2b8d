"""STARTTLS in SMTP (RFC 3207) and in LMTP (RFC 2033), which differ in the word for hello.

Client mode: the server is asked for TLS first and the client is greeted when it is up, so the
client hears nothing that was said in plaintext. Server mode: everything up to STARTTLS is
answered here, and the server hears nothing until the client's TLS is up.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final, NoReturn

from attrs import frozen

from stunnel_tx.errors import LimitExceeded, OperatingError, PeerRefused, ProtocolViolation
from stunnel_tx.negotiation.credentials import credentials
from stunnel_tx.negotiation.replies import (
    Reply,
    called,
    host_name,
    read_reply,
    split_command,
)
from stunnel_tx.negotiation.upgrades import go_ahead, implicit_tls, taken_leave

if TYPE_CHECKING:
    from stunnel_tx.negotiation.peer import Conversation, Peer

__all__ = ["Dialect", "greet_client", "no_service", "upgrade_client", "upgrade_server"]

#: Commands of SMTP and its extensions that have to wait for TLS (RFC 3207 §4).
_LATER: Final = frozenset(
    {b"MAIL", b"RCPT", b"DATA", b"BDAT", b"AUTH", b"VRFY", b"EXPN", b"ETRN", b"HELP", b"TURN"}
)

#: Longest command line, terminator included (RFC 5321 §4.5.3.1.4).
_COMMAND: Final = 512


@frozen
class Dialect:
    """What tells SMTP from LMTP.

    ``hello`` is the command that asks for extensions, ``plain_hello`` the one that does not.
    ``name`` is the protocol's word in a greeting. ``implicit`` says whether clients may start
    TLS unasked on the same port.
    """

    name: bytes
    hello: bytes
    plain_hello: bytes | None
    implicit: bool


def no_service(error: Exception) -> bytes:
    """The refusal, in place of a greeting or of a reply (RFC 5321 §3.8).

    Always transient: whoever can cut out STARTTLS must not be able to make mail bounce.
    """
    if isinstance(error, LimitExceeded):
        return b"421 4.7.0 Too much said, closing connection\r\n"
    return b"421 4.3.2 Service not available, closing connection\r\n"


# --- client mode: this side asks the server ------------------------------------------------


async def upgrade_server(conversation: Conversation, dialect: Dialect) -> None:
    """Ask the remote side for TLS; the capabilities it lists are not even looked at.

    A list without STARTTLS proves nothing, since anybody on the way can edit it; the server's
    answer to STARTTLS counts (RFC 3207 §6).
    """
    remote = conversation.far()
    name = called(conversation.options)
    greeting = await read_reply(remote)
    if greeting.code != 220:
        _unwelcome(greeting)
    await remote.send(b"%b %b\r\n" % (dialect.hello, name))
    hello = await read_reply(remote)
    if hello.code != 250:
        raise PeerRefused(f"{dialect.hello.decode()} refused: {hello}")
    await remote.send(b"STARTTLS\r\n")
    answer = await read_reply(remote)
    if answer.code != 220:
        raise PeerRefused(f"Server does not support TLS: {answer}")


async def greet_client(conversation: Conversation, dialect: Dialect) -> None:
    """TLS is up: log in if there is something to log in with, then greet the client."""
    known = credentials(conversation.options)
    if known is not None:
        await _log_in(conversation, dialect, *known)
    await conversation.local.send(b"220 localhost %b ready\r\n" % dialect.name)


async def _log_in(
    conversation: Conversation, dialect: Dialect, user: bytes, password: bytes
) -> None:
    remote, options = conversation.far(), conversation.options
    if b"\0" in user + password:
        # It separates them in SASL PLAIN (RFC 4616 §2).
        raise OperatingError("NUL in protocolUsername or protocolPassword")
    await remote.send(b"%b %b\r\n" % (dialect.hello, called(options)))
    hello = await read_reply(remote)
    if hello.code != 250:
        raise PeerRefused(f"{dialect.hello.decode()} refused inside TLS: {hello}")
    if options.authentication.lower() == "login":
        await _auth_login(remote, user, password)
    else:
        await _auth_plain(remote, user, password)


async def _auth_login(remote: Peer, user: bytes, password: bytes) -> None:
    """AUTH LOGIN, which never became a standard; its prompts are not looked at."""
    await remote.send(b"AUTH LOGIN\r\n")
    await _expect(remote, 334)
    await remote.send(b64encode(user) + b"\r\n")
    await _expect(remote, 334)
    await remote.send(b64encode(password) + b"\r\n")
    await _expect(remote, 235)


async def _auth_plain(remote: Peer, user: bytes, password: bytes) -> None:
    """AUTH PLAIN (RFC 4616), its response in the command if that fits (RFC 4954 §4)."""
    response = b64encode(b"\0%b\0%b" % (user, password))
    command = b"AUTH PLAIN %b\r\n" % response
    if len(command) <= _COMMAND:
        await remote.send(command)
    else:
        await remote.send(b"AUTH PLAIN\r\n")
        await _expect(remote, 334)
        await remote.send(response + b"\r\n")
    await _expect(remote, 235)


async def _expect(remote: Peer, code: int) -> None:
    reply = await read_reply(remote)
    if reply.code != code:
        # The text stays unsaid: a server may repeat in it what it was sent.
        raise PeerRefused(f"AUTH refused with {reply.code}")


def _unwelcome(greeting: Reply) -> NoReturn:
    if greeting.code >= 400:
        raise PeerRefused(f"Server refuses service: {greeting}")
    raise ProtocolViolation(f"Unknown server welcome: {greeting}")


# --- server mode: a client asks this side --------------------------------------------------


async def upgrade_client(conversation: Conversation, dialect: Dialect) -> None:
    """Greet the local side and answer it until it asks for TLS."""
    if dialect.implicit and await implicit_tls(conversation, "RFC 2487"):
        return
    greeting = await read_reply(conversation.far())
    if greeting.code != 220:
        _unwelcome(greeting)
    # The server's name is all that is taken from its greeting; RFC 5321 §4.2 asks for it.
    name = host_name(greeting.text.partition(b" ")[0]) or b"localhost"
    local = conversation.local
    await local.send(b"220 %b %b ready\r\n" % (name, dialect.name))
    while True:
        verb, argument = split_command(await local.read_line())
        if verb == b"STARTTLS" and not argument:
            await go_ahead(conversation, b"220 2.0.0 Ready to start TLS\r\n")
            return
        if verb == b"QUIT":
            await taken_leave(conversation, b"221 2.0.0 Bye\r\n")
        await local.send(_answer(dialect, name, verb, argument))


def _answer(dialect: Dialect, name: bytes, verb: bytes, argument: bytes) -> bytes:
    """The reply to a command that is neither STARTTLS as it should be nor QUIT."""
    if verb in {dialect.hello, dialect.plain_hello}:
        if not argument:
            return b"501 5.5.4 A name is missing\r\n"
        if verb == dialect.hello:
            return b"250-%b\r\n250 STARTTLS\r\n" % name
        return b"250 %b\r\n" % name
    if verb in {b"NOOP", b"RSET"}:
        return b"250 2.0.0 OK\r\n"
    if verb == b"STARTTLS":
        return b"501 5.5.4 No parameters allowed\r\n"
    if verb in _LATER:
        return b"530 5.7.0 Must issue a STARTTLS command first\r\n"
    return b"500 5.5.1 Command not recognized\r\n"
