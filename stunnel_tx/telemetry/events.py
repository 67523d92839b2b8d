"""The catalogue of log events: one row each, level and text.

Texts that people's scripts look for are worded as stunnel words them; the reference page of
log messages is made from this table. ``{}`` stands for a value, filled in by the scope.
"""

from __future__ import annotations

from attrs import frozen

from stunnel_tx.telemetry.levels import (
    CRIT,
    DEBUG,
    EMERG,
    ERR,
    INFO,
    NOTICE,
    WARNING,
)


@frozen
class Event:
    """One row of the catalogue; ``level`` is a syslog severity, ``text`` a format string."""

    level: int
    text: str


# --- start, stop, reload -------------------------------------------------------------------
BANNER = Event(NOTICE, "stunnel {} on {} platform")
LIBRARY = Event(NOTICE, "Compiled/running with {}")
FEATURES = Event(NOTICE, "Threading:NONE Sockets:{} TLS:{}")
INITIALIZING_SERVICE = Event(INFO, "Initializing service [{}]")
READING_FILE = Event(NOTICE, "Reading configuration from file {}")
READING_DESCRIPTOR = Event(NOTICE, "Reading configuration from descriptor {}")
BYTE_ORDER_MARK = Event(NOTICE, "UTF-8 byte order mark detected")
NO_BYTE_ORDER_MARK = Event(NOTICE, "UTF-8 byte order mark not detected")
CONFIGURATION_NOTE = Event(WARNING, "{}")
CONFIGURATION_ERROR = Event(ERR, "{}")
CONFIGURATION_SUCCESSFUL = Event(NOTICE, "Configuration successful")
CONFIGURATION_FAILED = Event(ERR, "Configuration failed")
SOCKETS_PASSED = Event(INFO, "Systemd socket activation: {} descriptors received")
BOUND = Event(INFO, "Service [{}] (FD={}) bound to {}")
BINDING_ADDRESS = Event(NOTICE, "Binding service [{}] to {}: {}")
BINDING_FAILED = Event(ERR, "Binding service [{}] failed")
ACCEPTING = Event(INFO, "Accepting new connections")
PID_CREATED = Event(DEBUG, "Created pid file {}")
PID_REMOVED = Event(DEBUG, "Removed pid file {}")
PID_NONE = Event(DEBUG, "No pid file being created")
CHROOTED = Event(NOTICE, "Switched to chroot directory: {}")
RELOAD_FAILED = Event(ERR, "Failed to reload the configuration file")
RELOAD_SAME = Event(DEBUG, "Service [{}] keeps its listener {}")
LOG_REOPENED = Event(NOTICE, "Log file reopened")
LOG_REOPEN_FAILED = Event(ERR, "Cannot reopen log file {}: {}")
TERMINATED = Event(NOTICE, "Terminated")
TERMINATING_TUNNELS = Event(INFO, "Terminating {} service thread(s)")
TUNNELS_TERMINATED = Event(INFO, "Service threads terminated")
SIGNAL_TERMINATING = Event(ERR, "Received {}; terminating")
LIST_START = Event(EMERG, "Active connections:")
LIST_ROW = Event(
    EMERG,
    "Active connection {}: Service [{}], {} byte(s) sent to TLS, {} byte(s) sent to socket",
)
LIST_END = Event(EMERG, "Listed {} active connection(s)")
LIST_COUNTERS = Event(
    EMERG,
    "Since the start: {} accepted, {} refused by the limit, {} sessions resumed, {} handshakes "
    "failed{}, {} ended without close_notify",
)
FILES_LIMIT = Event(DEBUG, "Descriptor limit {}: at most {} clients")
INTERNAL = Event(CRIT, "Internal error in {}: {}; please report this")
TRACEBACK_LINE = Event(DEBUG, "{}")
TWISTED_ERROR = Event(ERR, "{}: {}")
TWISTED_MESSAGE = Event(DEBUG, "{}: {}")
START_FAILED = Event(ERR, "{}")
DEFAULT_FILE = Event(NOTICE, "No configuration file given, trying {}")
BAD_FILE_NAME = Event(ERR, 'Invalid configuration file name "{}"')
REALPATH_FAILED = Event(ERR, "realpath: {} ({})")
NO_DESCRIPTOR = Event(ERR, "No file descriptor specified")
BAD_DESCRIPTOR = Event(ERR, "Invalid file descriptor number")
SYNTAX_LINE = Event(NOTICE, "{}")
ROOT_GROUP_KEPT = Event(WARNING, "'setuid' without 'setgid': the process keeps the groups of root")

