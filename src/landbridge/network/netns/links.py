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
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TypeVar

from pyroute2 import IPRoute

from ...errors import NetworkFailed
from .names import Names
from .routes import MAIN, STATIC, Route, message_of, route_of
from .spaces import inside

T = TypeVar("T")

_UP = 1  # IFF_UP
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
        if (now := self.routes()) == wanted:
            return
        for route in wanted - now:
            self.netlink.route("replace", **message_of(route))
        for route in self.routes() - wanted:
            self.netlink.route("del", **message_of(route))
        if (got := self.routes()) != wanted:
            raise NetworkFailed(
                f"the kernel did not take the routes: wanted {wanted}, got {got}",
                id="network.routes",
            )

    def routes(self) -> set[Route]:
        """The static routes as they are."""
        found = self.netlink.get_routes(family=socket.AF_INET, table=MAIN)
        return {route_of(message) for message in found if message["proto"] == STATIC}


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
