"""What is known of a source without the store: also for the program at the destination's place.

SQLAlchemy alone takes longer to import than a connection to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from ...assessment.model import Finding, Group, Level

#: Findings about the machine that the service works on, and about its other servers; the
#: destination's own has its port, and is where no data directory lies yet.
OF_THE_MACHINE = (
    "destination.port", "destination.empty", "destination.running", "destination.tablespaces",
    "destination.identity", "destination.path",
)  # fmt: skip


def tablespaces(names: Sequence[str]) -> list[Finding]:
    """What an assessment says of tablespaces: an instance has one folder for everything."""
    if not names:
        return []
    return [
        Finding(
            "cloud.tablespaces",
            Level.ERROR,
            "Tablespaces",
            f"The source has tablespaces ({', '.join(names)}), for which an instance has no place.",
            "Move what is in them to pg_default, and drop them.",
            (),
            {},
            Group.DESTINATION,
        )
    ]


def is_of_the_machine(address: str) -> bool:
    """Whether an address leads nowhere but to the host that asks, or to no single host."""
    place = plain(address)
    return (
        place.is_loopback or place.is_link_local or place.is_multicast or place.is_unspecified
    )  # fmt: skip


def plain(address: str) -> IPv4Address | IPv6Address:
    """An address without its zone; one of IPv4 that IPv6 has wrapped as itself."""
    place = ip_address(address.partition("%")[0])
    return getattr(place, "ipv4_mapped", None) or place