# --- files that renew themselves -----------------------------------------------------------
RENEWED = Event(NOTICE, "Service [{}]: renewed from {}")
RENEWED_UNTIL = Event(NOTICE, "Service [{}]: renewed from {}; certificate valid until {}: {}")
RENEWAL_REFUSED = Event(
    WARNING, "Service [{}]: not renewed, what was loaded before stays in use: {}"
)
RENEWAL_UNREADABLE = Event(
    WARNING, "Service [{}]: cannot be renewed while {} is not readable from here: {}"
)
RENEWAL_POLLING = Event(NOTICE, "renew: {}; files are looked at every {} seconds instead")

# --- accepting and connecting --------------------------------------------------------------
ACCEPTED_DEBUG = Event(DEBUG, "Service [{}] accepted (FD={}) from {}")
STARTED = Event(DEBUG, "Service [{}] started")
ACCEPTED = Event(NOTICE, "Service [{}] accepted connection from {}")
TOO_MANY = Event(WARNING, "Connection rejected: too many clients (>={})")
SUSPENDED = Event(NOTICE, "Accepting new connections suspended for 1 second")
ACCEPT_FAILED = Event(ERR, "accept on {}: {}")
RESUMED_ACCEPTING = Event(NOTICE, "Accepting new connections resumed")
FAILOVER_RR = Event(INFO, "failover: round-robin, starting at entry #{}")
FAILOVER_PRIO = Event(INFO, "failover: priority, starting at entry #0")
CONNECTING = Event(INFO, "s_connect: connecting {}")
CONNECTED = Event(NOTICE, "s_connect: connected {}")
CONNECT_ERROR = Event(ERR, "s_connect: connect {}: {}")
NO_SOURCE = Event(INFO, "s_connect: skipping {}: 'local' has no address of its family")
CONNECT_TIMEOUT = Event(ERR, "s_connect: s_poll_wait {}: TIMEOUTconnect exceeded")
NO_MORE_ADDRESSES = Event(ERR, "No more addresses to connect")
#: The same where the line before has said everything: it was the only address.
NO_OTHER_ADDRESS = Event(DEBUG, NO_MORE_ADDRESSES.text)
RESOLVE_FAILED = Event(ERR, 'Error resolving "{}": {}')
REMOTE_CONNECTED = Event(NOTICE, "Service [{}] connected remote server from {}")
SOCKET_OPTION = Event(WARNING, "Cannot set socket option {} on {}: {}")

