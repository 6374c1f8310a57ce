"""One lab: what is wanted of it, and the commands that change it.

Every change is checked against the network's rules, saved, and then made real by bringing
the whole fabric to what is wanted; so a command that was interrupted is completed by the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ..errors import LandbridgeError
from ..network.converge import converge
from ..network.daemon import FabricClient, check_driver, remove, start
from ..network.fabric import Bandwidth, Isolation
from ..network.things import Cen, Grant, Thing
from ..postgres.conninfo import Conninfo
from ..postgres.distribution import find
from ..postgres.osaccount import OsAccount
from ..servers.room import Session
from .accounts import MOVER, ensure_passfiles, passfile
from .changes import drop_idle_routers
from .drawing import Seen, layout
from .drawing.picture import Picture
from .merge import merge
from .plan import Plan, read
from .servers import Servers, is_running, major_of, stop_server
from .store import Labs, Saved, Store

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass
class Raised:
    """What `up` has done."""

    lab: Lab
    servers: dict[str, str]
    """Instance -> made, started, was up."""
    notes: list[str] = field(default_factory=list)


class Lab:
    """A lab that exists; everything it knows is in its store."""

    def __init__(self, store: Store, saved: Saved) -> None:
        self.store = store
        self.saved = saved

    @classmethod
    def open(cls, labs: Labs, name: str | None) -> Lab:
        """The lab of that name, or the only one; UsageError (lab.unknown) otherwise."""
        store = labs.get(name)
        saved = store.load()
        assert saved is not None  # labs.get has seen it
        return cls(store, saved)

    @property
    def plan(self) -> Plan:
        """What is wanted."""
        return self.saved.wanted

    @cached_property
    def fabric(self) -> FabricClient:
        """The network; LandbridgeError (lab.not_up) for a lab that was taken down."""
        if not self.store.fabric.exists():
            raise LandbridgeError(
                f"lab {self.store.name} is down", id="lab.not_up",
                remedy="Build it again: landbridge lab up",
            )  # fmt: skip
        return start(self.store.fabric, self.saved.driver)

    def mend(self) -> None:
        """Start the network's process again if it has ended, and what has ended with it.

        That is all of it where the process is the network (the relay). Where no server runs
        either it was a boot: then nothing is made, `up` sees to both; nor in a lab that was
        taken down. LandbridgeError: lab.gone, lab.busy.
        """
        with self._newest():  # nobody takes the lab down meanwhile
            if not self.store.fabric.exists():
                return
            fabric = start(self.store.fabric, self.saved.driver)
            is_relay = fabric.capabilities().isolation is Isolation.COOPERATIVE
            if not is_relay or fabric.observe():
                return
            if any(is_running(self.store, id) for id in self.plan.servers):
                converge(fabric, self.plan.topology)

    @property
    def servers(self) -> Servers:
        return Servers(self.store, self.plan, self.fabric)

    def change(self, edit: Callable[[Plan], T]) -> T:
        """Change what is wanted, and make it so. NetworkRefused: a rule forbids it."""
        with self._newest():
            return self._change(edit)

    def change_whitelist(
        self, id: str, edit: Callable[[Plan], None], *, close: bool
    ) -> list[Session]:
        """As `change`; the server of `id` then lets in whom it shall. See `Servers.admit`."""
        with self._newest():
            self._change(edit)
            return self.servers.admit(id, close=close)

    def raise_server(self, id: str) -> None:
        """Bring the server of an instance up as it shall be by now."""
        with self._newest():
            self.servers.up(id)

    @contextmanager
    def _newest(self) -> Iterator[None]:
        """Alone with the lab, as the last command left it."""
        with self.store.locked():
            self.saved = self.store.load() or self.saved
            yield

    def _change(self, edit: Callable[[Plan], T]) -> T:
        fabric = self.fabric
        result = edit(self.plan)
        drop_idle_routers(self.plan.topology)
        self.store.save(self.saved)
        converge(fabric, self.plan.topology)
        return result

    def seen(self) -> dict[str, Seen]:
        """Every server as it is now."""
        return self.servers.all(self.servers.look)

    def picture(self, width: int, seen: dict[str, Seen] | None = None) -> Picture:
        """The lab as it is now, `width` columns wide."""
        can = self.fabric.capabilities()
        keeps = {Bandwidth.KERNEL: "the kernel", Bandwidth.RELAY: "the relay"}
        caption = f"driver {can.driver}: {can.isolation.value} isolation"
        if can.bandwidth in keeps:
            caption += f", bandwidth kept by {keeps[can.bandwidth]}"
        return layout(self.plan, self.seen() if seen is None else seen, caption, width)

    def conninfo(self, client: str, server: str, role: str = MOVER) -> Conninfo:
        """How `client` names the server of `server`, as an account of the lab."""
        path = self.fabric.path(client, server)
        where = {"host": path.host, "hostaddr": path.hostaddr, "port": str(path.port)}
        whole = Conninfo({**where, "user": role, "dbname": "postgres"})
        return whole.with_passfile(passfile(self.store.secrets, role))

    def missing(self) -> list[str]:
        """Ids of what the network lacks."""
        there = {found.id for found in self.fabric.observe()}
        return [t.id for t in self.plan.topology.things() if _is_made(t) and t.id not in there]

    def troubles(self) -> list[str]:
        """What keeps the network or the lab from being as it is wanted, in sentences."""
        found = self.fabric.status()
        if missing := self.missing():
            found.append(f"not there: {', '.join(missing)}; `landbridge lab up` makes it")
        return found


def _is_made(thing: Thing) -> bool:
    """Whether a fabric makes something of it."""
    return not isinstance(thing, Cen | Grant)


def up(labs: Labs, file: Path | None, name: str | None, driver: str | None, say: Say) -> Raised:
    """Build a lab from a file, or again from what is known of it; says what it is about to do.

    The same call again changes nothing. Raises what `read`, the network and the servers do.
    """
    plan = read(file) if file else None
    store = labs.store(plan.name) if plan else labs.get(name)
    store.prepare()
    with store.locked():
        saved, notes = _wanted(store, file, plan, driver)
        lab = Lab(store, saved)
        OsAccount.for_servers().require_way(store.folder, "lab.closed_folder")
        for id in lab.plan.servers:
            find(major_of(store, lab.plan, id))
        check_driver(store.fabric, saved.driver)
        lab.store.save(saved)
        ensure_passfiles(store.secrets)
        say("making the network")
        _forget_instances(lab)
        start(store.fabric, saved.driver)
        converge(lab.fabric, lab.plan.topology)
        servers = lab.servers
        say("starting the servers")
        return Raised(lab, servers.all(servers.up), notes)


def _wanted(
    store: Store, file: Path | None, plan: Plan | None, driver: str | None
) -> tuple[Saved, list[str]]:
    """What shall be from now on, and what had to go (sentences)."""
    saved = store.load()
    if saved is None:
        assert plan is not None and file is not None  # labs.get has seen a saved one otherwise
        same = Plan.from_dict(plan.as_dict())
        return Saved(str(file.absolute()), driver or "auto", plan, same), []
    saved.driver = driver or saved.driver
    if plan is None or file is None:
        return saved, []
    merged, gone = merge(saved.read, plan, saved.wanted)
    return Saved(str(file.absolute()), saved.driver, plan, merged), gone


def _forget_instances(lab: Lab) -> None:
    """Stop the servers that are wanted no more, and remove their data."""
    for folder in lab.store.instances.glob("*"):
        if folder.name not in lab.plan.topology.instances:
            stop_server(lab.store, folder.name, "immediate")
            shutil.rmtree(folder)


def down(store: Store, *, keep_data: bool = False) -> list[str]:
    """Stop the servers and take the network down, whatever of it is there; what was stopped.

    With `keep_data` the servers' data stay, and `up` without a file builds the lab again.
    """
    with store.locked():
        stopped = [
            folder.name
            for folder in sorted(store.instances.glob("*"))
            if stop_server(store, folder.name, "fast" if keep_data else "immediate")
        ]
        remove(store.fabric)
        store.remove(keep_data=keep_data)
    return stopped
