"""`RelayDriver`: decides with the model, carries what may pass, and says why the rest may not.

A server listens on a loopback address of its own; a client reaches it through the listener of
the pair, which `path` makes when it is first asked for. What the model says decides about every
new connection: no way is answered with SQLSTATE 08001 and the model's reason, a missing
whitelist entry with 28000 and the private address. When a living connection loses its way it
is held, as by a cut wire.

Differences from a kernel's network that users meet: a client has to use `path`'s address and
port; a held connection's own kernel still answers keepalives, so that only PostgreSQL's own
timeouts (wal_receiver_timeout, statement_timeout) notice the cut; living connections end with
the process.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from ipaddress import IPv4Address
from pathlib import Path as File

from ...errors import NetworkFailed
from ..fabric import (
    Bandwidth,
    Capabilities,
    Endpoint,
    Isolation,
    Meter,
    Observed,
    Outcome,
    Path,
    ProbeAnswer,
)
from ..forward import Forwarder
from ..pgwire import probe
from ..things import Attachment, Cen, Instance, Line, Thing, TransitRouter, Vpc, Vswitch
from .exchange import Exchange
from .ledger import Ledger, Place, has_block
from .lines import RelayLine, sweep

_REASONS = (
    "Every connection goes through a listener of this process; that needs no privilege.",
    "Any program of this machine may use any listener, or go round them to a server's own"
    " loopback address.",
)
_NO_BLOCK = "This machine has 127.0.0.1 alone: a server does not see which instance a client is."
#: What `observe` calls the things, bottom first; a CEN by itself is nothing here.
_KINDS: dict[type[Thing], str] = {
    Vpc: "vpc",
    Vswitch: "vswitch",
    Instance: "endpoint",
    TransitRouter: "transit_router",
    Attachment: "attachment",
    Line: "line",
}


class RelayDriver:
    """A `Driver`; thread-safe. Addresses and counters lie under `run`."""

    def __init__(self, installation: str, run: File) -> None:
        """NetworkFailed if what is remembered under `run` cannot be read."""
        self._run = run
        self._ledger = Ledger(run / "relay.json", installation)
        self._exchange = Exchange(self._ledger)
        self._lock = self._exchange.lock
        self._published: dict[str, Forwarder] = {}

    def capabilities(self) -> Capabilities:
        return Capabilities(
            driver="relay",
            isolation=Isolation.COOPERATIVE,
            bandwidth=Bandwidth.RELAY,
            latency=False,
            encrypted=False,
            real_private_ip=False,
            reasons=_REASONS if has_block() else (*_REASONS, _NO_BLOCK),
        )

    def status(self) -> list[str]:
        folder = next(f for f in (self._run, *self._run.parents) if f.exists())
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return []
        return [f"{folder} cannot be written: addresses of the relay are remembered there"]

    # What is made

    def ensure_vpc(self, vpc: Vpc) -> None:
        self._put(vpc)

    def ensure_vswitch(self, vswitch: Vswitch) -> None:
        self._put(vswitch)

    def ensure_transit_router(self, router: TransitRouter) -> None:
        with self._lock:
            self._exchange.topology.cens.setdefault(router.cen, Cen(router.cen, owner=""))
            self._put(router)

    def ensure_attachment(self, attachment: Attachment) -> None:
        self._put(attachment)

    def ensure_line(self, line: Line) -> None:
        with self._lock:
            lines = self._exchange.lines
            before = lines.get(line.id)
            if before is not None and before.ends == (line.a, line.b):
                self._exchange.topology.put(line)
                before.set_rate(line.rate)
                return
            if before is not None:
                before.forget()  # other ends: another line, with counters of its own
            # First, as it may fail: every line of the model has its lanes.
            made = RelayLine(line, self._run)
            self._exchange.topology.put(line)
            lines[line.id] = made
            self._exchange.settle()
            if before is not None:
                before.close()

    def ensure_endpoint(self, instance: Instance) -> Endpoint:
        """Also brings back the listeners that were remembered for the instance."""
        with self._lock:
            self._put(instance)
            key = ("instance", instance.id)
            place = self._ledger.allot(key, instance.port)
            if has_block() and place.port != instance.port:
                place = place._replace(port=instance.port)
                self._ledger.note(key, place)
            self._exchange.restore(instance.id)
            if published := self._ledger.get(("published", instance.id)):
                self.publish(instance.id, *published)
            return _endpoint(place)

    def _put(self, thing: Thing) -> None:
        with self._lock:
            self._exchange.topology.put(thing)
            self._exchange.settle()

    # What is removed

    def drop_vpc(self, id: str) -> None:
        self._drop("vpcs", id)

    def drop_vswitch(self, id: str) -> None:
        self._drop("vswitches", id)

    def drop_transit_router(self, id: str) -> None:
        with self._lock:
            self._drop("transit_routers", id)
            topology = self._exchange.topology
            used = {router.cen for router in topology.transit_routers.values()}
            topology.cens = {cen.id: cen for cen in topology.cens.values() if cen.id in used}

    def drop_attachment(self, id: str) -> None:
        self._drop("attachments", id)

    def drop_line(self, id: str) -> None:
        with self._lock:
            self._drop("lines", id)
            if (line := self._exchange.lines.pop(id, None)) is not None:
                line.close()
                line.forget()

    def drop_endpoint(self, id: str) -> None:
        """Its listeners go, its connections end, its addresses are forgotten."""
        with self._lock:
            self.unpublish(id)
            self._exchange.forget(id)
            self._drop("instances", id)
            self._ledger.forget(("instance", id))

    def gc(self, valid: Collection[str]) -> list[Observed]:
        with self._lock:
            doomed = [it for it in reversed(self.observe()) if it.id not in valid]
            for it in doomed:
                getattr(self, f"drop_{it.kind}")(it.id)
            self._ledger.keep(valid)
            sweep(self._run, valid)
            return doomed

    def _drop(self, shelf: str, id: str) -> None:
        """What stands on it goes first."""
        with self._lock:
            topology = self._exchange.topology
            found = getattr(topology, shelf).get(id)
            if found is None:
                return
            for user in topology.users(id):
                getattr(self, f"drop_{_KINDS[type(user)]}")(user.id)
            topology.remove(found)
            self._exchange.settle()

    # What is asked

    def observe(self) -> list[Observed]:
        with self._lock:
            return [
                Observed(_KINDS[type(thing)], thing.id)
                for thing in self._exchange.topology.things()
                if type(thing) in _KINDS
            ]

    def meter(self, line: str) -> Meter:
        """Payload alone: a relay sees no headers."""
        with self._lock:
            if line not in self._exchange.lines:
                raise NetworkFailed(f"there is no line {line}", id="network.missing")
            return self._exchange.lines[line].meter

    def endpoint(self, instance: str) -> Endpoint:
        with self._lock:
            self._exchange.instance(instance)
            return _endpoint(self._ledger.allot(("instance", instance), 0))

    def path(self, client: str, server: str) -> Path:
        """Also makes the pair's listener, which keeps its address for as long as both exist."""
        with self._lock:
            self._exchange.instance(client)
            return Path(server, *self._exchange.pair(client, server))

    def probe(self, client: str, address: IPv4Address, port: int, timeout: float) -> ProbeAnswer:
        self._exchange.instance(client)
        server = self._exchange.at(client, address)
        if server is None:
            return ProbeAnswer(Outcome.UNREACHABLE, 0.0, f"no instance has the address {address}")

        def dial(seconds: float) -> socket.socket:
            if port != server.port:
                raise ConnectionRefusedError(f"the relay leads to port {server.port} alone")
            return self._exchange.dial(client, server.id, seconds)

        return probe(dial, timeout)

    def namespace(self, instance: str) -> None:
        """None: all instances are at one place, and `path` tells them apart."""
        self._exchange.instance(instance)

    def publish(self, instance: str, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Remembered until `unpublish`: the same place again after a restart."""
        with self._lock:
            self._exchange.instance(instance)
            key = ("published", instance)
            old = self._ledger.get(key)
            if old is not None and old.host == host and port in (0, old.port):
                port = old.port
            elif instance in self._published:
                self._published.pop(instance).close()
            if instance not in self._published:
                self._published[instance] = Forwarder(
                    host, port, lambda seconds: self._exchange.connect(instance, seconds)
                )
            place = Place(*self._published[instance].address)
            self._ledger.note(key, place)
            return place

    def unpublish(self, instance: str) -> None:
        with self._lock:
            if instance in self._published:
                self._published.pop(instance).close()
            self._ledger.forget(("published", instance))

    def close(self) -> None:
        """End all listeners and connections; what is remembered stays."""
        with self._lock:
            self._exchange.close()
            for forwarder in self._published.values():
                forwarder.close()
            self._published.clear()


def _endpoint(place: Place) -> Endpoint:
    return Endpoint(*place, decides_whitelist=True, clients=("127.0.0.0/8",))
