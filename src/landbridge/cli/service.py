"""`landbridge service`: what its operator does with a service that does not run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import LandbridgeError
from .options import JsonFlag
from .output import Mode, Output
from .serve import StateOption

if TYPE_CHECKING:
    from ..cloud.removal import Loss

service = typer.Typer(
    name="service",
    help="What `landbridge serve` leaves on this machine.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@service.callback()
def _group() -> None: ...


@service.command()
def remove(
    state: StateOption = None,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> int:
    """Remove a service for good: servers with their data, networks, accounts, records.

    Names what will be lost and asks. Refuses while the service runs or a migration is under
    way. On a PostgreSQL server its tables go too; the database itself stays.
    """
    from ..cloud import Cloud, removal
    from ..migration.task import Tasks
    from ..network.connection import Connection
    from .environment import taken_password
    from .questions import agreed

    out = Output(Mode.of(json))
    where = state.absolute() if state else Tasks.default().root
    _require(where)
    cloud = Cloud.open(where, password=taken_password("source"))
    try:
        with cloud.alone(), cloud.database.claimed():
            loss = removal.loss(cloud)
            if not yes:
                out.show(*_lines(loss))
            if not agreed(out, "Remove all of it, for good?", "remove", yes=yes):
                return 1
            removal.remove(cloud, Connection(where / "network"), loss.servers, out.show)
    finally:
        cloud.close()
    out.result({"removed": loss.as_dict()}, f"The service in {where} is removed.")
    return 0


def _require(where: Path) -> None:
    if not (where / "cloud").exists():
        raise LandbridgeError(
            f"there is no service in {where}",
            id="service.none",
            remedy="Name its state directory with --state or LANDBRIDGE_STATE.",
        )


def _lines(loss: Loss) -> list[str]:
    from ..postgres.units import size

    servers = [
        f"  {server.id}  PostgreSQL {server.major}, {size(server.used_bytes)}"
        for server in loss.servers
    ]
    return [
        f"The service in {loss.folder}, with its database {loss.database}:",
        f"{loss.accounts} accounts, {loss.vpcs} VPCs and what joins them,"
        f" {loss.migrations} records of migrations with their evidence,",
        f"{len(servers)} instances with all their data{':' if servers else '.'}",
        *servers,
    ]
