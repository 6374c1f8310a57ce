"""`landbridge lab status`, `probe`, `meter` and `draw`: what there is, and whether it passes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import LandbridgeError, UsageError
from .. import units
from ..options import JsonFlag
from ..output import Mode, Output
from .common import LabName, known, the_lab

if TYPE_CHECKING:
    from rich.table import Table

    from ...lab.lab import Lab
    from ...network.report import PairReport

#: Pairs that are probed at the same time; the kernel rates its refusals, so not all at once.
_AT_ONCE = 4


def status(lab: LabName = None, json: JsonFlag = False) -> None:
    """Draw a lab as it is now, with what is wrong with it."""
    from ...lab.drawing import render_terminal

    out = Output(Mode.of(json))
    the = the_lab(lab, built=False)
    seen, can = the.seen(), the.fabric.capabilities()
    troubles = the.troubles()
    facts = {
        "lab": the.store.name, "file": the.saved.file, "folder": str(the.store.folder),
        "driver": can.driver, "isolation": can.isolation.value, "reasons": can.reasons,
        "servers": {id: {"state": s.light.value, "words": s.words} for id, s in seen.items()},
        "topology": the.plan.topology.as_dict(), "troubles": troubles,
    }  # fmt: skip
    picture = render_terminal(the.picture(out.console.width, seen))
    out.result(facts, picture, *(["", *troubles] if troubles else []))


def probe(
    pair: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CLIENT SERVER]",
            show_default=False,
            help="Two instances; without them every pair is tried.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            metavar="N",
            show_default="the server's",
            help="Another port.",
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.1, max=3600, metavar="SECONDS", help="For each pair."),
    ] = 3.0,
    lab: LabName = None,
    json: JsonFlag = False,
) -> int:
    """Try whether instances reach each other's servers, and say what is in the way.

    Each pair is really tried, from the client's place, and compared with what the model
    says. Ends 1 if the pair that was named does not pass, or if model and machine disagree.
    """
    out = Output(Mode.of(json))
    the = the_lab(lab)
    instances = the.plan.topology.instances
    for id in pair or ():
        known(the.plan.topology, "instances", id)
    if pair and len(pair) != 2:
        raise UsageError("name two instances, or none for all pairs")
    pairs = [(pair[0], pair[1])] if pair else list(permutations(instances, 2))
    reports = _probe(the, pairs, port, timeout)
    out.result({"pairs": [_facts(report) for report in reports]}, _table(reports))
    disagree = any(not report.agrees for report in reports)
    return 1 if disagree or (pair and not reports[0].passes) else 0


def _probe(
    the: Lab, pairs: list[tuple[str, str]], port: int | None, timeout: float
) -> list[PairReport]:
    from ...network.report import probe_report

    fabric, topology = the.fabric, the.plan.topology
    if port is not None:
        for id, instance in topology.instances.items():
            topology.instances[id] = replace(instance, port=port)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(lambda p: probe_report(fabric, topology, p[0], p[1], timeout), pairs))


def _facts(report: PairReport) -> dict[str, Any]:
    return {
        "client": report.client, "server": report.server, "passes": report.passes,
        "seen": report.seen.outcome.value, "seconds": round(report.seen.seconds, 4),
        "words": report.seen.words, "hop": report.hop.value, "reason": report.sentence,
        "agrees": report.agrees,
    }  # fmt: skip


def _table(reports: list[PairReport]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("FROM", "TO", "SEEN", "IN", "WHY"):
        table.add_column(
            heading, no_wrap=heading != "WHY", justify="right" if heading == "IN" else "left"
        )
    for report in reports:
        style = "green" if report.passes else "bold red" if not report.agrees else "yellow"
        why = "" if report.passes else report.sentence
        seen = Text(report.seen.outcome.value, style)
        took = units.duration(report.seen.seconds)
        table.add_row(report.client, report.server, seen, took, why)
    return table


def meter(
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0.1, max=3600, metavar="N", help="How long to measure the rate."
        ),
    ] = 1.0,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Say what each line has carried since it was made, and what it carries now."""
    the = the_lab(lab)
    lines = the.plan.topology.lines
    began = time.monotonic()
    before = {id: the.fabric.meter(id) for id in lines}
    time.sleep(seconds)
    rows = []
    for id, line in lines.items():
        now, old, passed = the.fabric.meter(id), before[id], time.monotonic() - began
        a, b = (the.plan.topology.transit_routers[end].region for end in (line.a, line.b))
        rows += [
            _Carried(id, a, b, now.a_to_b, 8 * (now.a_to_b - old.a_to_b) / passed, line.rate),
            _Carried(id, b, a, now.b_to_a, 8 * (now.b_to_a - old.b_to_a) / passed, line.rate),
        ]
    Output(Mode.of(json)).result(
        {"seconds": seconds, "lines": [asdict(row) for row in rows]},
        _meters(rows) if rows else "There is no line.",
    )


@dataclass(frozen=True)
class _Carried:
    """One direction of a line: bytes since it was made, bit/s now and at most."""

    line: str
    source: str
    target: str
    bytes: int
    bits_per_second: float
    rate: int


def _meters(rows: list[_Carried]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("LINE", "FROM", "TO"):
        table.add_column(heading)
    for heading in ("CARRIED", "NOW", "OF"):
        table.add_column(heading, justify="right")
    for row in rows:
        now, most = bits(row.bits_per_second), bits(row.rate)
        table.add_row(row.line, row.source, row.target, units.size(row.bytes), now, most)
    return table


def bits(rate: float) -> str:
    """bit/s for people.

    >>> bits(1000), bits(95_400_000), bits(0)
    ('1 kbit/s', '95.4 Mbit/s', '0 kbit/s')
    """
    return f"{rate / 1e6:.1f} Mbit/s" if rate >= 999_500 else f"{rate / 1e3:.0f} kbit/s"


def draw(
    svg: Annotated[
        Path | None,
        typer.Option(
            "--svg",
            metavar="FILE",
            show_default=False,
            help="Write the picture as one self-contained SVG file instead.",
        ),
    ] = None,
    lab: LabName = None,
    json: JsonFlag = False,
) -> None:
    """Draw a lab: on the terminal, or as SVG that follows the reader's light or dark."""
    from ...lab.drawing import render_svg, render_terminal

    out = Output(Mode.of(json))
    the = the_lab(lab, built=False)
    if svg is None:
        drawn = render_terminal(the.picture(out.console.width))
        out.result({"lab": the.store.name, "text": drawn.plain}, drawn)
        return
    try:
        svg.write_text(render_svg(the.picture(110)))
    except OSError as problem:
        raise LandbridgeError(
            f"{svg} cannot be written: {problem.strerror}", id="output.failed",
            remedy="Name another file with --svg.",
        ) from None  # fmt: skip
    out.result({"lab": the.store.name, "file": str(svg.absolute())}, f"Drawn: {svg.absolute()}")