# --- TLS -----------------------------------------------------------------------------------
PEER_CERT_REQUIRED = Event(INFO, "Peer certificate required")
PEER_CERT_NOT_REQUIRED = Event(INFO, "Peer certificate not required")
TLS_ACCEPTED_NEW = Event(INFO, "TLS accepted: new session negotiated")
TLS_ACCEPTED_REUSED = Event(INFO, "TLS accepted: previous session reused")
TLS_ACCEPTED_PSK = Event(INFO, "TLS accepted: PSK")
TLS_CONNECTED_PSK = Event(INFO, "TLS connected: PSK")
PSK_KEY_CONFIGURED = Event(NOTICE, 'Key configured for PSK identity "{}"')
PSK_NOT_FOUND = Event(INFO, "PSK identity not found: {}")
PSK_SECRET = Event(DEBUG, 'PSKsecrets line {}: {}-byte {} key configured for identity "{}"')
PSK_RETRIEVED = Event(INFO, "PSK identities: {} retrieved")
PSK_IDENTITY_IGNORED = Event(NOTICE, "PSKidentity is ignored in a server service")
DH_PARAMETERS = Event(DEBUG, "DH parameters loaded from: {}")
KEY_LOG = Event(
    WARNING,
    "keyLog: THE SECRETS OF ALL CONNECTIONS of this service are written to {}; whoever reads it "
    "can decrypt them; for debugging only",
)
TLS_CONNECTED_NEW = Event(INFO, "TLS connected: new session negotiated")
TLS_CONNECTED_REUSED = Event(INFO, "TLS connected: previous session reused")
OPTIONS_NOT_CLEARED = Event(WARNING, "TLS options 0x{:X} cannot be cleared in this library")
TLS_OPTIONS = Event(DEBUG, "TLS options: 0x{:X} (+0x{:X}, -0x{:X})")
CIPHERSUITE = Event(INFO, "{} ciphersuite: {} ({}-bit encryption)")
NEGOTIATED_GROUP = Event(INFO, "Negotiated {} group: {}")
SNI_SENDING = Event(INFO, "SNI: sending servername: {}")
SNI_DISABLED = Event(INFO, "SNI: extension disabled")
SNI_REQUESTED = Event(INFO, "SNI: requested servername: {}")
SNI_NONE = Event(NOTICE, "SNI: no servername received")
SNI_MATCHED = Event(DEBUG, "SNI: matched pattern: {}")
SNI_SWITCHED = Event(NOTICE, "SNI: switched to service [{}]")
SNI_UNMATCHED = Event(ERR, "SNI: no pattern matched servername: {}")
SNI_UNREACHABLE = Event(
    WARNING,
    "Service [{}]: its 'sni' names [{}], which is chosen by name itself: the pattern never matches",
)
ALPN_NEGOTIATED = Event(INFO, "ALPN: negotiated protocol: {}")
ALPN_NONE = Event(INFO, "ALPN: no protocol negotiated")
NO_RESUMPTION = Event(INFO, "Sessions are not resumed: {}")
SESSION_RESUMING = Event(INFO, "Attempting to resume: {}")
REDIRECTING = Event(NOTICE, "Redirecting connection")
TLS_ACCEPT_ERROR = Event(ERR, "SSL_accept: {}: client {}")
TLS_CONNECT_ERROR = Event(ERR, "SSL_connect: {}: client {}")
HANDSHAKE_TIMEOUT = Event(
    NOTICE, "ssl_handshake_poll: s_poll_wait: TIMEOUTbusy exceeded: sending reset"
)

