"""What a migration's own record says of it, in the vendor's terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...assessment.model import Report
from ...migration import states
from ...migration import task as records
from ...migration.fence.orders import switchover_ordered
from ...migration.orders import RESUME
from ...migration.states import ROW, Replication, Stage, State
from .. import remedies
from . import detail, replication
from .standing import Hold, Undoing, fresh, hold, undoing
from .tables import Assessment, Migration, Order
from .told import Teller

_STARTED = "Start RDS instance"
_FOLLOWED = "Synchronize data"
#: The lines of records' own checks, with the file that they were made from: it is written once,
#: and to tell it anew would be most of what a look at a migration costs (measured: 4 of 5 ms).
_CHECKS: dict[Path, tuple[tuple[int, int], tuple[str, ...]]] = {}
_KNOWN = 1_000
#: Notes of the work itself, which are no news to the owner.
_QUIET = {"worker.started", "fence.by_hand"}


@dataclass(frozen=True)
class Progress:
    """How far a migration is."""

    state: State = State.ASSESSING
    before_end: State = State.ASSESSING
    """The state from which a migration ended that came to nothing."""
    is_begun: bool = False
    entries: tuple[dict[str, Any], ...] = ()
    live: dict[str, Any] = field(default_factory=dict)
    """The latest figures."""
    stream: dict[str, Any] | None = None
    """What its worker saw last of the destination's stream, which has the service's own places."""
    record: records.Task | None = None
    teller: Teller = field(default_factory=lambda: Teller((), ()))

    @classmethod
    def of(cls, tasks: records.Tasks, row: Migration) -> Progress:
        """What is on record of a migration; the beginning, where nothing is."""
        if row.task is None:
            end = State.CANCELLED if row.order is Order.CANCEL else State.FAILED
            return cls(state=State.ASSESSING if row.is_active else end)
        record = records.Task(tasks.root / "tasks" / row.task)
        entries = tuple(record.journal.entries())
        passed = [State(e["state"]) for e in entries if e["kind"] == "state"]
        state = passed[-1] if passed else State.ASSESSING
        if state is State.FINISHED and row.is_active:
            state = State.PROMOTED  # its server is not the service's yet
        on_the_way = [s for s in passed if ROW[s].stage is not None]
        live = fresh(state, record.read_live())
        stream = live.pop("stream", None)
        return cls(
            state=state,
            before_end=on_the_way[-1] if on_the_way else State.ASSESSING,
            is_begun=True,
            entries=entries,
            live=live,
            stream=stream,
            record=record,
            teller=Teller.of(tasks.root.parent),
        )

    @property
    def stage(self) -> Stage:
        """The vendor's MigrateStage; a migration that came to nothing keeps its last."""
        stage = ROW[self.state].stage or ROW[self.before_end].stage
        assert stage is not None
        return stage

    @property
    def replication(self) -> Replication:
        """The vendor's ReplicationState."""
        possible = ROW[self.state].replication
        if not self.is_begun and states.is_end(self.state):
            return Replication.UNSTARTED
        if self.state is State.SYNCHRONIZING and "state" in self.live:
            return Replication(self.live["state"])
        return possible[0]

    @property
    def hold(self) -> Hold | None:
        """What it does not get on for now, and since when."""
        if states.is_end(self.state) or self.is_ordered:
            return None
        undone = self.undoing
        found = undone.waits if undone else hold(self.state, self.entries, self.live)
        return Hold(self.teller.text(found.text), found.since) if found else None

    @property
    def undoing(self) -> Undoing | None:
        """How all is being put back; None where it is not."""
        late = states.is_end(self.state) or self.is_promoted
        return None if late else undoing(self.entries)

    @property
    def label(self) -> str:
        """The phase in words."""
        return ROW[self.state].label

    @property
    def guarantee(self) -> str:
        """What is true as long as it is where it is."""
        copied = any(e["kind"] == "step" and e["name"] == "copy" for e in self.entries)
        nothing = states.is_end(self.state) and not copied
        return (State.ASSESSING if nothing else self.state).guarantee

    @property
    def is_ordered(self) -> bool:
        """Whether a switchover was ordered that has not begun yet."""
        return switchover_ordered(self.entries)

    @property
    def is_promoted(self) -> bool:
        """Whether the destination accepts writes, for good."""
        return self.state in (State.PROMOTED, State.FINISHED)

    @property
    def switched_at(self) -> datetime | None:
        """When the destination was promoted."""
        for entry in self.entries:
            if entry["kind"] == "state" and entry["state"] == State.PROMOTED.value:
                return datetime.fromisoformat(entry["at"]).astimezone(UTC)
        return None

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it failed, or what it waits for somebody to put right: at, id, message, remedy."""
        found = None
        for entry in self.entries:
            if entry["kind"] == "error" and (found is None or found.get("held")):
                found = entry
            elif entry["kind"] == "signal":
                found = None
        keys = ("at", "id", "message", "remedy", "held")
        return self.teller.value({key: found.get(key) for key in keys}) if found else None

    def evidence(self) -> dict[str, Any] | None:
        """The evidence, once it is written; without what only its operator is concerned with."""
        if self.record is None or not states.is_end(self.state):
            return None
        found = records.read_json(self.record.folder / "evidence.json")
        if not isinstance(found, dict):
            return None
        hidden = ("data", "host", "port")
        found["destination"] = {k: v for k, v in found["destination"].items() if k not in hidden}
        if found["assessment"]:
            found["assessment"] = self.teller.report(found["assessment"])
        shown = {k: v for k, v in found.items() if k not in ("by", "journal", "settings")}
        told: dict[str, Any] = self.teller.value(shown)
        return told

    def text(self, row: Migration, passed: Callable[[], Assessment]) -> str:
        """The task's Detail: its checks, then what happened.

        `passed` gives the assessment that it went by, where its record has none of its own.
        """
        lines = list(self._checks(row) or _checked(passed().report, row))
        lines += detail.section(_STARTED, self._events(_STARTED))
        lines += detail.section(_FOLLOWED, self._events(_FOLLOWED))
        if row.trouble:
            lines.append(f"{detail.local(row.modified_at.isoformat())} --- {row.trouble}")
        if (held := self.hold) is not None:
            lines.append(f"{detail.local(held.since)} --- {held.text}")
        return "\n".join(lines)

    def _checks(self, row: Migration) -> tuple[str, ...]:
        """The lines of its own checks; empty while its record has none."""
        if self.record is None:
            return ()
        file = self.record.folder / "assessment.json"
        try:
            status = file.stat()
        except FileNotFoundError:
            return ()
        seen = (status.st_ino, status.st_mtime_ns)
        if (known := _CHECKS.get(file)) is None or known[0] != seen:
            report = records.read_json(file)
            told = self.teller.report(report) if report else None
            if len(_CHECKS) >= _KNOWN:
                _CHECKS.clear()
            known = _CHECKS[file] = seen, _checked(told, row)
        return known[1]

    def _events(self, wanted: str) -> Iterator[tuple[str, str]]:
        """What happened before or since the destination first followed: moment, text."""
        chapter = _STARTED
        for entry in self.entries:
            if entry["kind"] == "state" and entry["state"] == State.SYNCHRONIZING.value:
                chapter = _FOLLOWED
            if chapter == wanted and (text := said(entry, self.teller)):
                yield entry["at"], text

    @property
    def info(self) -> str:
        """ReplicationInfo; what the server says of its stream while it follows."""
        follows = self.state in (State.SYNCHRONIZING, State.FENCING, State.DRAINED)
        standby = self.stream if follows else None
        lag = self.live.get("lag_seconds") if standby else None
        is_synced = self.is_promoted or bool(standby and self.live.get("caught_up"))
        return replication.info(standby, lag, synced=is_synced)


def _checked(report: dict[str, Any] | None, row: Migration) -> tuple[str, ...]:
    whence = {"address": row.address, "port": str(row.port), "account": row.account}
    return tuple(detail.checks(Report.from_dict(report), whence)) if report else ()


def said(entry: dict[str, Any], teller: Teller) -> str:
    """What an entry of the record says to the owner; empty where it is no news."""
    kind = entry["kind"]
    if kind == "state":
        return ROW[State(entry["state"])].label
    if kind == "note" and entry["id"] not in _QUIET:
        return teller.text(entry["text"])
    if kind == "error":
        remedy = teller.remedy(entry["id"], entry.get("remedy"))
        message = teller.text(entry["message"])
        return remedies.both(f"{message}.", remedy) if remedy else message
    if kind == "signal" and entry["name"] != RESUME:
        return f"asked for: {entry['name']}"
    return ""


def status(row: Migration, progress: Progress) -> str:
    """One word for a program.

    Running, Interrupted and ReadinessUnknown (`Progress.hold`), ReadyToSwitch, Switching,
    Cancelling, PuttingBack, Finishing, Finished, Failed, Cancelled.
    """
    if row.order is Order.CANCEL and row.is_active:
        return "Cancelling"
    if (undone := progress.undoing) is not None:
        return "Cancelling" if undone.is_cancel else "PuttingBack"
    if progress.state is State.SYNCHRONIZING:
        is_ordered = row.order is not Order.NONE or progress.is_ordered
        if is_ordered:
            return "Switching"
        return "ReadinessUnknown" if progress.hold else "ReadyToSwitch"
    if progress.stage is Stage.SWITCH:
        return "Switching"
    if progress.state in (State.FINISHED, State.FAILED, State.CANCELLED):
        return "Finishing" if row.is_active else progress.state.value.capitalize()
    return "Interrupted" if progress.hold else "Running"
