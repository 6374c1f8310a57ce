"""Devices, addresses and routes of one namespace, brought to what is wanted.

Everything here reads first and changes only what differs, so that doing it twice changes
nothing the second time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute

from ...errors import NetworkFailed
from .names import Names
from .spaces import inside

T = TypeVar("T")

_UP = 1  # IFF_UP
_MAIN = 254  # RT_TABLE_MAIN
_STATIC = 4  # RTPROT_STATIC: ours; the kernel's own routes are left alone
_UNREACHABLE = 7  # RTN_UNREACHABLE
_LAST = 4278198272
"""Metric of the route that answers what no other route takes."""

ANYWHERE = IPv4Network("0.0.0.0/0")

#: Settings of a namespace that forwards. Strict reverse path = no packet with the source
#: address of a network behind another device. Unlimited ICMP answers: more of the forbidden
#: connections end as "no route to host" instead of a timeout (measured: 30 of 48, not 16).
ROUTER = {
    "ip_forward": "1",
    "conf/all/rp_filter": "1",
    "conf/default/rp_filter": "1",
    "icmp_ratelimit": "0",
}

#: Settings of an instance: it tells its neighbours when an address has come to it.
HOST = {"conf/default/arp_notify": "1"}


@dataclass(frozen=True)
class Device:
    """A device as it is."""

    index: int
    name: str
    mac: str
    alias: str
    up: bool
    master: int | None
    address: IPv4Interface | None


@dataclass(frozen=True)
class Route:
    """A route of ours: to a device, or the answer "unreachable"."""

    to: IPv4Network
    via: IPv4Address | None = None
    device: int | None = None
    source: IPv4Address | None = None
    """Which of its addresses the router answers with itself."""

    @classmethod
    def nowhere(cls, to: IPv4Network = ANYWHERE) -> Route:
        return cls(to)

    @property
    def metric(self) -> int:
        return _LAST if self.device is None else 0


class Links:
    """The devices of the namespace that the calling thread is in."""

    def __init__(self, netlink: IPRoute) -> None:
        self.netlink = netlink

    def devices(self) -> dict[str, Device]:
        """Every device by name, with its first IPv4 address."""
        return {device.name: device for device in self._devices()}

    def device(self, name: str) -> Device:
        """One device; NetworkFailed (network.missing) if it is not there."""
        index = index_of(name)
        if index is None:
            raise NetworkFailed(f"device {name} is gone", id="network.missing")
        return self._devices(index)[0]

    def _devices(self, *index: int) -> list[Device]:
        addresses: dict[int, IPv4Interface] = {}
        for found in self.netlink.get_addr(family=socket.AF_INET):
            text = f"{found.get_attr('IFA_LOCAL')}/{found['prefixlen']}"
            addresses.setdefault(found["index"], IPv4Interface(text))
        return [
            Device(
                link["index"],
                link.get_attr("IFLA_IFNAME"),
                link.get_attr("IFLA_ADDRESS") or "",
                link.get_attr("IFLA_IFALIAS") or "",
                bool(link["flags"] & _UP),
                link.get_attr("IFLA_MASTER"),
                addresses.get(link["index"]),
            )
            for link in self.netlink.get_links(*index)
        ]

    def make_bridge(self, name: str) -> None:
        if index_of(name) is None:
            self.netlink.link("add", ifname=name, kind="bridge")

    def make_pair(self, name: str, peer: str, peer_space: Path) -> None:
        """A veth from here to there. One message: a killed builder leaves both ends or none."""
        fd = os.open(peer_space, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.netlink.link(
                "add", ifname=name, kind="veth", peer={"ifname": peer, "net_ns_fd": fd}
            )
        finally:
            os.close(fd)

    def delete(self, name: str) -> None:
        """Remove a device, and with it its other end; nothing happens if it is not there."""
        if (index := index_of(name)) is not None:
            self.netlink.link("del", index=index)

    def clear(self) -> None:
        """Remove every device of ours, so that nothing passes even if a process stays."""
        for name in self.devices():
            if Names.role(name) is not None:
                self.delete(name)

    def configure(
        self,
        name: str,
        *,
        alias: str | None = None,
        address: IPv4Interface | None = None,
        master: str | None = None,
        up: bool = True,
    ) -> None:
        """Give a device what is named here and bring it up (or down).

        On a vSwitch the MAC follows from the address: who comes after another, or is made
        anew, is found at once by those that remember the address (measured: connections time
        out otherwise), and a bridge does not change its own with its ports.
        """
        now = self.device(name)
        if alias is not None and now.alias != alias:
            self.netlink.link("set", index=now.index, ifalias=alias)
        if master is not None and now.master != (bridge := index_of(master)):
            self.netlink.link("set", index=now.index, master=bridge)
        if address is not None:
            if address.network.prefixlen < 31 and now.mac != (mac := _mac(address.ip)):
                self.netlink.link("set", index=now.index, address=mac)
            self._only_address(now.index, address)
        if now.up != up:
            self.netlink.link("set", index=now.index, state="up" if up else "down")

    def _only_address(self, index: int, address: IPv4Interface) -> None:
        missing = True
        for found in self.netlink.get_addr(family=socket.AF_INET, index=index):
            ip, length = found.get_attr("IFA_LOCAL"), found["prefixlen"]
            if IPv4Interface(f"{ip}/{length}") == address:
                missing = False
            else:
                self.netlink.addr("del", index=index, address=ip, prefixlen=length)
        if missing:
            ip, length = str(address.ip), address.network.prefixlen
            self.netlink.addr("add", index=index, address=ip, prefixlen=length)

    def route(self, wanted: set[Route]) -> None:
        """Make `wanted` the static routes: first what is missing, then what is too much.

        NetworkFailed (network.routes) if they are not so when read back.
        """
        for route in wanted - self.routes():
            self.netlink.route("replace", **_message(route))
        for route in self.routes() - wanted:
            self.netlink.route("del", **_message(route))
        if (got := self.routes()) != wanted:
            raise NetworkFailed(
                f"the kernel did not take the routes: wanted {wanted}, got {got}",
                id="network.routes",
            )

    def routes(self) -> set[Route]:
        """The static routes as they are."""
        found = self.netlink.get_routes(family=socket.AF_INET, table=_MAIN)
        return {_route(message) for message in found if message["proto"] == _STATIC}


def _mac(address: IPv4Address) -> str:
    """A MAC that no manufacturer gives."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x6c" + address.packed)


