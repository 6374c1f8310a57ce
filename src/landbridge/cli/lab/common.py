"""What the commands of a lab share: arguments, and the way to the lab that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import LandbridgeError, UsageError

if TYPE_CHECKING:
    from ...lab.lab import Lab
    from ...lab.store import Labs
    from ...network.topology import Topology

LabName = Annotated[
    str | None,
    typer.Option("--lab", metavar="NAME", show_default="the only one", help="Which lab."),
]
Cen = Annotated[
    str | None,
    typer.Option("--cen", metavar="CEN", show_default="the only one", help="Which CEN."),
]
VpcArgument = Annotated[str, typer.Argument(metavar="VPC", help="Id of a VPC.", show_default=False)]
CenArgument = Annotated[str, typer.Argument(metavar="CEN", help="Id of a CEN.", show_default=False)]
RegionArgument = Annotated[
    str, typer.Argument(metavar="REGION", help="Name of a region.", show_default=False)
]
InstanceArgument = Annotated[
    str, typer.Argument(metavar="INSTANCE", help="Id of an instance.", show_default=False)
]


def labs() -> Labs:
    """All labs of the state directory."""
    from ...lab.store import Labs
    from ...migration.task import Tasks

    return Labs(Tasks.default().root)


def the_lab(name: str | None, *, built: bool = True) -> Lab:
    """The lab that is meant; UsageError (lab.unknown) if that is not clear.

    With `built` LandbridgeError (lab.not_up) where its network is not there, and did not just end
    with its process.
    """
    from ...lab.lab import Lab

    lab = Lab.open(labs(), name)
    if built and lab.missing():
        lab.mend()
    if built and (missing := lab.missing()):
        raise LandbridgeError(
            f"lab {lab.store.name} is not up: {', '.join(missing)} not there", id="lab.not_up",
            remedy="Build it again: landbridge lab up",
        )  # fmt: skip
    return lab


def known(topology: Topology, shelf: str, id: str) -> Any:
    """The thing of that id; UsageError (lab.unknown_id) names those that there are."""
    things = getattr(topology, shelf)
    if id not in things:
        word = {"vpcs": "VPC", "instances": "instance", "cens": "CEN", "lines": "line"}[shelf]
        raise UsageError(
            f"there is no {word} {id}", id="lab.unknown_id",
            remedy=f"There are: {', '.join(things) or 'none'}.",
        )  # fmt: skip
    return things[id]
