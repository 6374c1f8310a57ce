"""The things a network is made of. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network

from ..errors import NetworkRefused

#: Bit/s of a line to which no bandwidth was allocated: enough to connect, not to work.
UNALLOCATED = 1_000
#: Bit/s that a line can have at most: kernels count a shaper's bytes per second in 32 bits.
HIGHEST = 8 * (2**32 - 1)
POSTGRES_PORT = 5432


class LineType(Enum):
    """The quality that was ordered for a line; an attribute, not a latency."""

    GOLD = "Gold"
    PLATINUM = "Platinum"


@dataclass(frozen=True)
class Vpc:
    """One account's private network in one region."""

    id: str
    account: str
    region: str
    cidr: IPv4Network


@dataclass(frozen=True)
class Vswitch:
    """A subnet of a VPC in one zone; its gateway is the last address but one."""

    id: str
    vpc: str
    zone: str
    cidr: IPv4Network

    @property
    def gateway(self) -> IPv4Address:
        """x.x.x.253 in a /24."""
        return self.cidr[-3]


@dataclass(frozen=True)
class Instance:
    """A server's place in a vSwitch, and whom it lets in."""

    id: str
    vswitch: str
    address: IPv4Address
    port: int = POSTGRES_PORT
    whitelist: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True)
class Cen:
    """A Cloud Enterprise Network instance of one account."""

    id: str
    owner: str


@dataclass(frozen=True)
class Grant:
    """A VPC owner's permission for one CEN of another account to attach the VPC."""

    vpc: str
    cen: str

    @property
    def id(self) -> str:
        return f"{self.vpc}:{self.cen}"


@dataclass(frozen=True)
class TransitRouter:
    """The CEN's router in one region; there is one per CEN and region."""

    id: str
    cen: str
    region: str


@dataclass(frozen=True)
class Attachment:
    """A VPC joined to the transit router of its region."""

    id: str
    transit_router: str
    vpc: str


@dataclass(frozen=True)
class Line:
    """The bandwidth-limited path between two transit routers of one CEN."""

    id: str
    a: str
    b: str
    bits_per_second: int | None = None
    """None: no bandwidth is allocated, the line carries `UNALLOCATED`."""
    line_type: LineType = LineType.GOLD

    @property
    def rate(self) -> int:
        """What it carries, in bit/s and each direction."""
        return self.bits_per_second or UNALLOCATED


Thing = Vpc | Vswitch | Instance | Cen | Grant | TransitRouter | Attachment | Line


def network(text: str) -> IPv4Network:
    """A CIDR block; a bare address is a block of one. NetworkRefused if it is neither."""
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise NetworkRefused(
            f"{text} is no IPv4 CIDR block: {error}",
            id="network.bad_address",
            remedy="Write a block like 10.10.0.0/16, with no bit set after the mask.",
        ) from None


def address(text: str) -> IPv4Address:
    """An IPv4 address; NetworkRefused (network.bad_address) if it is none."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise NetworkRefused(f"{text} is no IPv4 address", id="network.bad_address") from None


def admits(whitelist: Iterable[IPv4Network], client: IPv4Address) -> bool:
    """Whether a whitelist lets a client's address in."""
    return any(client in block for block in whitelist)
