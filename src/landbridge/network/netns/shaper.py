"""The bandwidth of a device's outgoing direction: a token bucket of the kernel.

Measured: with a burst of max(16 KiB, 2 ms of the rate) and a queue of 50 ms PostgreSQL gets
95.4 % of the rate as payload at 10 and 100 Mbit/s; the rest are headers, which count. A
bigger burst makes the first second too fast, a smaller one hurts TCP, a longer queue lets a
connect wait for seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.rtnl.tcmsg.common import get_rate_parameters

from ...errors import NetworkFailed
from ..rules import check_rate
from ..things import UNALLOCATED
from .links import Links

_ROOT = 0xFFFFFFFF  # TC_H_ROOT
_HANDLE = 0x10000  # 1:
_KIND = "tbf"
_QUEUE = "50ms"
_BURST = 16 * 1024
_BURST_UNALLOCATED = 1600
"""One whole packet: a connect passes at once, 3000 bytes do not within 25 s (measured)."""


@dataclass(frozen=True)
class Shape:
    """What a line shall carry each way: bit/s, and the bytes that may leave at once."""

    rate: int
    burst: int

    @classmethod
    def of(cls, rate: int) -> Shape:
        """The shape for a rate in bit/s; NetworkRefused (network.bad_line) above `HIGHEST`."""
        check_rate(rate)
        if rate <= UNALLOCATED:
            return cls(UNALLOCATED, _BURST_UNALLOCATED)
        return cls(rate, max(_BURST, rate // 8 * 2 // 1000))

    def arguments(self) -> dict[str, Any]:
        """As pyroute2 wants it."""
        return {"rate": f"{self.rate}bit", "burst": self.burst, "latency": _QUEUE}

    def is_kept_by(self, parameters: Any) -> bool:
        """Whether the kernel's own numbers are the ones that were sent for this shape."""
        wanted = get_rate_parameters(self.arguments())
        return all(parameters[k] == wanted[k] for k in ("rate", "buffer", "limit"))


def shape(links: Links, name: str, wanted: Shape) -> None:
    """Shape a device, or change its shape while packets pass; read back.

    NetworkFailed (network.shaper) if the kernel has not got the rate afterwards. Its counters
    live on: a bucket that is there is changed, not made anew.
    """
    index = links.device(name).index
    now = _parameters(links, index)
    if now is not None and wanted.is_kept_by(now):
        return
    if now is None:
        _clear(links, index)
    _send(links, index, "add" if now is None else "change", wanted)
    confirm(links, name, wanted)


def _clear(links: Links, index: int) -> None:
    """Remove what somebody else has put in the bucket's place; the kernel's own has no handle."""
    for qdisc in links.netlink.get_qdiscs(index=index):
        if qdisc["parent"] == _ROOT and qdisc["handle"]:
            links.netlink.tc("del", index=index, parent=_ROOT)


def _send(links: Links, index: int, command: str, wanted: Shape) -> None:
    links.netlink.tc(command, _KIND, index, handle=_HANDLE, **wanted.arguments())


def confirm(links: Links, name: str, wanted: Shape) -> None:
    """NetworkFailed (network.shaper) unless the kernel keeps the wanted shape."""
    if not is_shaped(links, links.device(name).index, wanted):
        raise NetworkFailed(
            f"the kernel does not shape {name} to {wanted.rate} bit/s", id="network.shaper"
        )


def is_shaped(links: Links, index: int, wanted: Shape) -> bool:
    """Whether the kernel keeps this shape for a device; not for one that is gone meanwhile."""
    now = _parameters(links, index)
    return now is not None and wanted.is_kept_by(now)


def sent(links: Links, name: str) -> int:
    """Bytes that left through the bucket, headers included; 0 if there is none."""
    qdisc = _qdisc(links, links.device(name).index)
    if qdisc is None:
        return 0
    count: int = qdisc.get_attr("TCA_STATS2").get_attr("TCA_STATS_BASIC")["bytes"]
    return count


def _qdisc(links: Links, index: int) -> Any:
    for qdisc in links.netlink.get_qdiscs(index=index):
        if qdisc["parent"] == _ROOT and qdisc.get_attr("TCA_KIND") == _KIND:
            return qdisc
    return None


def _parameters(links: Links, index: int) -> Any:
    qdisc = _qdisc(links, index)
    return None if qdisc is None else qdisc.get_attr("TCA_OPTIONS").get_attr("TCA_TBF_PARMS")