# --- certificates --------------------------------------------------------------------------
CERT_LOADED = Event(DEBUG, "Certificate loaded from: {}")
KEY_LOADED = Event(DEBUG, "Private key loaded from: {}")
CHAIN_NOT_ISSUER = Event(WARNING, "Chain certificate has issued no other in the chain: {}")
CERT_NOT_YET_VALID = Event(WARNING, "Own certificate is not valid before {}: {} ({})")
CERT_EXPIRED = Event(WARNING, "Own certificate has expired at {}: {} ({})")
CERT_EXPIRES_SOON = Event(WARNING, "Own certificate expires in {} day(s), at {}: {} ({})")
CHAIN_NOT_YET_VALID = Event(WARNING, "Chain certificate is not valid before {}: {} ({})")
CHAIN_EXPIRED = Event(WARNING, "Chain certificate has expired at {}: {} ({})")
CHAIN_EXPIRES_SOON = Event(WARNING, "Chain certificate expires in {} day(s), at {}: {} ({})")
TRUST_UNREADABLE = Event(WARNING, "Trusted certificates are not loaded: {}")
VERIFY_STARTED = Event(DEBUG, "Verification started at depth={}: {}")
CERT_ACCEPTED_LEAF = Event(NOTICE, "Certificate accepted at depth=0: {}")
CERT_ACCEPTED = Event(INFO, "Certificate accepted at depth={}: {}")
CERT_REJECTED = Event(WARNING, "Rejected by CERT at depth={}: {}")
CERT_PREVERIFICATION = Event(WARNING, "CERT: Pre-verification error: {}")
CERT_SUBJECT_FAILED = Event(WARNING, "CERT: Subject checks failed")
CERT_NOT_PINNED = Event(WARNING, "CERT: Certificate not found in local repository")
CERT_MISSING = Event(WARNING, "CERT: Peer certificate required, but none was presented")
CERT_RESUMED_REJECTED = Event(WARNING, "CERT: Resumed session rejected: {}")
CERT_HOST_MATCHED = Event(INFO, 'CERT: Host name "{}" matched with "{}"')
CERT_EMAIL_MATCHED = Event(INFO, 'CERT: Email address "{}" matched')
CERT_IP_MATCHED = Event(INFO, 'CERT: IP address "{}" matched')
CERT_RULE_MATCHED = Event(INFO, 'CERT: {} "{}" matched with "{}"')
CERT_KEY_PINNED = Event(INFO, "CERT: Pinned public key matched")
CERT_KEY_NOT_PINNED = Event(WARNING, "CERT: Public key is not pinned; its pinSHA256 is {}")
CRLS_LOADED = Event(DEBUG, "Loaded {} revocation list(s) from {}")
CERT_NO_SUBJECT_CHECKS = Event(INFO, "CERT: No subject checks configured")
CERT_PINNED = Event(INFO, "CERT: Locally installed certificate matched")
CLIENT_CERT_CHOSEN = Event(INFO, "Client certificate sent: {} from {}")
CERT_UNVERIFIED = Event(INFO, "CERT: Certificate verification disabled")
TRUSTED_CLIENT_CA = Event(INFO, "Configured trusted client CA: {}")
TRUSTED_SERVER_CA = Event(INFO, "Configured trusted server CA: {}")

# --- protocol negotiation ------------------------------------------------------------------
NEGOTIATION_FAILED = Event(ERR, "{}: client {}")
NEGOTIATION_DETAIL = Event(INFO, "{}: client {}")
UPGRADE_DETECTED = Event(DEBUG, "{} detected")
UPGRADE_NOT_DETECTED = Event(DEBUG, "{} not detected")
CONNECT_ACCEPTED = Event(INFO, "CONNECT request accepted")
DESTINATION_REJECTED = Event(ERR, "{} connection to {} rejected: {}")
PROXY_HEADER = Event(INFO, "PROXY header of version {}: client {}")
LDAP_STARTED = Event(INFO, "LDAP Start TLS successfully negotiated")
FTP_PLAIN_DATA_REFUSED = Event(
    WARNING, "FTP server answered {} with {}: it may refuse plain data connections"
)

# --- relay and close -----------------------------------------------------------------------
READ_CLOSED = Event(INFO, "Read socket closed (readsocket)")
TLS_CLOSED = Event(INFO, "TLS closed (SSL_read)")
TLS_TRUNCATED = Event(
    WARNING, "TLS socket closed (SSL_read): the peer sent no close_notify, data may be missing"
)
TRUNCATION_RESET = Event(ERR, "requireCloseNotify: sending reset to the other side")
CLOSE_NOTIFY_SENT = Event(DEBUG, "Sending close_notify alert")
SOCKET_ERROR = Event(ERR, "{}: client {}")
#: The same after a line that has said it all: the peer had left without close_notify.
SOCKET_ERROR_DETAIL = Event(INFO, SOCKET_ERROR.text)
LOCAL_LEFT = Event(INFO, "transfer_tcp: writesocket: Socket is closed")
IDLE_TIMEOUT = Event(NOTICE, "transfer_tcp: s_poll_wait: TIMEOUTidle exceeded: sending reset")
CLOSE_TIMEOUT = Event(ERR, "transfer_tcp: s_poll_wait: TIMEOUTclose exceeded: closing")
CONNECTION_END = Event(NOTICE, "Connection {}: {} byte(s) sent to TLS, {} byte(s) sent to socket")
FINISHED = Event(DEBUG, "Service [{}] finished ({} left)")
