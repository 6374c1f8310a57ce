"""The end of a control plane: its servers, its network, its tables and its files, for good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from ..errors import LandbridgeError
from ..migration.states import is_end
from ..migration.task import Task
from ..network.connection import Connection
from .accounts import Account
from .control import Cloud
from .instances.homes import Homes
from .instances.server import House
from .instances.tables import DBInstance
from .migrations.mover import active, tasks_of
from .migrations.tables import Migration
from .vpcs import Vpc


@dataclass(frozen=True)
class Server:
    """One instance that will be gone."""

    id: str
    major: int
    used_bytes: int
    number: int


@dataclass(frozen=True)
class Loss:
    """What will be gone."""

    folder: str
    database: str
    accounts: int
    vpcs: int
    migrations: int
    """Their records, with their evidence."""
    servers: tuple[Server, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def loss(cloud: Cloud) -> Loss:
    """What `remove` would remove.

    LandbridgeError (service.migrating) while a migration is under way: its source would keep
    WAL for it for ever.
    """
    with cloud.database.read() as session:
        for migration in active(session):
            if not _is_over(cloud, migration):
                _refuse(cloud, migration)
        rows = session.scalars(select(DBInstance).order_by(DBInstance.number)).all()
        accounts, vpcs, migrations = (
            session.scalar(select(func.count()).select_from(kind)) or 0
            for kind in (Account, Vpc, Migration)
        )
    servers = (Server(r.id, r.major, r.used_bytes, r.number) for r in rows)
    return Loss(
        str(cloud.folder.parent),
        cloud.database.public_url,
        accounts,
        vpcs,
        migrations,
        tuple(servers),
    )


def _is_over(cloud: Cloud, migration: Migration) -> bool:
    """Whether it was ended without the service, which has not learnt of that."""
    if migration.task is None:
        return False
    return is_end(Task(tasks_of(cloud).root / "tasks" / migration.task).state)


def _refuse(cloud: Cloud, migration: Migration) -> None:
    how = f"landbridge migration cancel {migration.id}"
    if migration.task is not None:
        how += (
            f" - or, without the service: LANDBRIDGE_STATE={tasks_of(cloud).root}"
            f" landbridge cancel {migration.task}"
        )
    raise LandbridgeError(
        f"migration {migration.id} is under way", id="service.migrating", remedy=f"Cancel it: {how}"
    )


def remove(cloud: Cloud, connection: Connection, servers: tuple[Server, ...],
           say: Callable[[str], None]) -> None:  # fmt: skip
    """Remove everything of a control plane; killed on the way, it may be called again.

    The one service has to be us (`Cloud.alone`). What else lies in the state directory stays.
    """
    homes = Homes.of(cloud)
    if homes.folder.exists():
        house = House(homes, connection)
        for server in servers:
            say(f"removing {server.id}")
            house.remove(server.id, server.number, None, "")
        shutil.rmtree(homes.folder)
    say("removing the network")
    connection.remove()
    cloud.database.remove()
    cloud.close()
    shutil.rmtree(cloud.folder)
    if not any(cloud.folder.parent.iterdir()):
        cloud.folder.parent.rmdir()
