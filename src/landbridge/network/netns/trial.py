"""Whether this machine and this process can build networks: found out by doing it."""

from __future__ import annotations

from pyroute2.netlink.exceptions import NetlinkError

from ...errors import LandbridgeError
from ..things import UNALLOCATED
from .links import ROUTER, here, settle
from .shaper import Shape, shape
from .spaces import in_new


def obstacles() -> list[str]:
    """What keeps a namespace, a bridge, a veth or a shaper from being made; empty if nothing.

    Tried in a namespace that ends with the trial. A sysctl would not tell: seccomp, AppArmor
    and missing kernel modules say no as well.
    """
    step = "a network namespace cannot be made"

    def attempt() -> None:
        nonlocal step
        step = "a namespace cannot be made to forward packets"
        settle(ROUTER)
        with here() as links:
            step = "a bridge cannot be made (kernel module bridge)"
            links.make_bridge("bridge")
            step = "a pair of virtual devices cannot be made (kernel module veth)"
            links.netlink.link("add", ifname="one", kind="veth", peer={"ifname": "two"})
            step = "a line's bandwidth cannot be set (kernel module sch_tbf)"
            shape(links, "one", Shape.of(UNALLOCATED))

    try:
        in_new(attempt)
    except (OSError, NetlinkError, LandbridgeError) as error:
        return [f"{step}: {error}"]
    return []
