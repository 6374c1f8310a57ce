"""One picture of a migration, made from its journal and its latest figures."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from ...migration.journal import error_after
from ...migration.notes import (
    FENCE_BY_HAND,
    FENCE_NOT_SEEN,
    UNDO_GIVEN_UP,
    UNDO_WAITING,
    WORKER_STARTED,
)
from ...migration.states import ROW, TABLE, State, is_end
from ...migration.task import read_json
from .reader import Reader

if TYPE_CHECKING:
    from ...migration.task import Task

#: The way a migration goes when nothing goes wrong.
PATH = tuple(row.state for row in TABLE if row.stage is not None)


class Mark(Enum):
    """How far a phase is."""

    WAITING = "·"
    """Not begun."""
    ACTIVE = "▶"
    """Under way."""
    DONE = "✔"
    """Behind us."""
    ENDED = "✘"
    """The migration ended here."""


@dataclass(frozen=True)
class Phase:
    """One state of the table, as far as this migration has come."""

    state: State
    mark: Mark
    seconds: float | None
    """How long it took or has been taking; None before it begins."""

    @property
    def label(self) -> str:
        return ROW[self.state].label


class View:
    """What is known about one task; `update` reads what is new."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.request = task.request
        self.state = State.ASSESSING
        self.before_end = State.ASSESSING
        """The state from which a cancelled or failed migration ended."""
        self.entered: dict[State, datetime] = {}
        self.steps: dict[str, dict[str, Any]] = {}
        """Step -> the facts it ended with."""
        self.running: dict[str, dict[str, Any]] = {}
        """Step -> the entry it began with, for steps that have not ended."""
        self.notes: list[dict[str, Any]] = []
        self.held: dict[str, Any] | None = None
        """The error after which the work waits for somebody to act."""
        self.asked = 0
        """How often somebody asked for something."""
        self.order: str | None = None
        """What was asked for last and is neither begun nor answered."""
        self.worker: int | None = None
        """Number of the process that took up the work last."""
        self.waiting: dict[str, Any] | None = None
        """The note that says what an undo waits for, while it does."""
        self.error: dict[str, Any] | None = None
        """The error that ended the migration, or holds it up."""
        self.awaited: list[str] = []
        """Statements of a manual fence that a person is asked to run, while that is so."""
        self.not_fenced: dict[str, Any] | None = None
        """The note that a person's last word that the source is fenced was not taken."""
        self.live: dict[str, Any] = {}
        self.lags: deque[int] = deque(maxlen=60)
        """Lag in bytes, newest last, one for each new set of figures."""
        self.max_lag: int | None = None
        """The highest lag in bytes seen while following."""
        self._reader = Reader(task)

    def update(self) -> list[dict[str, Any]]:
        """Take in what is new; returns the new journal entries."""
        entries = self._reader.new_entries()
        for entry in entries:
            self._take(entry)
        live = self._reader.live()
        if live.get("at") != self.live.get("at") and live.get("lag_bytes") is not None:
            self.lags.append(int(live["lag_bytes"]))
            self.max_lag = max(self.max_lag or 0, self.lags[-1])
        self.live = live
        return entries

    def _take(self, entry: dict[str, Any]) -> None:
        kind = entry["kind"]
        self.error = error_after(self.error, entry)
        if kind == "state":
            self._enter(State(entry["state"]), datetime.fromisoformat(entry["at"]))
        elif kind == "step":
            self._take_step(entry)
        elif kind == "note" and entry["id"] == FENCE_BY_HAND:
            self.awaited = entry["statements"]
        elif kind == "note" and entry["id"] == WORKER_STARTED:
            self.worker = entry.get("pid")
        elif kind == "note":
            self.notes.append(entry)
            if entry["id"] == UNDO_WAITING:
                self.waiting = entry
            elif entry["id"] == FENCE_NOT_SEEN:
                self.not_fenced = entry
        elif kind == "signal":
            # What waits to be put back is put back no sooner for being asked again.
            if entry["name"] != "undo":
                self.held = None
            self.asked += 1
            self.order = entry["name"]
        elif kind == "error" and "held" in entry:
            self.held, self.order = entry, None
            self.notes.append({"level": "alarm", "text": entry["message"], **entry})

    def _take_step(self, entry: dict[str, Any]) -> None:
        name = str(entry["name"])
        if entry.get("phase") == "begin":
            self.running[name] = entry
            if name == "fence":
                self.awaited = []
            return
        begin = self.running.pop(name, {})
        if entry.get("phase") == "end":
            self.steps[name] = {**begin, **entry, "began": begin.get("at")}

    def _enter(self, state: State, at: datetime) -> None:
        if is_end(state):
            self.before_end = self.state
        self.held = self.waiting = None
        if state is not State.FENCING:
            self.awaited = []
        if self.order != "cancel":
            self.order = None
        if state in PATH:
            # Back from a switchover that was undone: what came after has not happened.
            for later in PATH[PATH.index(state) + 1 :]:
                self.entered.pop(later, None)
        self.entered.setdefault(state, at)
        self.state = state

    @property
    def is_over(self) -> bool:
        return is_end(self.state)

    @property
    def phases(self) -> list[Phase]:
        """Every state on the way, in order."""
        here = self.before_end if self.state not in PATH else self.state
        position = PATH.index(here)
        marks = {-1: Mark.DONE, 1: Mark.WAITING}
        found = []
        for index, state in enumerate(PATH):
            mark = marks.get((index > position) - (index < position), Mark.ACTIVE)
            if index == position and self.is_over:
                mark = Mark.DONE if self.state is State.FINISHED else Mark.ENDED
            found.append(Phase(state, mark, self._seconds(state)))
        return found

    def _seconds(self, state: State) -> float | None:
        begin = self.entered.get(state)
        if begin is None or state is State.FINISHED:
            return None
        after = [at for at in self.entered.values() if at > begin]
        end = min(after) if after else datetime.now(UTC)
        return (end - begin).total_seconds()

    @property
    def promoted_at(self) -> datetime | None:
        """The point of no return, once it is behind us."""
        return self.entered.get(State.PROMOTED)

    @property
    def switchover(self) -> dict[str, Any]:
        """Moments of the switchover under way or done: fields of SwitchoverResult."""
        result = read_json(self.task.folder / "switchover" / "result.json") or {}
        if (ended := self.steps.get("promote")) is not None:
            return {**ended, "promoted": ended["at"], **result}
        return {**self.running.get("promote", {}), **result}

    def attachment(self, name: str) -> dict[str, Any] | None:
        """A result that lies beside the journal, e.g. `verification`."""
        found = read_json(self.task.folder / f"{name}.json")
        return found if isinstance(found, dict) else None

    @property
    def label(self) -> str:
        return str(self.waiting["waiting"]) if self.waiting else ROW[self.state].label

    @property
    def guarantee(self) -> str:
        """What is true now: the state's guarantee, unless more, or less, is known."""
        if self.given_up is not None:
            return str(self.given_up["text"])
        if self.waiting is not None:
            return (
                "What lies here is put back; the slot on the source is not dropped yet, and keeps"
                " WAL there."
            )
        if self.awaited:
            return "We have changed nothing: the source accepts writes until you have fenced it."
        return self.state.guarantee

    @property
    def given_up(self) -> dict[str, Any] | None:
        """The note that says what could not be put back, if the migration ended like that."""
        found = [n for n in self.notes if n.get("id") == UNDO_GIVEN_UP]
        return found[-1] if found and self.is_over else None

    @property
    def is_switching(self) -> bool:
        """Whether a switchover has been asked for, or is under way, and can be put back."""
        return self.state in (State.FENCING, State.DRAINED) or self.order in ("switchover", "undo")

    @property
    def put_back_at(self) -> datetime | None:
        """When the guard puts the source back that an attempt has fenced; None without one."""
        from ...migration.fence.guard import is_guarded

        return self.deadline if is_guarded(self.task) else None

    @property
    def deadline(self) -> datetime | None:
        """When the attempt under way is over, if there is one."""
        attempt = read_json(self.task.folder / "switchover" / "attempt.json")
        return datetime.fromtimestamp(attempt["deadline"], UTC) if attempt else None

    def _findings(self) -> dict[str, Any] | None:
        """The assessment without what was in order."""
        report = self.attachment("assessment")
        if report is None:
            return None
        return report | {
            "findings": [f for f in report["findings"] if f["level"] in ("error", "warning")]
        }

    def summary(self) -> dict[str, Any]:
        """The task in a list, for programs."""
        request = self.request
        stage = ROW[self.before_end if self.state not in PATH else self.state].stage
        return {
            "id": self.task.id,
            "state": self.state.value,
            "stage": stage and stage.value,
            "worked_on": self.task.is_worked_on(),
            "source": request.source,
            "destination": {"data": request.data, "port": request.port},
            "postgres": {"major": request.major, "system_identifier": request.system_identifier},
        }

    def as_dict(self) -> dict[str, Any]:
        """The whole picture, for programs."""
        evidence = self.task.folder / "evidence.json"
        return {
            **self.summary(),
            "label": self.label,
            "guarantee": self.guarantee,
            "fence": self.request.fence,
            "entered": {state.value: at.isoformat() for state, at in self.entered.items()},
            "steps": self.steps,
            "live": self.live,
            "notes": self.notes,
            "held": self.held,
            "awaited": self.awaited,
            "waiting": self.waiting,
            "given_up": self.given_up,
            "error": self.error,
            "switchover": self.switchover or None,
            "assessment": self._findings(),
            "verification": self.attachment("verification"),
            "evidence": {"path": str(evidence)} if evidence.exists() else None,
            "folder": str(self.task.folder),
        }
