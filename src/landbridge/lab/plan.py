"""What a lab shall be: read from a TOML file, changed by commands, kept as JSON.

The keys of the file are those of `read`; docs/lab.md shows one. Transit routers are not
named in it: there is one wherever an attachment or a line needs one.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ..errors import NetworkRefused, UsageError
from ..network.things import (
    HIGHEST,
    Attachment,
    Cen,
    Grant,
    Instance,
    Line,
    Thing,
    TransitRouter,
    Vpc,
    Vswitch,
    address,
    network,
)
from ..network.topology import Topology
from .toml import ID, ID_RULE, Table

#: Majors that Landbridge moves.
MAJORS = range(10, 19)
MEGABIT = 1_000_000


@dataclass(frozen=True)
class Server:
    """The server of an instance."""

    major: int | None = None
    """None: the newest whose programs are here when it is made."""
    rows: int = 0
    """Rows of sample data, of about 400 bytes each; 0 leaves the server empty."""


@dataclass
class Plan:
    """Accounts with a word about each, the network, and the server of each instance."""

    name: str
    accounts: dict[str, str] = field(default_factory=dict)
    topology: Topology = field(default_factory=Topology)
    servers: dict[str, Server] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it; `from_dict` reads it back."""
        return {
            "name": self.name,
            "accounts": self.accounts,
            "topology": self.topology.as_dict(),
            "servers": {id: asdict(server) for id, server in self.servers.items()},
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        servers = {id: Server(**values) for id, values in raw["servers"].items()}
        return cls(raw["name"], raw["accounts"], Topology.from_dict(raw["topology"]), servers)


def read(file: Path) -> Plan:
    """Read a plan; UsageError names the file, key and remedy.

    Its id is lab.plan, or that of the network's rule that is broken.
    """
    try:
        values = tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise UsageError(f"{file}: {words}", id="lab.plan") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: no TOML: {error}", id="lab.plan") from None
    _refuse_unprintable(file, values, "")
    try:
        return _Reader(Table(file, "", values)).plan()
    except NetworkRefused as refused:
        raise UsageError(refused.message, id=refused.id, remedy=refused.remedy) from None


def _refuse_unprintable(file: Path, value: Any, path: str) -> None:
    """Raise UsageError (lab.plan) for text that no terminal or picture can show."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_unprintable(file, key, path)
            _refuse_unprintable(file, inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            _refuse_unprintable(file, inner, path)
    elif isinstance(value, str) and not value.isprintable():
        raise UsageError(
            f"{file}: {path or 'a key'}: {value!r} has characters that cannot be shown",
            id="lab.plan", remedy="Leave out control characters and line ends.",
        )  # fmt: skip


class _Reader:
    """Builds the plan in an order in which everything stands on what came before."""

    def __init__(self, top: Table) -> None:
        self.top = top
        name = top.take("name", str, top.file.stem)
        if not ID.fullmatch(name):
            top.refuse("name", f"{name!r} cannot be a lab's", ID_RULE)
        self.built = Plan(name)

    def plan(self) -> Plan:
        accounts = self.top.take("accounts", dict)
        for id, words in accounts.items():
            if not isinstance(words, str):
                self.top.refuse(f"accounts.{id}", f"{words!r} is not a string", "Say who it is.")
        self.built.accounts = accounts
        for key, one in (
            ("vpcs", self._vpc), ("vswitches", self._vswitch), ("instances", self._instance),
            ("cens", self._cen),
        ):  # fmt: skip
            for id, table in self.top.tables(key):
                one(id, table)
        for table in self.top.items("grants"):
            self._put(table, Grant(table.take("vpc", str), self._cen_of(table)))
        for table in self.top.items("attachments"):
            vpc, cen = table.take("vpc", str), self._cen_of(table)
            table.guard("", lambda vpc=vpc, cen=cen: attach(self.built.topology, vpc, cen))  # type: ignore[misc]
            table.done()
        for id, table in self.top.tables("lines"):
            self._line(id, table)
        self.top.done()
        return self.built

    def _put(self, table: Table, thing: Thing) -> None:
        table.guard("", lambda: self.built.topology.put(thing))
        table.done()

    def _account(self, table: Table, key: str) -> str:
        account = table.take(key, str)
        if account not in self.built.accounts:
            known = ", ".join(self.built.accounts)
            table.refuse(key, f"there is no account {account}", f"Accounts of this file: {known}.")
        return account

    def _vpc(self, id: str, table: Table) -> None:
        region, cidr = table.take("region", str), table.read("cidr", network)
        self._put(table, Vpc(id, self._account(table, "account"), region, cidr))

    def _vswitch(self, id: str, table: Table) -> None:
        vpc = table.take("vpc", str)
        known = self.built.topology.vpcs.get(vpc)
        zone = table.take("zone", str, f"{known.region}-a" if known else "a")
        self._put(table, Vswitch(id, vpc, zone, table.read("cidr", network)))

    def _instance(self, id: str, table: Table) -> None:
        blocks = table.strings("whitelist")
        whitelist = table.guard("whitelist", lambda: tuple(map(network, blocks)))
        major, rows = table.find("major", int), table.take("rows", int, 0)
        if major is not None and major not in MAJORS:
            table.refuse(
                "major", f"PostgreSQL {major} is unknown here", f"{MAJORS[0]} to {MAJORS[-1]}."
            )
        if not 0 <= rows <= 100_000_000:
            table.refuse("rows", f"{rows} is too many or too few", "0 to 100,000,000.")
        vswitch, place = table.take("vswitch", str), table.read("address", address)
        self._put(table, Instance(id, vswitch, place, whitelist=whitelist))
        self.built.servers[id] = Server(major, rows)

    def _cen(self, id: str, table: Table) -> None:
        self._put(table, Cen(id, self._account(table, "owner")))

    def _cen_of(self, table: Table) -> str:
        given = table.find("cen", str)
        return table.guard("cen", lambda: only_cen(self.built.topology, given))

    def _line(self, id: str, table: Table) -> None:
        regions, cen = table.strings("regions"), self._cen_of(table)
        if len(regions) != 2:
            table.refuse(
                "regions", f"{regions!r} are not two", 'Like ["cn-beijing", "cn-hangzhou"].'
            )
        mbit = table.find("mbit", float)
        table.guard("mbit", lambda: join(self.built.topology, cen, *regions, mbit=mbit, id=id))
        table.done()


def only_cen(topology: Topology, given: str | None) -> str:
    """The CEN that is meant; it may stay unsaid where there is only one."""
    if given is not None and given in topology.cens:
        return given
    known = ", ".join(topology.cens) or "none"
    if given is None and len(topology.cens) == 1:
        return known
    raise NetworkRefused(
        f"there is no CEN {given}" if given else f"which CEN is not clear (there are: {known})",
        id="network.unknown",
        remedy=f"CENs of this lab: {known}.",
    )


def router(topology: Topology, cen: str, region: str) -> TransitRouter:
    """The CEN's transit router in a region where the lab has VPCs; made if there is none."""
    known = sorted({vpc.region for vpc in topology.vpcs.values()})
    if region not in known:
        raise NetworkRefused(
            f"there is no VPC in region {region}", id="network.unknown",
            remedy=f"Regions of this lab: {', '.join(known)}.",
        )  # fmt: skip
    found = topology.router_of(cen, region)
    if found is None:
        found = TransitRouter(f"tr-{cen}-{region}", cen, region)
        topology.put(found)
    return found


def attach(topology: Topology, vpc: str, cen: str) -> Attachment:
    """Attach a VPC to a CEN's router in its region; NetworkRefused says what forbids it."""
    if vpc not in topology.vpcs:
        known = ", ".join(topology.vpcs) or "none"
        raise NetworkRefused(
            f"there is no VPC {vpc}", id="network.unknown", remedy=f"VPCs of this lab: {known}."
        )
    attachment = Attachment(
        f"att-{vpc}", router(topology, only_cen(topology, cen), topology.vpcs[vpc].region).id, vpc
    )
    topology.put(attachment)
    return attachment


def join(
    topology: Topology, cen: str, a: str, b: str, *, mbit: float | None, id: str | None = None
) -> Line:
    """A line between two regions: without `id` the one that is there, or a new one.

    `mbit` None: that one stays as it is, to a new one no bandwidth is allocated.
    """
    x, y = router(topology, cen, a).id, router(topology, cen, b).id
    old = topology.line_between(x, y)
    if id is None:
        if old is not None and mbit is None:
            return old
        free = (f"line-{n}" for n in range(1, len(topology.lines) + 2))
        id = old.id if old else next(name for name in free if name not in topology.lines)
    line = Line(id, x, y, bits(mbit))
    topology.put(line)
    return line


def bits(mbit: float | None) -> int | None:
    """Mbit/s as bit/s; NetworkRefused for what is no bandwidth."""
    if mbit is not None and not 0.001 <= mbit <= HIGHEST / MEGABIT:
        raise NetworkRefused(
            f"a line cannot carry {mbit:g} Mbit/s", id="network.bad_line",
            remedy=f"From 0.001 to {HIGHEST // MEGABIT} Mbit/s; leave it out for no bandwidth.",
        )  # fmt: skip
    return None if mbit is None else round(mbit * MEGABIT)


def drop_idle_routers(topology: Topology) -> None:
    """Take the routers out on which nothing stands."""
    for idle in list(topology.transit_routers.values()):
        attached = any(a.transit_router == idle.id for a in topology.attachments.values())
        if not attached and not any(
            idle.id in (line.a, line.b) for line in topology.lines.values()
        ):
            topology.remove(idle)
