"""Where the relay decides: who may reach whom now, over which line, through which listener."""

from __future__ import annotations

import socket
import threading
from ipaddress import IPv4Address

from ...errors import NetworkFailed
from ..pgwire import Refused, no_route, not_whitelisted
from ..rules import stands_on
from ..things import Cen, Instance, Thing, Vpc, admits
from ..topology import Topology
from .ledger import Key, Ledger, Place, has_block
from .lines import RelayLine
from .pair import Direct, Pair, Way

_DIRECT = Direct()


class Given(Topology):
    """What the driver was given. The rules are kept above; here only: nothing stands on air.

    On the way from one valid network to another a rule may be broken for a while, such as when
    two instances change addresses.
    """

    def put(self, thing: Thing) -> None:
        """NetworkFailed (network.missing) if something is not there that it stands on."""
        there = {other.id for other in self.things()}
        for id in stands_on(thing):
            if id not in there:
                raise missing(id)
        self._shelf(thing)[thing.id] = thing

    def remove(self, thing: Thing) -> None:
        self._shelf(thing).pop(thing.id, None)

    def users(self, id: str) -> list[Thing]:
        """What stands on the thing of that id, top first."""
        return [other for other in reversed([*self.things()]) if id in stands_on(other)]

    def is_granted(self, vpc: Vpc, cen: Cen) -> bool:
        """Whoever asked for an attachment had the grant."""
        return True


def missing(id: str) -> NetworkFailed:
    return NetworkFailed(
        f"{id} has no place",
        id="network.missing",
        remedy="Build the network anew from what is wanted; what stands is kept.",
    )


class Exchange:
    """The topology, and a `Pair` for every (client, server) that was asked for. Thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self.lock = threading.RLock()
        self.topology = Given()
        self.lines: dict[str, RelayLine] = {}
        self._ledger = ledger
        self._pairs: dict[tuple[str, str], Pair] = {}

    def instance(self, id: str) -> Instance:
        """NetworkFailed (network.missing) if it has no place."""
        found = self.topology.instances.get(id)
        if found is None:
            raise missing(f"instance {id}")
        return found

    def at(self, client: str, address: IPv4Address) -> Instance | None:
        """Who has an address, as `client` sees it: in its own VPC first, then where it reaches."""
        with self.lock:
            home = self.topology.vpc_of(client).id
            found = [i for i in self.topology.instances.values() if i.address == address]
            return min(
                found,
                key=lambda i: (
                    self.topology.vpc_of(i.id).id != home,
                    not self.topology.verdict(client, i.id).reaches,
                ),
                default=None,
            )

    def pair(self, client: str, server: str) -> Place:
        """Where `client` finds `server`; makes the listener if there is none yet."""
        with self.lock:
            place = self._ledger.allot(("pair", client, server), self.instance(server).port)
            if (client, server) not in self._pairs:
                pair = Pair(place, lambda seconds: self.dial(client, server, seconds))
                pair.settle(self._ways(client, server))
                self._pairs[client, server] = pair
            return place

    def restore(self, instance: str) -> None:
        """Make the listeners that are remembered for an instance and another that is there."""
        for _, client, server in self._remembered(instance):
            if {client, server} <= self.topology.instances.keys():
                self.pair(client, server)

    def forget(self, instance: str) -> None:
        """End all pairs of an instance and give their addresses back."""
        with self.lock:
            for client, server in [pair for pair in self._pairs if instance in pair]:
                self._pairs.pop((client, server)).close()
            for key in self._remembered(instance):
                self._ledger.forget(key)

    def settle(self) -> None:
        """Lead all living connections as the topology says now."""
        with self.lock:
            for (client, server), pair in self._pairs.items():
                if {client, server} <= self.topology.instances.keys():
                    pair.settle(self._ways(client, server))

    def dial(self, client: str, server: str, seconds: float) -> socket.socket:
        """A connection from the client's place to the server; Refused says why not."""
        with self.lock:
            verdict = self.topology.verdict(client, server)
            source, target = self.instance(client), self.instance(server)
        if not verdict.reaches:
            way = f"no route from {source.address} to {target.address}"
            raise Refused(no_route(f"{way}: {verdict.reason}"))
        if not admits(target.whitelist, source.address):
            hint = f"Add {source.address} to the whitelist of {server}."
            raise Refused(not_whitelisted(str(source.address), hint))
        return self.connect(server, seconds, client)

    def connect(self, server: str, seconds: float, client: str | None = None) -> socket.socket:
        """A connection to a server's own address, from that of `client` if one is given."""
        with self.lock:
            target = self._ledger.get(("instance", server))
            source = self._ledger.get(("instance", client)) if client and has_block() else None
        if target is None:
            raise ConnectionRefusedError(f"{server} has no address")
        origin = (source.host, 0) if source else None
        return socket.create_connection(target, seconds, origin)

    def close(self) -> None:
        """End all listeners, connections and lines; what is remembered stays."""
        with self.lock:
            for pair in self._pairs.values():
                pair.close()
            for line in self.lines.values():
                line.close()
            self._pairs.clear()
            self.lines.clear()
            self.topology = Given()

    def _remembered(self, instance: str) -> list[Key]:
        return [key for key in self._ledger.keys("pair") if instance in key[1:]]

    def _ways(self, client: str, server: str) -> tuple[Way, Way] | None:
        """What a pair's directions lead over, None where no packet may pass.

        The whitelist does not count: taking an entry away ends no session.
        """
        if not self.topology.verdict(client, server).reaches:
            return None
        line = self.topology.line_of(client, server)
        if line is None:
            return _DIRECT, _DIRECT
        origin = self.topology.attachment_of(self.topology.vpc_of(client).id)
        assert origin is not None  # a line joins what is attached
        return self.lines[line.id].lanes(origin.transit_router)
