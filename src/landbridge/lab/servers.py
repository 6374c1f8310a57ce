"""The servers of a lab's instances: made, started at their place, let in whom they may.

A server is administered over its private Unix socket, which no network is needed for; only
its start goes through the fabric.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from ..errors import LandbridgeError, ServerProgramsMissing
from ..network.fabric import Endpoint, Fabric
from ..postgres import units
from ..postgres.cluster import CONFIG_HEADER, Cluster
from ..postgres.distribution import Distribution, discover, find
from ..postgres.facts.directory import Occupant, look_at
from ..postgres.osaccount import OsAccount
from ..servers import room
from .accounts import ensure_accounts
from .drawing import Light, Seen
from .plan import Plan
from .sample import ensure_sample
from .store import Store

T = TypeVar("T")

#: Servers that are worked on at the same time.
_AT_ONCE = 4
#: For what needs no program: to find a server's process and to stop it.
_NO_PROGRAMS = Distribution("0.0", Path("/"), "none")
_SETTINGS: dict[str, str | int] = {
    "password_encryption": "scram-sha-256",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
}


@cache
def newest() -> int:
    """The newest major whose programs are here; ServerProgramsMissing if there are none."""
    majors = {distribution.major for distribution in discover()}
    if not majors:
        raise ServerProgramsMissing(
            "no PostgreSQL server programs on this host",
            remedy="Install them (Debian: apt-get install postgresql).",
        )
    return max(majors)


def major_of(store: Store, plan: Plan, id: str) -> int:
    """The major of an instance: of its data directory, else as planned, else the newest here.

    LandbridgeError (lab.major_differs) if the plan contradicts the data directory.
    """
    planned = plan.servers[id].major
    there = look_at(store.data(id), OsAccount.for_servers()).major
    if there is not None and planned not in (None, there):
        raise LandbridgeError(
            f"{id} shall be PostgreSQL {planned}, its data are of {there}",
            id="lab.major_differs",
            remedy="Take the lab down and up again, which removes its data.",
        )
    return there or planned or newest()


def is_running(store: Store, id: str) -> bool:
    """Whether the server of an instance runs, however much of the lab is there."""
    return Cluster(store.data(id), _NO_PROGRAMS, 0).process() is not None


def stop_server(store: Store, id: str, mode: str = "fast") -> bool:
    """Stop the server of an instance, however much of the lab is there; whether one ran."""
    cluster = Cluster(store.data(id), _NO_PROGRAMS, 0)
    if cluster.process() is None:
        return False
    cluster.stop(mode)
    return True


class Servers:
    """All servers of one lab."""

    def __init__(self, store: Store, plan: Plan, fabric: Fabric) -> None:
        self.store = store
        self.plan = plan
        self.fabric = fabric

    def major(self, id: str) -> int:
        """See `major_of`."""
        return major_of(self.store, self.plan, id)

    def cluster(self, id: str, endpoint: Endpoint | None = None) -> Cluster:
        """The server of an instance, made or not, running or not."""
        port = (endpoint or self.endpoint(id)).port
        return Cluster(self.store.data(id), find(self.major(id)), port)

    def endpoint(self, id: str) -> Endpoint:
        """Where the server of an instance listens; NetworkFailed where the network is not made."""
        return self.fabric.endpoint(id)

    def up(self, id: str) -> str:
        """Make the server of an instance if need be, start it, let in whom it shall; says what.

        Raises LandbridgeError (lab.partial_copy) where a migration has left half a copy.
        """
        endpoint = self.endpoint(id)
        cluster = self.cluster(id, endpoint)
        done = "was up"
        occupant = look_at(cluster.data, cluster.account).occupant
        if occupant is Occupant.PARTIAL_COPY:
            raise LandbridgeError(
                f"{id} holds the partial copy of a migration", id="lab.partial_copy",
                remedy="Go on with it or give it up: landbridge tasks.",
            )  # fmt: skip
        if occupant is Occupant.NOTHING:
            self._make(cluster)
            done = "made"
        if not (cluster.data / "postgresql.conf").read_text().startswith(CONFIG_HEADER):
            cluster.configure({**_SETTINGS, "cluster_name": id})
        listens_anew = self._listen(cluster, endpoint)
        self._write_hba(id, cluster, endpoint)
        process = cluster.process()
        if process is not None and (listens_anew or not room.is_there(self.fabric, id, process)):
            cluster.stop()
        if cluster.process() is None:
            room.start(self.fabric, id, cluster)
            done = "made" if done == "made" else "started"
        else:
            cluster.reload()
        self._fill(id, cluster)
        return done

    def _make(self, cluster: Cluster) -> None:
        """The data directory appears whole: killed, we leave an initdb that works on."""
        cluster.account.make_dir(self.store.instances, 0o711)
        folder = cluster.account.make_dir(cluster.data.parent)
        for left in folder.glob("making-*"):
            shutil.rmtree(left, ignore_errors=True)
        made = Cluster(folder / f"making-{os.getpid()}", cluster.distribution, cluster.port)
        made.init()
        made.data.rename(cluster.data)

    def _listen(self, cluster: Cluster, endpoint: Endpoint) -> bool:
        """Name the address and port in the configuration; whether they were others."""
        path = cluster.data / "postgresql.conf"
        text = path.read_text()
        wanted = {"listen_addresses": f"'{endpoint.listen}'", "port": str(endpoint.port)}
        changed = text
        for name, value in wanted.items():
            changed = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", changed)
        if changed != text:
            cluster.account.write(path, changed)
        return changed != text

    def _write_hba(self, id: str, cluster: Cluster, endpoint: Endpoint) -> None:
        whitelist = self.plan.topology.instances[id].whitelist
        cluster.write_hba(room.hba_lines(whitelist, endpoint))

    def _fill(self, id: str, cluster: Cluster) -> None:
        """Accounts and sample data; what refuses writes has them, or shall not get them."""
        with cluster.connect() as conn:
            if _light(conn) is not Light.UP:
                return
            ensure_accounts(conn, self.store.secrets)
        if rows := self.plan.servers[id].rows:
            ensure_sample(cluster, rows)

    def admit(self, id: str, *, close: bool = False) -> list[room.Session]:
        """Make a running server let in whom the whitelist names, and nobody else.

        Returns the sessions of clients that it does not admit any more: they stay open, as
        pg_hba is asked only when a session begins, unless `close` ends them.
        """
        endpoint = self.endpoint(id)
        cluster = self.cluster(id, endpoint)
        if cluster.process() is None:
            return []
        self._write_hba(id, cluster, endpoint)
        cluster.reload()
        with cluster.connect() as conn:
            left = self._strangers(id, conn)
            if close:
                for session in left:
                    conn.execute("SELECT pg_terminate_backend(%s)", [session.pid])
        return left

    def _strangers(self, id: str, conn: psycopg.Connection[Any]) -> list[room.Session]:
        places = {
            self.endpoint(other.id).listen: other.address
            for other in self.plan.topology.instances.values()
        }
        admitted = self.plan.topology.instances[id].whitelist
        return list(room.strangers(conn, admitted, lambda c: places.get(c, IPv4Address(c))))

    def stop(self, id: str) -> None:
        """Stop the server of an instance."""
        stop_server(self.store, id)

    def look(self, id: str) -> Seen:
        """What is to be seen of a server: its light, and a few words."""
        data = self.store.data(id)
        there = look_at(data, OsAccount.for_servers())
        if there.occupant is Occupant.PARTIAL_COPY:
            return Seen(Light.DOWN, "a partial copy")
        if there.major is None:
            return Seen(Light.DOWN, "not made")
        name = f"PostgreSQL {there.major}"
        if not is_running(self.store, id):
            return Seen(Light.DOWN, f"{name}, not running")
        try:
            with self.cluster(id).connect() as conn:
                light = _light(conn)
                row = conn.execute("SELECT sum(pg_database_size(oid)) FROM pg_database").fetchone()
        except (LandbridgeError, psycopg.Error):
            return Seen(Light.DOWN, f"{name}, does not answer")
        more = {Light.READ_ONLY: ", read-only", Light.STANDBY: ", follows"}.get(light, "")
        return Seen(light, f"{name}{more}, {units.size(row[0] if row else None)}")

    def all(self, action: Callable[[str], T]) -> dict[str, T]:
        """What `action` gives for every instance, several at a time; the first error is raised."""
        ids = list(self.plan.topology.instances)
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return dict(zip(ids, pool.map(action, ids), strict=True))


def _light(conn: psycopg.Connection[Any]) -> Light:
    row = conn.execute(
        "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"
    ).fetchone()
    if row is None or row[0]:
        return Light.STANDBY
    return Light.READ_ONLY if row[1] == "on" else Light.UP