def index_of(name: str) -> int | None:
    """Index of a device of the calling thread's namespace."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def links_inside(space: Path, work: Callable[[Links], T]) -> T:
    """What `work` returns for the devices of the namespace at `space`."""

    def opened() -> T:
        with here() as links:
            return work(links)

    return inside(space, opened)


@contextmanager
def here() -> Iterator[Links]:
    """The devices of the calling thread's namespace."""
    with IPRoute() as netlink:
        yield Links(netlink)


def settle(settings: dict[str, str]) -> None:
    """Apply settings of /proc/sys/net/ipv4 to the calling thread's namespace.

    IPv6 is left to the loopback device: its own chatter would use up a line of 1 kbit/s.
    """
    root = Path("/proc/sys/net")
    wanted = {root / "ipv4" / name: value for name, value in settings.items()}
    if (ipv6 := root / "ipv6/conf/default/disable_ipv6").exists():
        wanted[ipv6] = "1"
    for path, value in wanted.items():
        if path.read_text().strip() != value:
            path.write_text(value)


def _message(route: Route) -> dict[str, Any]:
    message: dict[str, Any] = {
        "family": socket.AF_INET,
        "dst": str(route.to),
        "table": _MAIN,
        "proto": _STATIC,
        "priority": route.metric,
    }
    if route.device is None:
        return message | {"type": _UNREACHABLE}
    message |= {"oif": route.device, "gateway": str(route.via)}
    return message | ({"prefsrc": str(route.source)} if route.source else {})


def _route(message: Any) -> Route:
    if message["type"] == _UNREACHABLE:
        device = via = source = None
    else:
        device = message.get_attr("RTA_OIF")
        via, source = message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_PREFSRC")
    return Route(
        IPv4Network(f"{message.get_attr('RTA_DST') or '0.0.0.0'}/{message['dst_len']}"),
        via and IPv4Address(via),
        device,
        source and IPv4Address(source),
    )
