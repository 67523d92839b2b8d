"""From one service's settings to the frozen policies its tunnels run by."""

from __future__ import annotations

import os
import secrets
import socket
import string
import threading
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from stunnel_tx.configuration.addresses import EndpointString, HostPort, UnixPath, is_ip
from stunnel_tx.configuration.socket_options import BACKEND_SEND_BUFFER
from stunnel_tx.errors import OperatingError
from stunnel_tx.relay.flow import RelayPolicy
from stunnel_tx.service.addresses import ThreadResolver, fixed_address, local_addresses
from stunnel_tx.service.fingerprints import fingerprint
from stunnel_tx.service.negotiation import negotiation_policy, protocol_names
from stunnel_tx.service.privileges import find_group, find_user
from stunnel_tx.service.rebuilding import renewable
from stunnel_tx.service.sockets import UnixOwner, option_settings
from stunnel_tx.service.targets import EndpointTarget
from stunnel_tx.service.tls_options import (
    algorithms,
    revocation_policy,
    trust_policy,
    verification_policy,
)
from stunnel_tx.telemetry import events
from stunnel_tx.tls.context import build_context
from stunnel_tx.tls.policy import Role, TLSPolicy
from stunnel_tx.tunnel.destination import AddressTarget, Connector, Destination, NameTarget
from stunnel_tx.tunnel.runtime import ServicePolicy
from stunnel_tx.tunnel.sockets import OptionSetting

if TYPE_CHECKING:
    import itertools
    from collections.abc import Callable

    from stunnel_tx.configuration.model import Place, Settings
    from stunnel_tx.service.fingerprints import Fingerprint
    from stunnel_tx.service.inherited import InheritedSocket
    from stunnel_tx.service.rebuilding import Renewable
    from stunnel_tx.telemetry.log import Scope
    from stunnel_tx.tls.handshake import TLSContext
    from stunnel_tx.tls.passphrases import Passphrases
    from stunnel_tx.tunnel.destination import Target

_UNIQUE_ALPHABET: Final = string.digits + string.ascii_letters
_UNIQUE_LENGTH: Final = 22


@frozen(eq=False)
class Blueprint:
    """One service ready to run: where it listens, and the policy of its tunnels.

    ``source`` is what its context is renewed from, ``None`` with ``renew = no``. ``places`` are
    the lines of ``accept``, for messages.
    """

    name: str
    accept: tuple[HostPort | UnixPath | EndpointString | InheritedSocket, ...]
    accept_options: tuple[OptionSetting, ...]
    owner: UnixOwner
    policy: ServicePolicy
    source: Renewable | None = None
    places: tuple[Place, ...] = ()

    def where(self, index: int) -> str:
        """How a message about address number *index* begins."""
        return f"{self.places[index]}: " if index < len(self.places) else ""


def connection_ids(kind: str, sequence: itertools.count[int]) -> Callable[[], str]:
    """A source of log ids of the given ``logId`` kind."""
    if kind == "unique":
        return lambda: "".join(secrets.choice(_UNIQUE_ALPHABET) for _ in range(_UNIQUE_LENGTH))
    if kind == "thread":
        thread = str(threading.get_native_id())
        return lambda: thread
    if kind == "process":
        return lambda: str(os.getpid())
    return lambda: str(next(sequence))


def build_service(  # noqa: PLR0913 - what a service is made of, and how far to go
    settings: Settings,
    reactor: Any,
    scope: Scope,
    passphrases: Passphrases,
    sequence: itertools.count[int],
    chroot: str | None = None,
    look: Callable[[str], Fingerprint] = fingerprint,
    *,
    rehearsal: bool = False,
) -> Blueprint:
    """Read the files and resolve the names of one service.

    *chroot* is the root directory that the process is still to change to, if it is; *look*
    tells what a file holds. In a *rehearsal* nothing is made that stays.
    Raises :class:`~stunnel_tx.errors.OperatingError`.
    """
    scope(events.INITIALIZING_SERVICE, settings.name)
    wanted = tls_policy(settings, chroot)
    source = renewable(wanted, look, chroot) if settings["renew"] else None
    tls = build_context(wanted, scope, passphrases, rehearsal=rehearsal)
    identify = connection_ids(settings["logId"], sequence)
    return Blueprint(
        name=settings.name,
        accept=settings["accept"],
        accept_options=option_settings(settings["socket"], "a"),
        owner=UnixOwner(
            find_user(settings["setuid"]) or -1,
            find_group(settings["setgid"]) or -1,
        ),
        policy=service_policy(settings, reactor, scope, tls, identify),
        source=source,
        places=tuple(settings.places("accept")),
    )


