"""Routes of ours, and how netlink says them. Pure: no I/O."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

MAIN = 254  # RT_TABLEMAIN
STATIC = 4  # RTPROTSTATIC: ours; the kernel's own routes are left alone
_UNREACHABLE = 7  # RTN_UNREACHABLE
_LAST = 4278198272
"""Metric of the route that answers what no other route takes."""

ANYWHERE = IPv4Network("0.0.0.0/0")


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


def message_of(route: Route) -> dict[str, Any]:
    """A route as netlink is told it."""
    message: dict[str, Any] = {
        "family": socket.AF_INET,
        "dst": str(route.to),
        "table": MAIN,
        "proto": STATIC,
        "priority": route.metric,
    }
    if route.device is None:
        return message | {"type": _UNREACHABLE}
    message |= {"oif": route.device, "gateway": str(route.via)}
    return message | ({"prefsrc": str(route.source)} if route.source else {})


def route_of(message: Any) -> Route:
    """A route as netlink tells it."""
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
