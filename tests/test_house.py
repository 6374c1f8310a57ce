"""The rules of the house, held against the code itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from landbridge.migration.states import ROW, TABLE, Stage, State, is_end

SOURCE = Path(__file__).parent.parent / "src/landbridge"

#: package -> the packages it may import. Nothing imports upwards.
MAY_IMPORT: dict[str, set[str]] = {
    "cli": {
        "console",
        "api",
        "cloud",
        "migration",
        "assessment",
        "lab",
        "network",
        "postgres",
        "errors",
    },
    "console": {"api", "cloud", "postgres", "errors"},
    "api": {"cloud", "errors", "lock", "beside"},
    "lab": {"servers", "network", "postgres", "errors", "lock"},
    "servers": {"network", "postgres", "errors"},
    "cloud": {
        "store",
        "servers",
        "migration",
        "assessment",
        "network",
        "postgres",
        "errors",
        "lock",
        "beside",
    },
    "store": {"errors", "lock"},
    "network": {"postgres", "errors", "lock"},
    "migration": {"engine", "assessment", "postgres", "errors", "lock", "beside"},
    "engine": {"errors", "lock"},
    "assessment": {"postgres", "errors"},
    "postgres": {"errors"},
    "errors": set(),
    "lock": set(),
    "beside": set(),
}


def _imports(path: Path) -> set[tuple[str, str]]:
    """Every (top-level module, landbridge package) that a file imports, lazily or not."""
    package = ("landbridge", *path.relative_to(SOURCE).with_suffix("").parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            names = [f"{stem}.{a.name}" for a in node.names] if stem == "landbridge" else [stem]
        else:
            continue
        for name in names:
            parts = name.split(".")
            inner = parts[1] if parts[0] == "landbridge" and len(parts) > 1 else ""
            found.add((parts[0], inner))
    return found


def _files() -> list[Path]:
    return sorted(p for p in SOURCE.rglob("*.py") if p.parent != SOURCE)


@pytest.mark.parametrize("path", _files(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_nothing_imports_upwards(path: Path) -> None:
    own = path.relative_to(SOURCE).parts[0]
    for top, inner in _imports(path):
        if top == "landbridge" and inner not in ("", "__version__", own):
            assert inner in MAY_IMPORT[own], f"{own} may not import {inner}"
        if top == "dbos":
            assert own == "engine", "only engine/ knows the durable engine"
        if top in ("sqlalchemy", "alembic"):
            assert own in ("store", "cloud"), "only store/ and cloud/ know the tables"
        if top in ("starlette", "uvicorn", "h11"):
            assert own in ("api", "console"), "only api/ and console/ know HTTP"


@pytest.mark.parametrize("path", _files(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400, "a file of more than 400 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 70, f"{node.name} has {lines} lines"


def test_every_state_is_reachable_and_has_a_row() -> None:
    assert [row.state for row in TABLE] == list(State)
    reached, todo = set(), [State.ASSESSING]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo.extend(ROW[state].next)
    assert reached == set(State)


def test_every_state_guarantees_something_and_can_be_left_or_is_an_end() -> None:
    for row in TABLE:
        assert row.state.guarantee.endswith(".")
        assert row.undo
        assert bool(row.step) != is_end(row.state)


def test_every_stage_of_the_api_is_produced() -> None:
    assert {row.stage for row in TABLE if row.stage} == set(Stage)


def test_nothing_leads_back_from_the_point_of_no_return() -> None:
    assert ROW[State.PROMOTED].next == (State.FINISHED,)
