"""`landbridge verify`: compare every table of both sides, at one position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import LandbridgeError, UsageError
from . import units
from .options import OUTPUT, JsonFlag, TaskArgument
from .output import Mode, Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..migration.verify import Verification


Before = Annotated[
    bool, typer.Option("--before", metavar="", help="Before the switchover, with replay paused.")
]
After = Annotated[bool, typer.Option("--after", metavar="", help="After the switchover.")]
TablePatterns = Annotated[
    list[str] | None,
    typer.Option(
        "--table", metavar="PATTERN", show_default=False,
        help="Only tables like schema.name or database.schema.name, with * and ?;"
        " may be repeated.",
    ),
]  # fmt: skip
NoCompare = Annotated[
    bool,
    typer.Option(
        "--no-compare", metavar="",
        help="Only examine the destination's pages and indexes; possible at any time, also"
        " when the destination has been written since.",
    ),
]  # fmt: skip
Jobs = Annotated[
    int,
    typer.Option("--jobs", min=1, max=64, metavar="N", help="Tables read at a time, on each side."),
]
AllTables = Annotated[
    bool, typer.Option("--all", metavar="", help="List equal tables too.", rich_help_panel=OUTPUT)
]


def verify(
    id: TaskArgument,
    before: Before = False,
    after: After = False,
    table: TablePatterns = None,
    no_compare: NoCompare = False,
    jobs: Jobs = 4,
    all_tables: AllTables = False,
    json: JsonFlag = False,
) -> int:
    """Compare every table of source and destination.

    Examines the destination's pages and indexes too. Ends 1 if anything differs. Without
    --before or --after it looks which one it is.
    """
    from ..migration.states import State
    from ..migration.task import Tasks
    from ..migration.verify import examine_destination
    from ..migration.verify import verify as run
    from .passwords import Passwords

    if before and after:
        raise UsageError("--before and --after exclude each other")
    if no_compare and (before or after or table):
        raise UsageError("--no-compare leaves nothing to compare: no --before, --after, --table")
    out = Output(Mode.of(json))
    task = Tasks.default().get(id)
    if (state := task.state) in (
        State.ASSESSING, State.COPYING, State.STARTING, State.CANCELLED, State.FAILED
    ):  # fmt: skip
        raise UsageError(
            f"task {task.id} is {state.value}: it has no destination that could be verified",
            id="verify.no_destination",
        )
    when = "before" if before else "after" if after else "auto"
    if no_compare:
        with _Progress(out) as progress:
            result = examine_destination(task, report=progress, jobs=jobs)
    else:
        with Passwords(out).lent_to(task), _Progress(out) as progress:
            result = run(task, when=when, tables=table or None, report=progress, jobs=jobs)
    document = result.as_dict()
    error = _error(result)
    out.result({**document, "error": error and error.as_dict()}, *picture(document, all_tables))
    if error is not None and out.mode is Mode.HUMAN:
        out.error(error)
    return 1 if error is not None else 0


def _error(result: Verification) -> LandbridgeError | None:
    try:
        result.raise_for_differences()
    except LandbridgeError as error:
        return error
    return None


class _Progress:
    """Which table of how many, on a terminal; silent elsewhere."""

    def __init__(self, out: Output) -> None:
        self._status = out.console.status("Comparing") if out.is_live else None

    def __enter__(self) -> _Progress:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, table: str, done: int, total: int) -> None:
        from rich.text import Text

        if self._status:
            what = f"Comparing {done} of {total}" if total else "Examining"
            self._status.update(Text(f"{what}: {table}"))


def picture(document: dict[str, Any], all_tables: bool) -> list[RenderableType]:
    """A verification (its verification.json) for people."""
    from rich.table import Table
    from rich.text import Text

    tables = document["tables"]
    shown = tables if all_tables else [t for t in tables if not t["equal"]]
    parts: list[RenderableType] = []
    if shown:
        grid = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("TABLE", "ROWS ON SOURCE", "ROWS HERE", ""):
            grid.add_column(heading, justify="right" if heading.startswith("ROWS") else "left")
        for t in shown:
            name = f"{t['database']}.{t['schema']}.{t['table']}"
            verdict = ("equal", "green") if t["equal"] else (t["error"] or "different", "red")
            grid.add_row(
                name, _rows(t["rows_source"]), _rows(t["rows_destination"]), Text(*verdict)
            )
        parts += [grid, ""]
    parts += _objects(document)
    parts += [f"not compared: {s['what']} ({s['why']})" for s in document["skipped"]]
    rows = sum(t["rows_source"] or 0 for t in tables)
    differences = int(document["differences"])
    style = "bold red" if differences else "bold green"
    if document["point"] is None:
        failed = (units.count(differences, "failure"), style)
        return [*parts, Text.assemble(failed, " on the destination")]
    parts.append(
        Text.assemble(
            (units.count(differences, "difference"), style),
            f" in {units.count(len(tables), 'table')}, {units.count(rows, 'row')},"
            f" at {document['point']}",
        )
    )
    return parts


def _objects(document: dict[str, Any]) -> list[RenderableType]:
    """What differs apart from tables, and how pages and indexes were examined."""
    from rich.text import Text

    found: list[RenderableType] = [
        Text(f"{o['kind']} {o['name']} differs: {o['source']} here {o['destination']}", "red")
        for kind in ("sequences", "large_objects", "roles", "databases", "definitions")
        for o in document[kind]
        if not o["equal"]
    ]
    for what, key in (("pages", "page_checksums"), ("indexes", "indexes")):
        examined = document.get(key) or {}
        if examined:
            amount = examined.get("blocks", examined.get("checked", 0))
            failures = len(examined.get("failures", ()))
            found.append(
                f"{what}: {amount:,} examined, {units.count(failures, 'failure')}"
                + (f" ({examined['how']})" if examined.get("how") else "")
            )
    return found


def _rows(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
