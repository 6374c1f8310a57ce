"""The private address of a new instance, where the network is external: only this host has some."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from sqlalchemy.orm import Session

from ...network.external import has_address
from ..accounts import Account
from ..control import Cloud
from ..errors import CloudError
from ..ownership import owned
from ..vpcs import VSwitch
from .lifecycle import taken


def address(
    session: Session, cloud: Cloud, account: Account, vswitch_id: str | None, wanted: str | None
) -> str | None:
    """The address to order an instance with; None where any of the vSwitch will do.

    CloudError: InvalidVSwitchId.NotFound, InvalidPrivateIpAddress, InsufficientIpAddr.vsw.
    """
    if cloud.external is None:
        return wanted
    if wanted is not None:
        if not _is_here(wanted):
            raise CloudError(
                "InvalidPrivateIpAddress", f"{wanted} is no address that this network offers"
            )
        return wanted
    if vswitch_id is None:
        raise CloudError("InvalidPrivateIpAddress", "this network wants it to be named")
    vswitch = owned(session, VSwitch, account, vswitch_id)
    block, used = IPv4Network(vswitch.cidr), taken(session, vswitch)
    usable = (block[n] for n in range(1, block.num_addresses - 3))
    for place in usable:
        if str(place) not in used and has_address(place):
            return str(place)
    raise CloudError(
        "InsufficientIpAddr.vsw", f"this network offers no free address in {vswitch.cidr}"
    )


def _is_here(wanted: str) -> bool:
    try:
        return has_address(IPv4Address(wanted))
    except ValueError:
        return False