def service_policy(
    settings: Settings,
    reactor: Any,
    scope: Scope,
    tls: TLSContext,
    identify: Callable[[], str],
) -> ServicePolicy:
    """What the tunnels of one service go by; its names are resolved now."""
    redirect = None
    if settings["redirect"]:
        redirect = build_destination(settings, reactor, scope, "redirect")
    return ServicePolicy(
        name=settings.name,
        client=bool(settings["client"]),
        tls=tls,
        destination=build_destination(settings, reactor, scope),
        busy=settings["TIMEOUTbusy"],
        relay=RelayPolicy(
            idle=settings["TIMEOUTidle"],
            close=settings["TIMEOUTclose"],
            reset=settings["reset"],
            require_close_notify=settings["requireCloseNotify"],
        ),
        threshold=settings["debug"].level,
        identify=identify,
        local_options=option_settings(settings["socket"], "l"),
        redirect=redirect,
        negotiation=negotiation_policy(settings, build_connector(settings), reactor),
    )


def tls_policy(settings: Settings, chroot: str | None = None) -> TLSPolicy:
    """The TLS part of one service; *chroot* as in :func:`build_service`."""
    client = bool(settings["client"])
    return TLSPolicy(
        service=settings.name,
        role=Role.CLIENT if client else Role.SERVER,
        certificate_files=settings["cert"],
        key_file=settings["key"] or None,
        trust=trust_policy(settings, chroot),
        verification=verification_policy(settings),
        revocation=revocation_policy(settings),
        server_name=server_name(settings) if client else None,
        renegotiation=settings["renegotiation"],
        session_resume=settings["sessionResume"],
        session_timeout=settings["sessionCacheTimeout"],
        psk_file=settings["PSKsecrets"],
        psk_identity=settings["PSKidentity"],
        key_log=settings["keyLog"],
        identity_files=settings["clientIdentity"] if client else (),
        alpn=protocol_names(settings),
        alpn_required=settings["requireALPN"],
        redirect=bool(settings["redirect"]) and not client,
        **algorithms(settings),
    )


def server_name(settings: Settings) -> str | None:
    """What a client service sends as SNI: its ``sni``, else the host of its first ``connect``.

    None for nothing: ``sni`` left empty, no host given, or an IP address (RFC 6066 §3).
    """
    if settings.is_set("sni"):
        # A client asks for one name: as with stunnel, the last line counts.
        return settings["sni"][-1] or None
    behind = _name_behind(settings)
    if behind is not None:
        return behind or None
    for address in settings["connect"][:1]:
        if isinstance(address, HostPort) and address.host and not is_ip(address.host):
            return address.host
    return None


def _name_behind(settings: Settings) -> str | None:
    """Whom TLS is with where ``protocolHost`` tells; empty for an IP address.

    Behind an HTTP proxy it is the host there; an XMPP client asks for its domain (RFC 6120
    §13.7.2.1). What ``protocolHost`` means elsewhere has nothing to do with TLS, and the
    destination behind a SOCKS proxy is nobody's business in clear.
    """
    protocol, host = settings["protocol"], settings["protocolHost"]
    if protocol is None or not host:
        return None
    if protocol.name == "connect":
        host = host.rpartition(":")[0].strip("[]")
    elif protocol.name not in {"xmpp", "xmpp-server"}:
        return None
    return "" if is_ip(host) else str(host)


def build_connector(settings: Settings) -> Connector:
    """How a service makes its outgoing connections."""
    options = option_settings(settings["socket"], "r")
    if not settings["client"] and not any(each.name == "SO_SNDBUF" for each in options):
        send_buffer = OptionSetting(
            "SO_SNDBUF", socket.SOL_SOCKET, socket.SO_SNDBUF, BACKEND_SEND_BUFFER
        )
        options = (*options, send_buffer)
    sources = local_addresses(settings["local"])
    return Connector(options, settings["TIMEOUTconnect"], sources)


def build_destination(
    settings: Settings, reactor: Any, scope: Scope, option: str = "connect"
) -> Destination:
    """The targets of ``connect``, or of another *option*, resolved now unless ``delay`` is set.

    A name that does not resolve is left out with an error line when others do; when none
    does, all are looked up for each connection, as with ``delay = yes``.
    """
    addresses = settings[option]
    connector = build_connector(settings)
    targets: list[Target] = []
    missing = 0
    for address in addresses:
        if isinstance(address, EndpointString):
            targets.append(EndpointTarget(address.text, reactor, connector.sources))
        elif settings["delay"] and isinstance(address, HostPort):
            targets.append(_later(address, reactor))
        else:
            try:
                found = fixed_address(address)
            except OperatingError as error:
                missing += 1
                scope(events.RESOLVE_FAILED, address, error)
            else:
                targets.extend(AddressTarget(each) for each in found)
    if connector.sources and targets and not any(connector.reaches(each) for each in targets):
        raise OperatingError(f"local: no address of the family of any '{option}' address")
    delayed = bool(settings["delay"])
    if missing and not targets:
        delayed = True
        targets = [_later(address, reactor) for address in addresses]
    return Destination(targets, connector, round_robin=settings["failover"] == "rr" and not delayed)


def _later(address: HostPort, reactor: Any) -> Target:
    return NameTarget(address.host or "", address.port, ThreadResolver(reactor))
