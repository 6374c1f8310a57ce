"""Running one step durably, and undoing it: journalled, cancellable, tried again."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg

from ..engine import Context, facts_of
from ..errors import FollowFailed, LandbridgeError, MigrationCancelled
from ..postgres.process import wait_until
from ..postgres.units import size
from .fence.undo import ALREADY_PROMOTED
from .orders import cancel_asked
from .states import TABLE, State
from .steps import Control, Facts, Step
from .task import Task

_CANCELLABLE = (State.ASSESSING, State.COPYING, State.STARTING, State.SYNCHRONIZING)
#: Seconds a source may be away between two attempts of a step.
_SOURCE_AWAY = 60.0


class Stepper:
    """The steps of one task, run from its durable body."""

    def __init__(self, task: Task, steps: Sequence[Step]) -> None:
        self.task = task
        self.journal = task.journal
        self.steps = {step.name: step for step in steps}

    def run(self, ctx: Context, name: str) -> Facts:
        """Run a step durably, again if its failure may pass; raises the first error."""
        step = self.steps[name]
        first: LandbridgeError | None = None
        for attempt in range(1, step.attempts + 1):
            try:
                facts: Facts = ctx.step(name, partial(self._attempt, ctx, step))
                return facts
            except (MigrationCancelled, FollowFailed):
                raise
            except LandbridgeError as error:
                first = first or error
                if attempt == step.attempts or not error.retryable:
                    break
                self._before_retry(ctx, name, error)
        assert first is not None
        raise first

    def _attempt(self, ctx: Context, step: Step) -> Facts:
        assert step.run is not None
        self._refuse_if_over(step)
        self.journal.append("step", name=step.name, phase="begin")
        try:
            with foreign_errors(step.name):
                facts = step.run(self.task, control(self.task, ctx))
        except LandbridgeError as error:
            self.journal.append("step", name=step.name, phase="failed", error=facts_of(error))
            self._refuse_if_over(step)
            raise
        self.journal.append("step", name=step.name, phase="end", **facts)
        if step.name != "drain":  # the switchover enters its states itself
            self._advance(next(row.next[0] for row in TABLE if row.step == step.name))
        return facts

    def _refuse_if_over(self, step: Step) -> None:
        """Raise MigrationCancelled, or FollowFailed once the slot was dropped for the source.

        Unless the switchover must say first how far it came.
        """
        if self.task.state in _CANCELLABLE:
            if cancel_asked(self.task):
                raise MigrationCancelled(f"cancelled in the step {step.name!r}")
            _refuse_spent(self.task)

    def _advance(self, state: State) -> None:
        """Enter a state, but never one that lies behind: a step may run again."""
        order = list(State)
        if order.index(self.task.state) < order.index(state):
            self.journal.enter(state)

    def _before_retry(self, ctx: Context, name: str, error: LandbridgeError) -> None:
        """Say that there will be another attempt, and wait until the source answers."""

        def wait() -> None:
            self.journal.note(
                f"{name}.retried", f"{error.message}; it is tried again", level="warning"
            )
            wait_until(lambda: self._source_answers(ctx), _SOURCE_AWAY, every=0.5)

        ctx.step(f"retry {name}", wait)

    def _source_answers(self, ctx: Context) -> bool:
        ctx.check_stop()
        return source_answers(self.task) or cancel_asked(self.task)

    def undo(self, ctx: Context) -> LandbridgeError | None:
        """Undo all that was begun; the first error of an undo, or None.

        Raises LandbridgeError (switchover.promoted) when there is no way back.
        """
        first: LandbridgeError | None = None
        for step in reversed(self.steps.values()):
            if step.undo is None:
                continue
            try:
                ctx.step(f"undo {step.name}", partial(self._undo_step, step))
            except LandbridgeError as error:
                if error.id == ALREADY_PROMOTED:
                    raise
                first = first or error
        return first

    def _undo_step(self, step: Step) -> None:
        begun = [e for e in self.journal.entries() if e["kind"] == "step"]
        if not any(e["name"] == step.name and e["phase"] == "begin" for e in begun):
            return
        assert step.undo is not None
        with foreign_errors(f"undo.{step.name}"):
            step.undo(self.task)
        self.journal.append("step", name=step.name, phase="undone")


def control(task: Task, ctx: Context) -> Control:
    """What a step sees of this process and of the people who want something of it."""

    def check_stop() -> None:
        ctx.check_stop()
        _refuse_spent(task)

    def cancelled() -> bool:
        check_stop()
        return cancel_asked(task)

    return Control(check_stop=check_stop, cancelled=cancelled)


def _refuse_spent(task: Task) -> None:
    from .follow import refuse_spent

    refuse_spent(task)


def source_answers(task: Task) -> bool:
    """Whether the source takes a connection of ours within two seconds."""
    try:
        task.conninfo().connect(connect_timeout=2).close()
    except LandbridgeError:
        return False
    return True


def said_by_system(error: OSError) -> str:
    """The system's words, of which file, and how much room is left where none is.

    >>> said_by_system(OSError(13, "Permission denied", "/srv/x"))
    'Permission denied: /srv/x'
    """
    words = error.strerror or str(error) or type(error).__name__
    if not error.filename:
        return words
    words += f": {error.filename}"
    if error.errno == errno.ENOSPC:
        with suppress(OSError):
            free = shutil.disk_usage(Path(error.filename).parent).free
            words += f" ({size(free)} free there)"
    return words


@contextmanager
def foreign_errors(where: str) -> Iterator[None]:
    """A server that broke off, or a file that cannot be written, as an error of ours."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        text = said_by_system(error) if isinstance(error, OSError) else " ".join(str(error).split())
        raise LandbridgeError(
            f"{where}: {text or type(error).__name__}", id=f"{where}.interrupted", retryable=True
        ) from error
