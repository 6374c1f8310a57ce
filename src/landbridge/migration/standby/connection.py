"""How the standby reaches its source: primary_conninfo, its passfile, its TLS files.

All of it lies in the folder beside the data directory, owned by the server's
account, because the task's own secrets are closed to that account.
"""

from __future__ import annotations

from pathlib import Path

from psycopg.conninfo import make_conninfo

from ...errors import LandbridgeError
from ...postgres.cluster import Cluster
from ...postgres.conninfo import KEEPALIVE
from ..task import Task

#: Begin of the names of our files beside the data directory that finish() removes.
PREFIX = "primary."
_TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
#: libpq's own places of those files, for the person who runs the tool.
_TLS_DEFAULTS = {
    "sslrootcert": "root.crt",
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
    "sslcrl": "root.crl",
}
#: Parameters that an older libpq refuses, and the first major whose libpq knows them.
_SINCE = {
    "tcp_user_timeout": 12, "gssencmode": 12,
    "channel_binding": 13, "ssl_min_protocol_version": 13, "ssl_max_protocol_version": 13,
    "sslcrldir": 14, "sslsni": 14,
    "require_auth": 16, "sslcertmode": 16, "gssdelegation": 16, "load_balance_hosts": 16,
    "sslnegotiation": 17,
    "min_protocol_version": 18, "max_protocol_version": 18,
}  # fmt: skip
#: What a walreceiver sets itself, what is ours, and what only this person's files explain.
_DROPPED = (
    "dbname", "replication", "passfile", "application_name", "fallback_application_name",
    "service", "servicefile", "client_encoding", "password", "sslpassword",
)  # fmt: skip
#: The source's walsender gives a dead line up after this, so that the slot is free again.
SENDER_TIMEOUT = "6s"


def passfile(cluster: Cluster) -> Path:
    """The one file that holds the password while the destination follows."""
    return cluster.side / f"{PREFIX}pgpass"


def primary_conninfo(task: Task, cluster: Cluster) -> str:
    """The value of primary_conninfo: never with a password.

    libpq of the server's major reads it, so parameters that it does not know are left out.
    """
    major = cluster.distribution.major
    asked = task.request.source
    found = {
        name: value
        for name, value in {**KEEPALIVE, **asked}.items()
        if name not in _DROPPED and _SINCE.get(name, 0) <= major
    }
    for name in _TLS_FILES:
        # Named even where there is no such file: libpq would look into the home of whoever
        # started the server, and gives up when it may not (seen with root's).
        if found.get(name) != "system":
            found[name] = str(cluster.side / f"{PREFIX}{name}")
    if major >= 12:
        # Settable by any role from 12 on; before, the source's own value (60 s) holds.
        timeout = f"-c wal_sender_timeout={SENDER_TIMEOUT}"
        found["options"] = f"{asked.get('options', '')} {timeout}".strip()
    return make_conninfo(**found, application_name=task.slot, passfile=str(passfile(cluster)))


def provide_files(task: Task, cluster: Cluster) -> None:
    """Put the passfile and the TLS files where the server's account may read them.

    Raises LandbridgeError (credentials.missing) if the task's passfile is gone.
    """
    account = cluster.account
    cluster.make_side()
    try:
        account.write(passfile(cluster), task.passfile("source").read_text())
    except FileNotFoundError:
        raise LandbridgeError(
            f"the password of {task.conninfo()} is no longer stored", id="credentials.missing"
        ) from None
    for name in _TLS_FILES:
        given = task.request.source.get(name, "")
        path = Path(given) if given else Path.home() / ".postgresql" / _TLS_DEFAULTS[name]
        if path.is_file():
            account.write(cluster.side / f"{PREFIX}{name}", path.read_text())


def remove_files(cluster: Cluster) -> list[str]:
    """Remove what provide_files() wrote; the names of the files removed."""
    removed = []
    for path in sorted(cluster.side.glob(f"{PREFIX}*")):
        path.unlink()
        removed.append(path.name)
    return removed
