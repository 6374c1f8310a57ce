"""A read-only instance: copied from its primary over the network, then following it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ...errors import ServerFailed
from ...network.fabric import Fabric
from ...postgres.cluster import CONFIG_HEADER, Cluster, quote
from ...postgres.conninfo import Conninfo
from ...servers.shut_in import Room, through
from .homes import connect
from .roles import set_password
from .scram import verifier
from .wanted import Settings, Wanted

#: Seconds of a whole copy.
_COPY_TIMEOUT = 24 * 3600


def admit(primary: Cluster, wanted: Wanted) -> None:
    """Give a standby its slot and its role's password at the primary; repeatable."""
    assert wanted.replicator is not None
    with connect(primary) as conn:
        set_password(conn, "replicator", verifier(wanted.replicator))
        conn.execute(
            "SELECT pg_create_physical_replication_slot(%s, true) WHERE NOT EXISTS"
            " (SELECT FROM pg_replication_slots WHERE slot_name = %s)",
            [wanted.slot, wanted.slot],
        )


def dismiss(primary: Cluster, slot: str) -> None:
    """Take a standby's slot from a running primary, so that it keeps no WAL for it."""
    with connect(primary) as conn:
        conn.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE slot_name = %s AND NOT active",
            [slot],
        )


def copy(fabric: Fabric, wanted: Wanted, cluster: Cluster, scratch: Path) -> None:
    """Copy the primary into `scratch`, from the standby's own place; ServerFailed."""
    program = cluster.distribution.program("pg_basebackup")
    cluster.account.make_dir(scratch)
    # The primary sends what it likes: it is written by the standby's account, shut in.
    command = [
        *through(Room.copying(cluster, scratch)),
        str(program), "-D", str(scratch), "-X", "stream", "-S", wanted.slot, "-c", "fast",
        "-d", _conninfo(fabric, wanted, cluster),
    ]  # fmt: skip
    done = subprocess.run(
        fabric.command(wanted.id, command), capture_output=True, text=True,
        env=_environment(cluster), start_new_session=True, timeout=_COPY_TIMEOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ServerFailed(f"{wanted.id}: the primary could not be copied: {words}")


def settings(fabric: Fabric, wanted: Wanted, cluster: Cluster) -> Settings:
    """What makes a server follow the primary; before 12 it goes into recovery.conf."""
    return {
        "primary_conninfo": _conninfo(fabric, wanted, cluster),
        "primary_slot_name": wanted.slot,
        "recovery_target_timeline": "latest",
    }


def configure(cluster: Cluster, common: Settings, following: Settings) -> None:
    """Write the standby's configuration; its server reads recovery.conf at its start alone."""
    write = cluster.account.write
    if cluster.distribution.major >= 12:
        cluster.configure({**common, **following})
        write(cluster.data / "standby.signal", f"{CONFIG_HEADER}\n")
        return
    cluster.configure(common)
    lines = [f"{n} = {quote(v)}" for n, v in {"standby_mode": "on", **following}.items()]
    write(cluster.data / "recovery.conf", "\n".join((CONFIG_HEADER, *lines)) + "\n")


def _conninfo(fabric: Fabric, wanted: Wanted, cluster: Cluster) -> str:
    """How the standby reaches its primary; the password lies in a passfile of its own."""
    assert wanted.primary is not None and wanted.replicator is not None
    path = fabric.path(wanted.id, wanted.primary.id)
    conninfo = Conninfo({"user": "replicator", "host": path.hostaddr, "port": str(path.port)})
    passfile = cluster.side / "replicator.pgpass"
    conninfo.with_password(wanted.replicator).write_passfile(passfile)
    cluster.account.own(passfile)
    values = {
        **conninfo.public(), "passfile": str(passfile), "application_name": wanted.slot,
        "connect_timeout": "8", "sslmode": "disable",
    }  # fmt: skip
    return " ".join(f"{name}={value}" for name, value in values.items())


def _environment(cluster: Cluster) -> dict[str, str]:
    return {**cluster.distribution.environment, "HOME": "/nonexistent"}
