"""The steps of a migration: what each does, and how it is undone.

One entry per name in the state table's `step` column, in the same order. A step
looks at reality first, so that it may run again after a crash at any moment; so
does an undo, which takes back what its own step did and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..errors import AssessmentFailed, LandbridgeError, ServerFailed, ServerUnreachable
from ..postgres.slots import drop_slot_at
from .fence.orders import SwitchOrders, refuse_stale
from .states import State
from .task import Task, write_json

if TYPE_CHECKING:
    from .copying import CopyProgress
    from .follow import Sample

Facts = dict[str, Any]


@dataclass(frozen=True)
class Control:
    """How a step learns that it shall stop, and reports what it sees."""

    check_stop: Callable[[], None]
    """Raises if this process is ending, the step leaves everything as it stands; or, as
    FollowFailed, if our slot had to be dropped to protect the source."""
    cancelled: Callable[[], bool]
    """Whether somebody asked to cancel; also looks at `check_stop`."""


@dataclass(frozen=True)
class Step:
    """One step; `run` returns facts for the journal."""

    name: str
    run: Callable[[Task, Control], Facts] | None
    """None: nothing to run. The body waits while it follows (synchronize), or the step
    before does both because nothing may come between them (promote)."""
    undo: Callable[[Task], None] | None = None
    no_undo: str = ""
    """Why there is no undo."""
    mendable: Callable[[LandbridgeError], bool] = lambda error: False
    """Whether a person can put right what failed: then the step waits for that."""
    attempts: int = 1
    """How often a failure that may pass is tried, each attempt from the step's beginning."""


def assess(task: Task, control: Control) -> Facts:
    """Check everything; the report goes to `assessment.json`.

    Raises AssessmentFailed if a finding of level error was not waived.
    """
    from ..assessment import assess, gather
    from .plan import destination_plan

    request = task.request
    fence_as = task.conninfo("fence_as") if request.fence_as else None
    facts = gather(task.conninfo(), destination_plan(request), fence_as=fence_as)
    control.check_stop()
    report = assess(facts)
    write_json(task.folder / "assessment.json", report.as_dict())
    standing = [f for f in report.errors if f.id not in request.waive]
    if standing:
        raise AssessmentFailed(
            "the assessment found errors: "
            + "; ".join(dict.fromkeys(f"{f.id}: {f.title}" for f in standing)),
            remedy=f"Each with the lines that repair it:\nlandbridge show {task.id}",
        )
    return {
        "errors": len(report.errors),
        "warnings": len(report.warnings),
        "waived": sorted({f.id for f in report.errors}),
    }


def copy(task: Task, control: Control) -> Facts:
    """Copy everything, adopting a copier that an earlier worker started."""
    from .copying import CopyJob

    def report(progress: CopyProgress) -> None:
        task.write_live(**(plain(progress) | {"phase": "copying", "part": progress.phase.value}))

    job = CopyJob(task)
    job.start_or_adopt()
    done = job.wait(report, control.cancelled)
    # The total was an estimate until now.
    last = {"copied": done.bytes, "total": done.bytes, "rate": 0.0, "eta": None}
    seen = {name: value for name, value in task.read_live().items() if name != "at"}
    task.write_live(**(seen | last | {"phase": "copied", "part": "copied"}))
    return dict(plain(done))


def undo_copy(task: Task) -> None:
    """End the copier, remove the copy, drop the slot."""
    from .copying import CopyJob

    if _promoted_by_hand(task):
        drop_slot_at(task.conninfo(), task.slot)
        return
    CopyJob(task).undo()
    with suppress(OSError):  # one in /tmp, where the server never came up
        task.cluster().socket_dir.rmdir()


def start(task: Task, control: Control) -> Facts:
    """Start the destination as a standby of the source."""
    from ..postgres.positions import replay_lsn
    from .standby import start_standby

    start_standby(task)
    with task.cluster().connect_warily() as conn:
        return {"replayed_lsn": plain(replay_lsn(conn))}


