"""The source of a migration, as a caller names it, and the instance that this may be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...postgres.conninfo import Secret
from .. import fabric
from ..errors import CloudError
from ..instances.states import Status
from ..instances.tables import DBInstance
from .foreign import is_of_the_machine

#: Lower case -> as it is answered. The vendor's texts have two generations of these.
CATEGORIES = {
    name.lower(): name for name in ("aliyunRDS", "other", "ecsOnVpc", "idcOnVpc")
}  # fmt: skip
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")
_ACCOUNT = re.compile(r"[^\x00-\x1f\x7f]{1,63}")


@dataclass(frozen=True)
class Source:
    """Where the source is, and as whom it is read."""

    category: str
    address: str
    """An address or a name."""
    port: int
    account: str
    password: Secret = field(repr=False)

    @classmethod
    def checked(
        cls, category: str, address: str, port: int, account: str, password: Secret
    ) -> Source:
        """CloudError: InvalidSourceCategory, InvalidParameter."""
        if (known := CATEGORIES.get(category.lower())) is None:
            raise CloudError(
                "InvalidSourceCategory", f"{category!r} is none of {', '.join(CATEGORIES.values())}"
            )
        _check_address(address)
        if not 0 < port < 65536:
            raise CloudError("InvalidParameter", f"SourcePort {port} is no port")
        if not _ACCOUNT.fullmatch(account):
            raise CloudError("InvalidParameter", "SourceAccount is no name of a role")
        return cls(known, address, port, account, password)


def _check_address(address: str) -> None:
    """No path of a socket, no list of hosts; and nothing of the machine that we run on."""
    try:
        place = ip_address(address)
    except ValueError:
        if not _HOST.fullmatch(address) or len(address) > 255 or address.lower() == "localhost":
            raise CloudError(
                "InvalidParameter", f"SourceIpAddress {address!r} is neither an address nor a name"
            ) from None
        return
    if is_of_the_machine(str(place)):
        raise CloudError(
            "InvalidParameter", f"SourceIpAddress {address} is no address of another host"
        )


def locate(session: Session, destination: DBInstance, address: str, port: int) -> DBInstance | None:
    """The instance of this control plane that `destination` reaches at an address.

    One in the same VPC first, then the one that the network leads to; None where it leads
    to none. CloudError InvalidParameter where it is the destination itself.
    """
    try:
        place = str(IPv4Address(address))
    except ValueError:
        return None
    if (place, port) == (destination.address, destination.port):
        raise CloudError(
            "InvalidParameter",
            f"SourceIpAddress {place} is that of the destination, {destination.id}, itself",
            remedy="Name the source: its internal endpoint and port.",
        )
    there = session.scalars(
        select(DBInstance).where(
            DBInstance.address == place,
            DBInstance.port == port,
            DBInstance.id != destination.id,
            DBInstance.status != Status.DELETING,
        )
    ).all()
    if not there:
        return None
    near = next((i for i in there if i.vpc_id == destination.vpc_id), None)
    if near is not None:
        return near
    topology = fabric.wanted(session).topology
    reached = (
        i
        for i in there
        if i.id in topology.instances and topology.verdict(destination.id, i.id).reaches
    )
    return next(reached, None)
