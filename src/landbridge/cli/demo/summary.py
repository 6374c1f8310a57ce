"""What a person reads of the demonstration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .. import units
from ..display.details import compression_words
from . import data

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .children import WriterProcess
    from .servers import Servers


def application_line(servers: Servers, writer: WriterProcess) -> RenderableType:
    """Below the migration's picture: what the application experiences meanwhile."""
    last = writer.last()
    if last is None:
        return Text()
    where = "the source" if last.port == servers.source.port else "the destination"
    line = Text.assemble(
        ("application  ", "dim"), (f"{last.number:,}", "bold"),
        " rows acknowledged, the last by ", (where, "bold cyan"),
    )  # fmt: skip
    return Padding(line, (1, 0, 0, 3))


def summary(result: dict[str, Any]) -> RenderableType:
    """The panel at the end."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", justify="right", no_wrap=True)
    grid.add_column()
    for name, sentence in (
        ("moved", _moved(result)),
        *(("warning", Text(line, "yellow")) for line in result["assessment"]["warned"]),
        ("followed", _followed(result)),
        ("outage", _outage(result)),
        ("writer", _writer(result)),
        ("load", _load(result)),
        ("tables", _tables(result)),
        ("examined", _examined(result)),
        ("evidence", _evidence(result)),
    ):
        grid.add_row(name, sentence)
    passed = result["passed"]
    title = " Nothing was lost " if passed else " Something is missing or different "
    style = "green" if passed else "red"
    return Panel(grid, title=Text(title, f"bold {style}"), border_style=style, padding=(1, 2))


def _evidence(result: dict[str, Any]) -> Text:
    """Folded where it is too long: a path is to be copied whole."""
    path = result["evidence"]["path"].removesuffix("json") + "html"
    return Text(path, "cyan", overflow="fold")


def _moved(result: dict[str, Any]) -> Text:
    copy, seconds = result["copy"], result["copy"]["seconds"]
    text = Text.assemble(
        f"PostgreSQL {result['postgres']['version']}, ", (units.size(copy["bytes"]), "bold"),
        f" in {units.duration(seconds)}, {units.rate(copy['bytes'] / seconds)}",
        *(f", {words}" for words in compression_words(copy)),
    )  # fmt: skip
    if copy["wire_bytes"] and copy["wire_bytes"] < 0.95 * copy["bytes"]:
        text.append(f" ({units.size(copy['wire_bytes'])} over the wire)")
    assessment = result["assessment"]
    return text.append(
        f"; {units.count(assessment['checks'], 'check')} before,"
        f" {units.count(assessment['warnings'], 'warning')};"
        f" {units.duration(result['seconds'])} in all"
    )


def _followed(result: dict[str, Any]) -> Text:
    return Text.assemble(
        "the destination was never more than ",
        (units.size(result["sync"]["max_lag_bytes"]), "bold"),
        " of WAL behind, as often as it was looked at",
    )  # fmt: skip


def _outage(result: dict[str, Any]) -> Text:
    writer, switchover = result["writer"], result["switchover"]
    return Text.assemble(
        "the writer waited ", (units.milliseconds(writer["write_outage_ms"]), "bold"),
        " between its last row on the source and its first on the destination",
        f" (servers: {units.milliseconds(switchover['write_outage_ms'])},"
        f" fence {switchover['fence']})",
    )  # fmt: skip


def _writer(result: dict[str, Any]) -> Text:
    writer = result["writer"]
    text = Text.assemble((f"{writer['acknowledged']:,}", "bold"), " rows acknowledged: ")
    for name in ("missing", "duplicated", "damaged"):
        style = "bold green" if writer[name] == 0 else "bold red"
        text.append(f"{writer[name]} {name}", style).append(", ")
    text.right_crop(2)
    return text


def _load(result: dict[str, Any]) -> Text:
    load = result["load"]
    if not load["clients"]:
        return Text("none", style="dim")
    agree = "every balance agrees" if load["balances_agree"] else "balances differ"
    return Text.assemble(
        f"{load['program']}, {units.count(load['clients'], 'client')},"
        f" {units.count(load['transactions'], 'transaction')}: ",
        (agree, "bold green" if load["balances_agree"] else "bold red"),
    )


def _tables(result: dict[str, Any]) -> Text:
    verification = result["verification"]
    differences = verification["differences"]
    return Text.assemble(
        f"{units.count(verification['tables'], 'table')},"
        f" {units.count(verification['rows'], 'row')} compared at"
        f" {verification['point']}, before the switchover and under load: ",
        (
            units.count(differences, "difference"),
            "bold red" if differences else "bold green",
        ),
    )


def _examined(result: dict[str, Any]) -> Text:
    verification = result["verification"]
    examined = [
        f"{verification[name]:,} {name}" for name in ("pages", "indexes") if verification[name]
    ]
    if not examined:
        return Text("pages and indexes cannot be examined here", style="dim")
    damaged = verification["damaged"]
    return Text.assemble(
        f"{' and '.join(examined)} of the destination examined: ",
        (f"{damaged} damaged", "bold red" if damaged else "bold green"),
    )


def how_to_reach(servers: Servers) -> RenderableType:
    """For --keep: how to look around, and how to remove everything again."""
    lines = ["", "Both servers are left running:"]
    for name, cluster in (("destination", servers.destination), ("source", servers.source)):
        lines.append(
            f"  {name:<12} psql -h {cluster.socket_dir} -p {cluster.port}"
            f" -U {cluster.superuser} {data.DATABASE}"
        )
    folders = " ".join(str(c.socket_dir) for c in (servers.source, servers.destination))
    lines += [
        "Remove them with:",
        f"  kill -INT $(head -qn1 {servers.root}/*/postmaster.pid)",
        f"  rm -rf {servers.root} {folders}",
    ]
    return Text("\n".join(lines), no_wrap=True, overflow="fold")
