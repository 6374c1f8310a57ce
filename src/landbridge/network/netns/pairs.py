"""Links between two namespaces: a veth, and its addresses from 169.254.0.0/16."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from ...errors import NetworkFailed
from .links import index_of, links_inside
from .names import Kind
from .routing import LINK_LOCAL
from .spaces import Spaces, inside

_METADATA = IPv4Address("169.254.169.254")
"""Clouds answer questions about a machine here: left alone."""
_NUMBERS = LINK_LOCAL.num_addresses // 2


@dataclass(frozen=True)
class End:
    """One end of a veth: where, and its name there."""

    space: Path
    name: str

    @property
    def is_there(self) -> bool:
        return inside(self.space, lambda: index_of(self.name)) is not None


def locate(spaces: Spaces, kind: Kind, name: str) -> Path | None:
    """The namespace (of a kind) that has a device of that name."""
    for space in spaces.all(kind):
        if inside(space.path, lambda: index_of(name)) is not None:
            return space.path
    return None


def ensure_pair(spaces: Spaces, kind: Kind, a: End, b: End) -> None:
    """A veth from `a` to `b`; `kind`: of the namespaces where its ends may have been before.

    Ends elsewhere, or one without the other, are removed first.
    """
    if not (a.is_there and b.is_there):
        remove(spaces, kind, a, b)
        links_inside(a.space, lambda links: links.make_pair(a.name, b.name, b.space))


def remove(spaces: Spaces, kind: Kind, a: End, b: End) -> None:
    """Remove what is left of a link, wherever its ends were."""
    while (old := locate(spaces, kind, a.name)) is not None:
        links_inside(old, lambda links: links.delete(a.name))
    links_inside(b.space, lambda links: links.delete(b.name))


def addresses(a: End, b: End, id: str) -> tuple[IPv4Interface, IPv4Interface]:
    """The addresses of both ends: the ones they have, or a /31 that is free at both.

    Each link needs one of its own: with the same pair on every attachment the strict reverse
    path drops the answers to ARP (measured: "no route to host" after 3 s).
    """
    mine, taken = _blocks(a)
    theirs, taken_there = _blocks(b)
    block = mine or theirs or _free(id, taken | taken_there)
    if block in taken | taken_there:
        block = _free(id, taken | taken_there)
    return IPv4Interface((block[0], 31)), IPv4Interface((block[1], 31))


def _blocks(end: End) -> tuple[IPv4Network | None, set[IPv4Network]]:
    """The block of a link's end, and the blocks of the other links at the same place."""
    devices = links_inside(end.space, lambda links: links.devices())
    blocks = {
        name: at.network
        for name, device in devices.items()
        if (at := device.address) is not None and at.ip in LINK_LOCAL and at.network.prefixlen == 31
    }
    return blocks.pop(end.name, None), set(blocks.values())


def _free(id: str, taken: Collection[IPv4Network]) -> IPv4Network:
    start = int(sha256(id.encode()).hexdigest(), 16)
    for step in range(_NUMBERS):
        number = (start + step) % _NUMBERS
        block = IPv4Network((int(LINK_LOCAL[0]) + 2 * number, 31))
        if block not in taken and _METADATA not in block and number:
            return block
    raise NetworkFailed("no address is left for another link", id="network.links_exhausted")