def _mendable_start(error: LandbridgeError) -> bool:
    """A port, a setting, a full disk, a source that is away: nothing the copy is to blame for."""
    is_server = isinstance(error, ServerFailed | ServerUnreachable)
    return is_server or error.retryable or error.id == "start.setting_refused"


def undo_start(task: Task) -> None:
    """Stop the destination and remove it."""
    from .standby import undo_standby

    if _promoted_by_hand(task):
        task.journal.note(
            "undo.promoted_by_hand",
            f"Somebody promoted the destination; {task.request.data} is left as it is,"
            " because it may hold writes of its own.",
            level="alarm",
        )
        return
    undo_standby(task)


def _promoted_by_hand(task: Task) -> bool:
    """Whether the destination, once started as a standby, is one no more."""
    ended = (e["name"] for e in task.journal.entries() if e.get("phase") == "end")
    return "start" in ended and task.cluster().left_recovery()


def follow(task: Task, stop: threading.Event, on_sample: Callable[[Sample], None]) -> None:
    """Watch the destination follow its source until `stop`."""
    from .follow import Follower

    Follower(task).run(stop, on_sample)


def guard(task: Task, stop: threading.Event) -> None:
    """Watch until `stop` that our slot does not keep too much WAL on the source."""
    from .follow import guard_slot

    guard_slot(task, stop)


def drain(task: Task, control: Control) -> Facts:
    """Compare first if that was asked for, then fence, drain and promote in one go."""
    from .switchover import switch_over

    refuse_stale(task)
    if task.request.verify == "before" and task.state is State.SYNCHRONIZING:
        orders = SwitchOrders(task)

        def check() -> None:
            control.check_stop()
            orders.check()

        _verify_before(task, check)
        _catch_up(task, check)
    return dict(plain(switch_over(task, control.check_stop)))


def _verify_before(task: Task, check: Callable[[], None]) -> None:
    from ..errors import VerificationFailed
    from .verify import verify

    check()

    def report(table: str, done: int, total: int) -> None:
        check()
        task.write_live(phase="comparing", table=table, tables_done=done, tables_total=total)

    found = verify(task, when="before", tables=None, report=report)
    if found.differences:
        raise VerificationFailed(
            f"{found.differences} differences between source and destination;"
            " the switchover was not begun",
            remedy="See verification.json in the task's folder.",
        )


def _catch_up(task: Task, check: Callable[[], None]) -> None:
    """Follow until the destination, which the comparison held back, is close again."""
    stop = threading.Event()

    def look(sample: Sample) -> None:
        check()
        if sample.caught_up:
            stop.set()

    follow(task, stop, look)


def undo_drain(task: Task) -> None:
    from .switchover import lift_leftovers

    lift_leftovers(task)


def finish(task: Task, control: Control) -> Facts:
    """Put the promoted destination in order and write the evidence."""
    from .evidence import write_evidence
    from .finish import finish
    from .switchover import switch_over

    # The switchover is over: asked again, it answers with its result.
    result = finish(task, switch_over(task))
    control.check_stop()
    path = write_evidence(task)
    return {**plain(result), "evidence": str(path)}


STEPS: tuple[Step, ...] = (
    Step("assess", assess, no_undo="nothing was changed"),
    Step("copy", copy, undo_copy, attempts=3),
    Step("start", start, undo_start, mendable=_mendable_start, attempts=3),
    Step("synchronize", None, no_undo="waiting changes nothing; the standby is start's"),
    Step("drain", drain, undo_drain),
    Step("promote", None, no_undo="drain fences, drains and promotes in one go, and undoes it"),
    Step("finish", finish, no_undo="past the point of no return", attempts=3),
)


def plain(value: Any) -> Any:
    """A value as JSON: enumerations by their value, positions and paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | float | str) or type(value) is int:
        return value
    return str(value)
