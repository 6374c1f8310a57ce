"""Why a server turned a connection away, and what to do about it.

Failures while connecting carry no SQLSTATE (measured with psycopg 3.3), so they are
told apart by their text. libpq's part of it is English; the server's part follows its
lc_messages, so a text that is not recognised stays `OTHER` and is shown as it came.
"""

from __future__ import annotations

import re
from enum import Enum


class Refusal(Enum):
    """Why a connection could not be had."""

    ADDRESS = "address"
    """The name does not resolve, or nothing answers there."""
    PORT = "port"
    """The host answers, the port is closed."""
    TIMEOUT = "timeout"
    """Nothing is refused, but no answer came in time."""
    PASSWORD = "password"
    """Wrong, md5-only under a scram rule, or expired: servers do not say which."""
    NO_PASSWORD = "no_password"
    """The server asks for a password and none was given."""
    NO_HBA_LINE = "no_hba_line"
    """No pg_hba.conf line admits this user from this address to this database."""
    NO_DATABASE = "no_database"
    NO_CONNECT_PRIVILEGE = "no_connect_privilege"
    NO_ROLE = "no_role"
    NO_LOGIN = "no_login"
    TOO_MANY = "too_many"
    """All connections, or all of this role or database, are taken."""
    TLS = "tls"
    NOT_READY = "not_ready"
    """Starting up, shutting down, or in recovery without hot standby."""
    NO_REPLICATION = "no_replication"
    """The role has no REPLICATION attribute."""
    NO_WALSENDER = "no_walsender"
    """max_wal_senders is reached (0 under wal_level = minimal)."""
    POOLER = "pooler"
    """Not PostgreSQL itself answers, but a connection pooler."""
    OTHER = "other"


_PATTERNS: tuple[tuple[str, Refusal], ...] = (
    (r"could not translate host name|Name or service not known", Refusal.ADDRESS),
    (r"No route to host|Network is unreachable", Refusal.ADDRESS),
    (r"timeout expired|timed out", Refusal.TIMEOUT),
    (r"Connection refused|No such file or directory", Refusal.PORT),
    (r"no password supplied", Refusal.NO_PASSWORD),
    (r"must be superuser or replication role|permission denied to start WAL sender"
     r"|REPLICATION attribute", Refusal.NO_REPLICATION),
    (r"max_wal_senders", Refusal.NO_WALSENDER),
    (r"pg_hba\.conf", Refusal.NO_HBA_LINE),
    (r"authentication failed|password has expired", Refusal.PASSWORD),
    (r'database "[^"]*" does not exist|no such database', Refusal.NO_DATABASE),
    (r"permission denied for database", Refusal.NO_CONNECT_PRIVILEGE),
    (r'role "[^"]*" does not exist', Refusal.NO_ROLE),
    (r"not permitted to log in", Refusal.NO_LOGIN),
    (r"too many (clients|connections)|remaining connection slots", Refusal.TOO_MANY),
    (r"unsupported startup parameter|pgbouncer|no such user", Refusal.POOLER),
    (r"\bSSL\b|certificate|\bTLS\b", Refusal.TLS),
    (r"starting up|shutting down|not accepting connections|in recovery", Refusal.NOT_READY),
)  # fmt: skip
_REMEDIES = {
    Refusal.ADDRESS: "Check the name, the route between the two networks and any firewall.",
    Refusal.PORT: "Check host and port; start the server, or make it listen on this address"
    " (listen_addresses, port), and open the port in the host's firewall.",
    Refusal.TIMEOUT: "Check the route between the two networks, firewalls that drop packets, and"
    " that the line between them has bandwidth.",
    Refusal.PASSWORD: "The password is wrong, or it has expired (VALID UNTIL), or it was stored as"
    " md5 while pg_hba.conf asks for scram-sha-256; servers do not say which.",
    Refusal.NO_PASSWORD: "Give the password in the connection string, in PGPASSWORD or a passfile.",
    Refusal.NO_HBA_LINE: "Add a line that admits this account to the source's pg_hba.conf, and"
    " reload; `landbridge assess` prints it.",
    Refusal.NO_DATABASE: "Name an existing database (dbname=postgres) in the connection string.",
    Refusal.NO_CONNECT_PRIVILEGE: "GRANT CONNECT on that database, or name another one.",
    Refusal.NO_ROLE: "Name an existing role (user=...); `landbridge assess` prints the lines that"
    " create one.",
    Refusal.NO_LOGIN: "Let the role log in (ALTER ROLE ... LOGIN), or name another one.",
    Refusal.TOO_MANY: "Wait until connections are free, or raise max_connections or the limit of"
    " the role or the database.",
    Refusal.TLS: "Make sslmode, sslrootcert and the server's certificate agree.",
    Refusal.NOT_READY: "Wait until the server accepts connections, then try again.",
    Refusal.NO_REPLICATION: "Give the role the REPLICATION attribute.",
    Refusal.NO_WALSENDER: "Raise max_wal_senders and restart the server.",
    Refusal.POOLER: "Connect to PostgreSQL itself: a pooler does not carry replication.",
    Refusal.OTHER: "The message is the server's own; its log has the details.",
}


def remedy(refusal: Refusal) -> str:
    """What to do about it, in a sentence."""
    return _REMEDIES[refusal]


def classify(message: str) -> Refusal:
    """What a connection failure means.

    >>> classify('FATAL:  no pg_hba.conf entry for replication connection from host "10.0.0.2"')
    <Refusal.NO_HBA_LINE: 'no_hba_line'>
    >>> classify('FATAL:  Passwort-Authentifizierung fehlgeschlagen')
    <Refusal.OTHER: 'other'>
    """
    for pattern, refusal in _PATTERNS:
        if re.search(pattern, message, re.IGNORECASE):
            return refusal
    return Refusal.OTHER
