"""What stands in the way of a switchover, shown before anybody confirms it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SwitchoverRefused

if TYPE_CHECKING:
    from ..migration.switchover import Guardrail
    from ..migration.task import Task
    from .output import Output

_SIGN = {"error": ("✘", "bold red"), "warning": ("!", "yellow"), "ok": ("✔", "green")}


def guardrails(task: Task, out: Output) -> None:
    """Look at both sides and show what was found.

    Raises SwitchoverRefused, naming it, if something forbids the switchover.
    """
    from ..migration.switchover import preflight

    found = preflight(task)
    _show(found, out)
    refusals = [rail for rail in found if rail.blocks]
    if refusals:
        raise SwitchoverRefused(
            "; ".join(f"{rail.text} [{rail.id}]" for rail in refusals),
            remedy=" ".join(rail.remedy for rail in refusals if rail.remedy) or None,
        )


def _show(found: list[Guardrail], out: Output) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for rail in found:
        sign, style = _SIGN.get(rail.level.value, ("·", "dim"))
        grid.add_row(Text(f"  {sign}", style=style), Text(rail.text), Text(rail.id, "dim"))
    out.show(grid)
