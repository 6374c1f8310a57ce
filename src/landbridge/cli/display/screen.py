"""The picture on a terminal, redrawn several times a second."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...migration.states import State
from .. import units
from . import details
from .spark import sparkline
from .view import Mark, Phase, View

_STYLE = {Mark.WAITING: "dim", Mark.ACTIVE: "bold cyan", Mark.DONE: "", Mark.ENDED: "bold red"}
_MARK_STYLE = {**_STYLE, Mark.DONE: "green"}
_LEVEL = {"info": ("·", "dim"), "warning": ("!", "yellow"), "alarm": ("‼", "bold red")}
_NOTES = 4
_CURVE = 40


def screen(view: View) -> RenderableType:
    """The whole picture: where from and to, the phases, what moves now, what was noted."""
    parts: list[RenderableType] = [_header(view), _phases(view)]
    parts += [Padding(part, (1, 0, 0, 3)) for part in (_figures(view), _notes(view)) if part]
    if view.promoted_at is not None:
        parts.append(Padding(point_of_no_return(view), (1, 0, 0, 0)))
    return Group(*parts)


def _header(view: View) -> Text:
    request = view.request
    source = f"{request.source.get('host', 'local')}:{request.source.get('port', 5432)}"
    return Text.assemble(
        ("landbridge ", "bold"), (view.task.id, "bold cyan"), f"  PostgreSQL {request.major}\n",
        source, (" → ", "bold"), f"{request.data} :{request.port}", "\n",
        overflow="ellipsis",
    )  # fmt: skip


def _phases(view: View) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=3, justify="right", no_wrap=True)
    table.add_column(min_width=27, no_wrap=True)
    table.add_column(min_width=8, justify="right", no_wrap=True)
    table.add_column()
    for phase in view.phases:
        table.add_row(
            Text(phase.mark.value, style=_MARK_STYLE[phase.mark]),
            Text(phase.label, style=_STYLE[phase.mark]),
            Text(_seconds(phase), style="dim"),
            _detail(view, phase),
        )
    return table


def _seconds(phase: Phase) -> str:
    """In one unit as long as it fits, so that the column does not jump."""
    if phase.seconds is None:
        return ""
    return f"{phase.seconds:.1f} s" if phase.seconds < 60 else units.duration(phase.seconds)


def _detail(view: View, phase: Phase) -> Text:
    text = details.phase_detail(view, phase.state)
    troubled = phase.mark is Mark.ACTIVE and (
        view.waiting or view.live.get("disconnected_since") or view.live.get("replay_paused")
    )
    return Text(text, style="yellow" if troubled else "")


def _figures(view: View) -> RenderableType | None:
    live = view.live
    if view.awaited:
        return _instructions(view)
    if view.waiting is not None:
        return None
    if view.state is State.COPYING and live.get("copied") is not None:
        return _bar(live)
    if view.state is State.SYNCHRONIZING:
        return _following(view)
    return _switchover(view)


def _bar(live: dict[str, Any]) -> RenderableType:
    total = live.get("total") or None
    bar = ProgressBar(total=total, completed=live["copied"], width=48, pulse=total is None)
    grid = Table.grid(padding=(0, 2, 0, 0))
    share = f"{min(100, 100 * live['copied'] / total):.0f} %" if total else ""
    received = live.get("wal_received")
    grid.add_row(bar, share, Text(f"WAL {units.size(received)}" if received else "", style="dim"))
    return grid


def _following(view: View) -> RenderableType | None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    if view.lags:
        curve = Text(sparkline(view.lags, _CURVE), style="cyan")
        grid.add_row("lag", curve + Text(f"  highest {units.size(max(view.lags))}", style="dim"))
    if wal := details.wal_kept(view.live):
        grid.add_row("WAL kept on the source", wal)
    if view.live.get("sessions") is not None:
        grid.add_row("sessions on the source", str(view.live["sessions"]))
    for sentence in details.transactions(view.live):
        grid.add_row(Text("before the switchover", style="yellow"), Text(sentence))
    return grid if grid.row_count else None


def _switchover(view: View) -> RenderableType | None:
    """The steps of the switchover with their moments, in milliseconds."""
    steps = details.switchover_steps(view)
    if not steps:
        return None
    line = Text("your fence seen " if details.is_by_hand(view) else "writes closed ", style="dim")
    for name, ms in steps:
        line.append("→ ", style="dim").append(f"+{units.milliseconds(ms)} ", style="bold")
        line.append(f"{name} ", style="dim")
    return line


def _instructions(view: View) -> RenderableType:
    """The statements of a manual fence, to be run by the person in front of us."""
    lines = [Text("Run these statements on the source:", "bold yellow")]
    lines += [Text(f"  {statement}") for statement in view.awaited]
    lines += [Text(f"Then say so with: {details.say_fenced(view)}", "bold yellow")]
    return Group(*lines)


def _notes(view: View) -> RenderableType | None:
    shown = view.notes[-_NOTES:]
    if not shown:
        return None
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    for note in shown:
        sign, style = _LEVEL.get(note.get("level", "info"), _LEVEL["info"])
        text = Text(units.plain(str(note.get("text", ""))), style=style)
        grid.add_row(Text(sign, style=style), details.clock(note["at"]), text)
    return grid


def point_of_no_return(view: View) -> RenderableType:
    """The one line nobody may miss."""
    assert view.promoted_at is not None
    moment = f"{view.promoted_at.astimezone():%H:%M:%S.%f}"[:-3]
    words = f"POINT OF NO RETURN {moment}: from here on nothing is undone"
    return Padding(Text(f"━━━ {words} ━━━", justify="center"), style="bold white on red")
