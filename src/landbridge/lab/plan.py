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
    Cen,
    Grant,
    Instance,
    Thing,
    Vpc,
    Vswitch,
    address,
    network,
)
from ..network.topology import Topology
from .changes import attach, join, only_cen
from .toml import ID, ID_RULE, Table

#: Majors that Landbridge moves.
MAJORS = range(10, 19)
#: Bytes of a plan file: some thousands of instances.
LONGEST = 1 << 20


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
        values = tomllib.loads(_text(file))
    except (ValueError, RecursionError) as error:  # ValueError: also of an endless number
        raise UsageError(f"{file}: no TOML: {error}", id="lab.plan") from None
    _refuse_unprintable(file, values, "")
    try:
        return _Reader(Table(file, "", values)).plan()
    except NetworkRefused as refused:
        raise UsageError(refused.message, id=refused.id, remedy=refused.remedy) from None


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(LONGEST + 1)
        if len(raw) > LONGEST:
            raise UsageError(f"{file}: has more than {LONGEST} bytes", id="lab.plan")
        return raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise UsageError(f"{file}: {words}", id="lab.plan") from None


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
            if not ID.fullmatch(id):
                self.top.refuse(f"accounts.{id}", "cannot be an id", ID_RULE)
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
        if not ID.fullmatch(region):
            table.refuse("region", f"{region!r} cannot be a region's name", ID_RULE)
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
