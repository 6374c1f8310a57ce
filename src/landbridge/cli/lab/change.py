"""`landbridge lab grant`, `attach`, `line`, `bandwidth` and their opposites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import UsageError
from ..options import JsonFlag
from ..output import Mode, Output
from .common import Cen, CenArgument, LabName, RegionArgument, VpcArgument, known, the_lab

if TYPE_CHECKING:
    from ...lab.plan import Plan
    from ...network.things import Line
    from ...network.topology import Topology

Mbit = Annotated[
    float | None,
    typer.Option(
        "--mbit",
        metavar="N",
        show_default="as it is; of a new line none: 1 kbit/s",
        help="Bandwidth, in Mbit/s.",
    ),
]


def grant(vpc: VpcArgument, cen: CenArgument, lab: LabName = None, json: JsonFlag = False) -> None:
    """Let a CEN of another account attach a VPC; the VPC's owner does this."""
    from ...network.things import Grant

    def edit(plan: Plan) -> None:
        known(plan.topology, "vpcs", vpc)
        known(plan.topology, "cens", cen)
        plan.topology.put(Grant(vpc, cen))

    _change(lab, json, edit, f"{vpc} is granted to {cen}.", vpc=vpc, cen=cen, granted=True)


def revoke(vpc: VpcArgument, cen: CenArgument, lab: LabName = None, json: JsonFlag = False) -> None:
    """Take a grant back; an attachment that needs it has to go first."""
    from ...network.things import Grant

    def edit(plan: Plan) -> None:
        known(plan.topology, "vpcs", vpc)
        known(plan.topology, "cens", cen)
        plan.topology.remove(Grant(vpc, cen))

    _change(lab, json, edit, f"{vpc} is not granted to {cen}.", vpc=vpc, cen=cen, granted=False)


def attach(vpc: VpcArgument, cen: CenArgument, lab: LabName = None, json: JsonFlag = False) -> None:
    """Attach a VPC to the transit router of a CEN in its region."""
    from ...lab.changes import attach as run

    def edit(plan: Plan) -> None:
        known(plan.topology, "vpcs", vpc)
        known(plan.topology, "cens", cen)
        run(plan.topology, vpc, cen)

    _change(lab, json, edit, f"{vpc} is attached to {cen}.", vpc=vpc, cen=cen, attached=True)


def detach(vpc: VpcArgument, lab: LabName = None, json: JsonFlag = False) -> None:
    """Take a VPC from its transit router; connections through it hang or break."""

    def edit(plan: Plan) -> None:
        known(plan.topology, "vpcs", vpc)
        attachment = plan.topology.attachment_of(vpc)
        if attachment is not None:
            plan.topology.remove(attachment)

    _change(lab, json, edit, f"{vpc} is not attached.", vpc=vpc, attached=False)


def line(
    a: RegionArgument,
    b: RegionArgument,
    mbit: Mbit = None,
    cen: Cen = None,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Join two regions of a CEN by a line; without bandwidth it carries 1 kbit/s.

    A line that is there keeps its bandwidth unless --mbit says another.
    """
    from ...lab.changes import join, only_cen

    def edit(plan: Plan) -> Line:
        return join(plan.topology, only_cen(plan.topology, cen), a, b, mbit=mbit)

    _change_line(lab, json, edit)


def unline(
    where: Annotated[
        list[str],
        typer.Argument(metavar="LINE|REGION REGION", help="A line's id, or its two regions."),
    ],
    cen: Cen = None,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Remove a line."""

    def edit(plan: Plan) -> None:
        plan.topology.remove(_line(plan.topology, where, cen))

    said = f"{' - '.join(where)} is joined no more."
    _change(lab, json, edit, said, where=where, joined=False)


def bandwidth(
    where: Annotated[
        list[str],
        typer.Argument(
            metavar="LINE|REGION REGION MBIT|none",
            show_default=False,
            help="A line's id or its two regions, and its bandwidth in Mbit/s; none: 1 kbit/s.",
        ),
    ],
    cen: Cen = None,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Set the bandwidth of a line; what runs over it goes on at the new rate."""
    from dataclasses import replace

    from ...lab.changes import bits

    *place, amount = where
    mbit = _mbit(amount)

    def edit(plan: Plan) -> Line:
        changed = replace(_line(plan.topology, place, cen), bits_per_second=bits(mbit))
        plan.topology.put(changed)
        return changed

    _change_line(lab, json, edit)


def _mbit(text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no bandwidth", remedy="Give Mbit/s like 100 or 0.5, or none."
        ) from None


def _line(topology: Topology, where: list[str], cen: str | None) -> Line:
    """The line of an id, or between two regions."""
    from ...lab.changes import only_cen

    if len(where) == 1:
        found: Line = known(topology, "lines", where[0])
        return found
    if len(where) != 2:
        raise UsageError("name a line by its id, or by its two regions")
    ends = [topology.router_of(only_cen(topology, cen), region) for region in where]
    line = topology.line_between(ends[0].id, ends[1].id) if ends[0] and ends[1] else None
    if line is None:
        raise UsageError(
            f"no line between {where[0]} and {where[1]}", id="lab.no_line",
            remedy=f"Order one: landbridge lab line {where[0]} {where[1]}",
        )  # fmt: skip
    return line


def _change(lab: str | None, json: bool, edit: Any, said: str, **facts: Any) -> None:
    the_lab(lab, built=False).change(edit)
    Output(Mode.of(json)).result(facts, said)


def _change_line(lab: str | None, json: bool, edit: Any) -> None:
    from ...lab.drawing.layout import said

    line: Line = the_lab(lab, built=False).change(edit)
    Output(Mode.of(json)).result(
        {"line": line.id, "a": line.a, "b": line.b, "bits_per_second": line.bits_per_second},
        f"{line.id} between {line.a} and {line.b}: {said(line)[0]}.",
    )
