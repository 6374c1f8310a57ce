"""What stands in the way of a switchover, shown before anybody confirms it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SwitchoverRefused

if TYPE_CHECKING:
    from ..migration.task import Task
    from .output import Output

_SIGN = {"error": ("✘", "bold red"), "warning": ("!", "yellow"), "ok": ("✔", "green")}


def guardrails(task: Task, out: Output) -> None:
    """Look at both sides and show what was found.

    Raises SwitchoverRefused, naming it, if something forbids the switchover.
    """
    from ..migration.switchover import preflight

    found = [_as_dict(rail) for rail in preflight(task)]
    _show(found, out)
    refusals = [f"{rail['text']} [{rail['id']}]" for rail in found if rail["level"] == "error"]
    if refusals:
        raise SwitchoverRefused(
            "; ".join(refusals), remedy="Nothing was changed. Repair it and ask again."
        )


def _as_dict(rail: Any) -> dict[str, Any]:
    level = getattr(rail.level, "value", rail.level)
    return {"id": rail.id, "level": level, "text": rail.text, "facts": rail.facts}


def _show(found: list[dict[str, Any]], out: Output) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for rail in found:
        sign, style = _SIGN.get(rail["level"], ("·", "dim"))
        grid.add_row(Text(f"  {sign}", style=style), Text(rail["text"]), Text(rail["id"], "dim"))
    out.show(grid)
