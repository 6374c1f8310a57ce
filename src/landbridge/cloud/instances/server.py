"""The real server of an instance on this machine: brought to what is wanted, or removed."""

from __future__ import annotations

import secrets as random
import shutil
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from ...errors import LandbridgeError, ServerFailed
from ...network.fabric import Endpoint, Fabric
from ...network.things import Instance
from ...postgres.cluster import Cluster
from ...postgres.facts.directory import Occupant, look_at
from ...postgres.osaccount import OsAccount
from ...servers import room
from ...servers.identity import own_account
from . import roles, standby
from .homes import Homes, connect, listens, programs
from .states import Role
from .wanted import Settings, Wanted, hba


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
        cluster = Cluster(
            self.homes.home(wanted.id) / "data", programs(wanted.major), endpoint.port,
            account=own_account(self.homes.folder, wanted.number),
        )  # fmt: skip
        self._make(fabric, wanted, cluster)
        moved = listens(cluster.data) != (endpoint.listen, endpoint.port)
        self._configure(fabric, wanted, cluster, endpoint)
        if cluster.process() is not None and (restart or moved):
            cluster.stop()
        if cluster.process() is None:
            _own(cluster)
            room.start(fabric, wanted.id, cluster, shut_in=True)
        else:
            cluster.reload()
        return self._inside(fabric, wanted, cluster, endpoint, everybody)

    def remove(self, id: str, number: int, slot_at: Cluster | None, slot: str) -> None:
        """Stop a server and remove all of it."""
        cluster = self.homes.found(id, number)
        cluster.stop("immediate")
        if slot_at is not None and slot_at.process() is not None:
            standby.dismiss(slot_at, slot)
        if cluster.socket_dir.parent != self.homes.home(id):
            shutil.rmtree(cluster.socket_dir, ignore_errors=True)
        if self.homes.home(id).exists():
            shutil.rmtree(self.homes.home(id))

    def _make(self, fabric: Fabric, wanted: Wanted, cluster: Cluster) -> None:
        """Make the data directory, whole or not at all."""
        there = look_at(cluster.data, cluster.account)
        if there.occupant in (Occupant.CLUSTER, Occupant.EMPTY_CLUSTER):
            return
        if there.occupant is not Occupant.NOTHING:
            raise NotYet(f"{cluster.data} holds {there.occupant.value}")
        self._open_way(cluster.account)
        home = self.homes.home(wanted.id)
        for left in home.glob("data.new.*"):
            shutil.rmtree(left, ignore_errors=True)
        # A name of its own: who was killed may have left a program that still writes.
        scratch = cluster.data.with_name(f"data.new.{random.token_hex(4)}")
        if wanted.role is Role.READ_ONLY:
            cluster.account.make_dir(home)
            standby.copy(fabric, wanted, cluster, scratch)
        else:
            # initdb looks its account up in /etc/passwd.
            maker = OsAccount.for_servers()
            maker.make_dir(home)
            Cluster(scratch, cluster.distribution, 0, account=maker).init()
        if cluster.data.exists():
            cluster.data.rmdir()
        cluster.account.own(home)
        cluster.account.own_tree(scratch)
        scratch.rename(cluster.data)

    def _open_way(self, account: OsAccount) -> None:
        """Let the servers' accounts through to their folders."""
        folder = self.homes.folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
        if not account.can_execute(folder):
            raise ServerFailed(
                f"the accounts of the servers cannot get through to {folder}",
                id="instance.closed_folder",
                remedy="Make it and the folders above it passable: chmod o+x.",
            )

    def _configure(
        self, fabric: Fabric, wanted: Wanted, cluster: Cluster, endpoint: Endpoint
    ) -> None:
        settings: Settings = {"listen_addresses": endpoint.listen, **wanted.settings}
        if wanted.role is Role.READ_ONLY:
            standby.configure(cluster, settings, standby.settings(fabric, wanted, cluster))
        else:
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


def _own(cluster: Cluster) -> None:
    """Give all of a stopped server's files to its account, whoever made them."""
    if cluster.data.stat().st_uid != cluster.account.uid or _foreign(cluster):
        cluster.account.own_tree(cluster.data.parent)


def _foreign(cluster: Cluster) -> bool:
    control = cluster.data / "global/pg_control"
    return control.stat().st_uid != cluster.account.uid
