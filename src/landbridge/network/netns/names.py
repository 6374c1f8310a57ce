"""What the driver's things are called in the kernel, and what a name stands for. Pure: no I/O.

A namespace is a file `lb-<installation>.<kind>.<id>`. A device's name has at most 15
characters (the kernel answers 17 with ERANGE), so it is a hash; the whole id and what else
must be remembered stands in the device's alias, which the kernel keeps exactly as long as
the device: nothing is remembered that is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from urllib.parse import quote, unquote

from ...errors import NetworkRefused

#: Bytes of a device's alias, without the closing zero (IFALIASZ).
ALIAS_LIMIT = 255
#: Bytes of a file name.
FILE_LIMIT = 255


INSIDE = "eth0"
"""An instance's own end; no name can collide in its namespace."""


class Kind(Enum):
    """What there is, in the words of `Observed`."""

    VPC = "vpc"
    VSWITCH = "vswitch"
    ENDPOINT = "endpoint"
    TRANSIT_ROUTER = "transit_router"
    ATTACHMENT = "attachment"
    LINE = "line"


class Role(Enum):
    """What a device is for; the value is the first letter of its name."""

    VSWITCH = "s"
    """The bridge of a vSwitch, in the VPC's namespace."""
    PORT = "e"
    """An instance's end on the bridge, in the VPC's namespace."""
    VPC_SIDE = "v"
    ROUTER_SIDE = "r"
    LINE_A = "a"
    LINE_B = "b"

    @property
    def kind(self) -> Kind:
        return {
            Role.VSWITCH: Kind.VSWITCH,
            Role.PORT: Kind.ENDPOINT,
            Role.VPC_SIDE: Kind.ATTACHMENT,
            Role.ROUTER_SIDE: Kind.ATTACHMENT,
        }.get(self, Kind.LINE)


_KINDS = {kind.value for kind in Kind}
_DEVICE = re.compile(f"[{''.join(role.value for role in Role)}][0-9a-f]{{12}}")


@dataclass(frozen=True)
class Label:
    """What a device's alias says: what it is, and the facts that were given with it."""

    kind: Kind
    id: str
    facts: tuple[str, ...] = ()


class Names:
    """The names of one installation's things."""

    def __init__(self, installation: str) -> None:
        self._mark = sha256(installation.encode()).hexdigest()[:8]

    @property
    def prefix(self) -> str:
        """What the file of each of our namespaces begins with."""
        return f"lb-{self._mark}."

    def file(self, kind: Kind, id: str) -> str:
        """Name of a namespace's file; NetworkRefused (network.bad_id) if the id is too long."""
        name = f"{self.prefix}{kind.value}.{quote(id, safe='')}"
        if len(name) > FILE_LIMIT:
            raise NetworkRefused(f"the id {id[:40]}... is too long", id="network.bad_id")
        return name

    def of_file(self, name: str) -> tuple[Kind, str] | None:
        """Kind and id of a namespace's file; None if it is not ours."""
        kind, _, id = name.removeprefix(self.prefix).partition(".")
        if not name.startswith(self.prefix) or kind not in _KINDS:
            return None
        return Kind(kind), unquote(id)

    def device(self, role: Role, id: str) -> str:
        """A device's name: the role's letter and 12 hexadecimal digits."""
        return role.value + sha256(f"{self._mark} {role.value} {id}".encode()).hexdigest()[:12]

    @staticmethod
    def role(device: str) -> Role | None:
        """What a device of our namespaces is for; None for the kernel's own (lo, sit0, ...)."""
        if device == INSIDE:
            return Role.PORT
        return Role(device[0]) if _DEVICE.fullmatch(device) else None

    def alias(self, label: Label) -> str:
        """A label as text; NetworkRefused (network.bad_id) if it is too long for the kernel."""
        words = (label.kind.value, *(quote(w, safe="/:") for w in (label.id, *label.facts)))
        text = " ".join(("landbridge", self._mark, *words))
        if len(text) > ALIAS_LIMIT:
            raise NetworkRefused(f"the id {label.id[:40]}... is too long", id="network.bad_id")
        return text

    def label(self, alias: str) -> Label | None:
        """What `alias` made; None for anything else."""
        match alias.split(" "):
            case ["landbridge", self._mark, kind, id, *facts] if kind in _KINDS:
                return Label(Kind(kind), unquote(id), tuple(map(unquote, facts)))
        return None
