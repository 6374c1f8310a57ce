"""The whole procedure: the durable body that drives the rows of the state table.

::

    assess -> copy -> start -> [follow, wait for an order] -> drain, promote -> finish
                                        ^                         |
                                        +------- put back --------+
    any error before the promotion, or an order to cancel: undo backwards, first error kept
    after the promotion: nothing is undone; what remains is tried again until it is done

The body is run again from its beginning after a crash. Steps on record answer at
once, and everything it decides on comes from the record: results of steps and
orders received. The watching in between is not recorded; it begins again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..engine import Context, error_of
from ..errors import LandbridgeError, MigrationCancelled
from . import guard
from .fence.undo import PROMOTED, leave_to_guard
from .orders import CANCEL, FOLLOW_FAILED, RESUME, next_order
from .states import State
from .stepping import Stepper, foreign_errors
from .steps import STEPS, Facts, Step, follow
from .task import Task
from .watching import Watch, Watcher

#: Fact of an error entry: what waits until somebody acts (switchover, undo, finish).
HELD = "held"
_IN_SWITCHOVER = (State.FENCING, State.DRAINED)


class Procedure:
    """One task's body; steps and watching are the real ones unless a test brings its own."""

    def __init__(self, task: Task, steps: Sequence[Step] = STEPS, watch: Watch = follow) -> None:
        self.task = task
        self.journal = task.journal
        self._stepper = Stepper(task, steps)
        self._watcher = Watcher(task, watch)

    def migrate(self, ctx: Context, task_id: str) -> None:
        """The durable body; it ends in an end state and raises nothing."""
        try:
            for name in ("assess", "copy", "start"):
                self._stepper.run(ctx, name)
            self._synchronize(ctx)
            promoted = True
        except LandbridgeError as error:
            promoted = self._put_away(ctx, error)
        if promoted:
            self._finish(ctx)
        ctx.step("evidence", self._write_evidence)

    def _synchronize(self, ctx: Context) -> None:
        """Follow and wait for orders; returns when the destination has been promoted."""
        since = ""
        error: LandbridgeError | None
        while True:
            with self._watcher.watching(ctx):
                order = next_order(ctx, since, always=(CANCEL,))
            if order["order"] == CANCEL:
                raise MigrationCancelled("cancelled while synchronizing")
            if order["order"] == FOLLOW_FAILED:
                raise error_of(order["error"])
            if order["order"] == RESUME:
                error = None
            else:
                try:
                    self._stepper.run(ctx, "drain")
                    return
                except MigrationCancelled:
                    raise
                except LandbridgeError as failure:
                    error = failure
            promoted, since = self._put_back(ctx, error, since)
            if promoted:
                return

    def _put_back(
        self, ctx: Context, error: LandbridgeError | None, since: str
    ) -> tuple[bool, str]:
        """See to it that a switchover that did not happen has left nothing behind.

        Returns whether it did happen after all, and since when orders count.
        """
        try:
            promoted: bool = ctx.step("put back", self._settle)
        except LandbridgeError as undo_error:
            # The guard lifts the fence at its deadline; the next order looks again.
            promoted, error = False, undo_error
        if error is not None and not promoted:
            since = self._hold(ctx, error, "switchover")
        return promoted, since

    def _settle(self) -> bool:
        if self.task.state is State.PROMOTED:
            return True
        undo = self._stepper.steps["drain"].undo
        if self.task.state in _IN_SWITCHOVER and undo is not None:
            try:
                with foreign_errors("drain"):
                    undo(self.task)
            except LandbridgeError as error:
                if error.id != PROMOTED:
                    raise
                self._go_forward()
                return True
            self.journal.enter(State.SYNCHRONIZING)
        return False

    def _go_forward(self) -> None:
        """The destination is promoted, though the switchover did not live to say so."""
        self.journal.enter(State.PROMOTED)

    def _hold(self, ctx: Context, error: LandbridgeError, what: str) -> str:
        """Record that `what` waits until somebody acts; returns the moment."""
        return str(ctx.step("hold", partial(self._record, error, {HELD: what})))

    def _put_away(self, ctx: Context, error: LandbridgeError) -> bool:
        """Undo every step that was begun, backwards, and end as cancelled or failed.

        An undo that fails is tried again when somebody resumes the task; cancelling it
        tries once more, and gives up what cannot be undone then. Returns True, and has
        ended nothing, when the destination turns out to be promoted.
        """
        end = State.CANCELLED if isinstance(error, MigrationCancelled) else State.FAILED
        if end is State.FAILED:
            ctx.step("first error", partial(self._record, error, {}))
        try:
            while (left := self._stepper.undo(ctx)) is not None:
                order = next_order(ctx, self._hold(ctx, left, "undo"))
                if order["order"] == CANCEL:
                    if (left := self._stepper.undo(ctx)) is not None:
                        ctx.step("give up", partial(self._give_up, left))
                    break
        except LandbridgeError:
            ctx.step("go forward", self._go_forward)
            return True
        ctx.step("end", partial(self._end, end))
        return False

    def _record(self, error: LandbridgeError, more: Facts) -> str:
        return str(self.journal.append("error", **error.as_dict(), **more)["at"])

    def _give_up(self, left: LandbridgeError) -> None:
        self.journal.note(
            "undo.given_up",
            f"Not everything could be put back: {left.message}. Look on the source for our slot,"
            " which keeps WAL there until it is dropped:"
            f" SELECT pg_drop_replication_slot('{self.task.slot}');",
            level="alarm",
        )

    def _end(self, state: State) -> None:
        left = leave_to_guard(self.task)
        if not left:
            self.task.remove_secrets()
        self.journal.enter(state)
        if left:
            guard.start(self.task, wait=False)

    def _finish(self, ctx: Context) -> None:
        """Try until it is done; nothing is undone any more."""
        while True:
            try:
                self._stepper.run(ctx, "finish")
                return
            except LandbridgeError as error:
                next_order(ctx, self._hold(ctx, error, "finish"))

    def _write_evidence(self) -> None:
        """The evidence once more, now that the end itself is in the journal."""
        from .evidence import write_evidence

        try:
            with foreign_errors("evidence"):
                write_evidence(self.task)
        except LandbridgeError as error:
            self.journal.note("evidence.not_written", error.message, level="alarm")
