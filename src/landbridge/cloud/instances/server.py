"""The real server of an instance on this machine: brought to what is wanted, or removed."""

from __future__ import annotations

import os
import secrets as random
import shutil
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from pathlib import Path

from ...errors import LandbridgeError
from ...network.fabric import Endpoint, Fabric
from ...network.things import Instance
from ...postgres.cluster import Cluster
from ...postgres.facts.directory import PARTIAL_COPY_MARKER
from ...postgres.osaccount import OsAccount
from ...servers import room
from ...servers.identity import own_account
from . import roles, standby
from .homes import Homes, connect, listens, programs
from .states import Role
from .wanted import Settings, Wanted, as_met, hba

#: Seconds for a server that is removed to end by itself.
_GRACE = 5.0
#: What makes another server of a data directory than a primary.
_RECOVERY = ("recovery.conf", "recovery.signal", "standby.signal")


class NotYet(LandbridgeError):
    """Something that this server stands on is not there yet."""

    def __init__(self, message: str) -> None:
        super().__init__(message, id="instance.waits", retryable=True)


class House:
    """All instances' servers, in the fabric that they live in."""

    def __init__(self, homes: Homes, connect: Callable[[], Fabric]) -> None:
        self.homes = homes
        self._connect = connect

    def bring(
        self, wanted: Wanted, *, restart: bool, everybody: Iterable[Instance]
    ) -> list[tuple[roles.Order, str]]:
        """Make, start or change the server until it is as wanted; what became of the orders.

        May be repeated from any point. `everybody`: all instances, to tell clients of a
        relay by their private addresses. Raises NotYet, ServerFailed, NetworkFailed.
        """
        fabric = self._connect()
        endpoint = _endpoint(fabric, wanted.place)
        wanted = as_met(wanted, endpoint)
        cluster = Cluster(
            self.homes.home(wanted.id) / "data", programs(wanted.major), endpoint.port,
            account=own_account(self.homes.folder, wanted.number),
        )  # fmt: skip
        moved = listens(cluster.data) != (endpoint.listen, endpoint.port)
        is_up = _is_up(cluster)
        if is_up and (restart or moved or not cluster.is_guarded):
            cluster.stop()
            is_up = False
        if not is_up:
            room.end_all(fabric, wanted.id, cluster.account)
            self._open_way(cluster)
            self._make(fabric, wanted, cluster)
            self._configure(fabric, wanted, cluster, endpoint)
            room.start(fabric, wanted.id, cluster, shut_in=True, limits=wanted.limits)
        else:
            self._configure(fabric, wanted, cluster, endpoint)
            cluster.reload()
        return self._inside(fabric, wanted, cluster, endpoint, everybody)

    def remove(self, id: str, number: int, slot_at: Cluster | None, slot: str) -> None:
        """Stop a server, end all that came of it, and remove it."""
        cluster = self.homes.found(id, number)
        if _is_up(cluster):
            cluster.stop("immediate", _GRACE)
        room.end_all(self._connect(), id, cluster.account)
        if slot_at is not None and slot_at.process() is not None:
            standby.dismiss(slot_at, slot)
        if cluster.socket_dir.parent != self.homes.home(id):
            shutil.rmtree(cluster.socket_dir, ignore_errors=True)
        self.homes.discard(id)

    def _make(self, fabric: Fabric, wanted: Wanted, cluster: Cluster) -> None:
        """Make the data directory, whole or not at all."""
        if _is_made(cluster.data):
            return
        # A name of its own: who was killed may have left a program that still writes.
        scratch = self.homes.scratch(wanted.id, random.token_hex(4))
        if wanted.role is Role.READ_ONLY:
            standby.copy(fabric, wanted, cluster, scratch)
        else:
            # initdb looks its account up in /etc/passwd.
            Cluster(scratch, cluster.distribution, 0, account=OsAccount.for_servers()).init()
            cluster.account.own_tree(scratch)
        if cluster.data.exists():
            cluster.data.rmdir()
        scratch.rename(cluster.data)

    def _open_way(self, cluster: Cluster) -> None:
        self.homes.open_way()
        cluster.account.require_way(self.homes.folder, "instance.closed_folder")
        self.homes.lay_out(cluster)

    def _configure(
        self, fabric: Fabric, wanted: Wanted, cluster: Cluster, endpoint: Endpoint
    ) -> None:
        settings: Settings = {"listen_addresses": endpoint.listen, **wanted.settings}
        if wanted.role is Role.READ_ONLY:
            standby.configure(cluster, settings, standby.settings(fabric, wanted, cluster))
        else:
            # One of a tenant's own could keep the start waiting for ever.
            for name in _RECOVERY:
                (cluster.data / name).unlink(missing_ok=True)
            cluster.configure(settings)
        clients = endpoint.clients if endpoint.decides_whitelist else None
        lines = room.hba_lines(wanted.whitelist, endpoint)
        cluster.write_hba([*hba(wanted, clients), *lines])

    def _inside(
        self,
        fabric: Fabric,
        wanted: Wanted,
        cluster: Cluster,
        endpoint: Endpoint,
        everybody: Iterable[Instance],
    ) -> list[tuple[roles.Order, str]]:
        """What is done over a connection: roles, accounts, sessions."""
        done: list[tuple[roles.Order, str]] = []
        with connect(cluster) as conn:
            if wanted.role is Role.PRIMARY:
                roles.ensure_service(conn)
                done = roles.carry_out(conn, wanted.orders)
            if wanted.closes_strangers:
                admitted = wanted.place.whitelist
                for session in room.strangers(
                    conn, admitted, _private(fabric, endpoint, everybody)
                ):
                    conn.execute("SELECT pg_terminate_backend(%s)", [session.pid])
        return done


def _endpoint(fabric: Fabric, place: Instance) -> Endpoint:
    """The instance's place, once the network's reconciler has made it.

    We never make it ourselves: a place that it does not know yet it would remove.
    """
    if not any(it.kind == "endpoint" and it.id == place.id for it in fabric.observe()):
        raise NotYet(f"{place.id} has no place in the network yet")
    return fabric.ensure_endpoint(place)


def _private(
    fabric: Fabric, endpoint: Endpoint, everybody: Iterable[Instance]
) -> Callable[[str], IPv4Address]:
    if not endpoint.decides_whitelist:
        return IPv4Address
    known = {fabric.ensure_endpoint(other).listen: other.address for other in everybody}
    return lambda client: known.get(client, IPv4Address(client))


def _is_up(cluster: Cluster) -> bool:
    """Whether its server runs: not if an old pid file names a process of somebody else."""
    process = cluster.process()
    return process is not None and (cluster.is_guarded or process.uid == cluster.account.uid)


def _is_made(data: Path) -> bool:
    """Whether there is a data directory. Raises NotYet while a migration's copy is not whole."""
    if os.path.lexists(data / PARTIAL_COPY_MARKER):
        raise NotYet("a migration has left half a copy")
    try:
        with os.scandir(data) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False
