"""The whole procedure: the durable body that drives the rows of the state table.

::

    assess -> copy -> start -> [follow, wait for an order] -> drain, promote -> finish
                                        ^                         |
                                        +------- put back --------+
    any error before the promotion, or an order to cancel: undo backwards, first error kept;
    whatever cannot be put back because the source is away: knocked for until it answers
    a start that a person can put right: the copy is kept, and the task waits for that
    after the promotion: nothing is undone; what remains is tried again until it is done

The body is run again from its beginning after a crash. Steps on record answer at
once, and everything it decides on comes from the record: results of steps and
orders received. The watching in between is not recorded; it begins again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from ..engine import Context, error_of
from ..errors import FollowFailed, LandbridgeError, MigrationCancelled, ServerUnreachable
from ..postgres.slots import drop_statement
from .fence import guard as switch_guard
from .fence.undo import ALREADY_PROMOTED, UNDO_PENDING, leave_to_guard
from .journal import now
from .notes import UNDO_BEGUN, UNDO_GIVEN_UP, UNDO_WAITING
from .orders import CANCEL, FOLLOW_FAILED, RESUME, next_order
from .states import State
from .stepping import Stepper, foreign_errors
from .steps import STEPS, Facts, Step, follow, guard
from .task import Task
from .watching import Guard, Watch, Watcher, source_awaited

#: Fact of an error entry: what waits until somebody acts (start, switchover, undo, finish).
HELD = "held"
_UNDOING = {State.CANCELLED: "Cancelling", State.FAILED: "Putting back"}
#: Ids of errors of an undo that another attempt at the same source may not meet.
_SOURCE_REFUSES = ("slot.not_dropped", UNDO_PENDING)
_IN_SWITCHOVER = (State.FENCING, State.DRAINED)


class Procedure:
    """One task's body; steps and watching are the real ones unless a test brings its own."""

    def __init__(
        self,
        task: Task,
        steps: Sequence[Step] = STEPS,
        watch: Watch = follow,
        guard: Guard = guard,
    ) -> None:
        self.task = task
        self.journal = task.journal
        self._stepper = Stepper(task, steps)
        self._watcher = Watcher(task, watch, guard)

    def migrate(self, ctx: Context, task_id: str) -> None:
        """The durable body; it ends in an end state and raises nothing."""
        try:
            with self._watcher.guarding(ctx):
                self._stepper.run(ctx, "assess")
                self._stepper.run(ctx, "copy")
                self._start(ctx)
                self._synchronize(ctx)
            promoted = True
        except LandbridgeError as error:
            promoted = self._put_away(ctx, error)
        if promoted:
            self._finish(ctx)
        ctx.step("evidence", self._write_evidence)

    def _start(self, ctx: Context) -> None:
        """Start the destination; what a person can put right is waited for, the copy kept."""
        id, mendable = self.task.id, self._stepper.steps["start"].mendable
        while True:
            try:
                self._stepper.run(ctx, "start")
                return
            except LandbridgeError as error:
                if not mendable(error):
                    raise
                error.remedy = (
                    f"{error.remedy or 'Put that right.'} The copy is kept, and the source keeps"
                    f" WAL for it. Start it then:\nlandbridge resume {id}"
                )
                since = self._hold(ctx, error, "start")
            order = next_order(ctx, since, always=(CANCEL, FOLLOW_FAILED))
            self._refuse_to_go_on(order, "cancelled before the destination could be started")

    def _refuse_to_go_on(self, order: Facts, cancelled: str) -> None:
        """Raise MigrationCancelled, or what ended the following, where that is the order."""
        if order["order"] == CANCEL:
            raise MigrationCancelled(cancelled)
        if order["order"] == FOLLOW_FAILED:
            raise error_of(order["error"])

    def _synchronize(self, ctx: Context) -> None:
        """Follow and wait for orders; returns when the destination has been promoted."""
        since, tries = "", 0
        error: LandbridgeError | None
        while True:
            tries = tries + 1 if self.task.state in _IN_SWITCHOVER else 0
            with self._following(ctx, tries):
                order = next_order(ctx, since, always=(CANCEL, FOLLOW_FAILED))
            self._refuse_to_go_on(order, "cancelled while synchronizing")
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

    def _following(self, ctx: Context, tries: int) -> AbstractContextManager[None]:
        """What is done while an order is waited for; `tries` to put the source back failed."""
        if tries:
            return source_awaited(self.task, ctx, "waiting for the source, to put it back", tries)
        return self._watcher.watching(ctx)

    def _put_back(
        self, ctx: Context, error: LandbridgeError | None, since: str
    ) -> tuple[bool, str]:
        """See to it that a switchover that did not happen has left nothing behind.

        Returns whether it did happen after all, and since when orders count. Raises `error`
        where the destination cannot follow any more.
        """
        try:
            promoted: bool = ctx.step("put back", partial(self._settle, error))
        except LandbridgeError as undo_error:
            # Tried again as soon as the source answers; the guard tries as well.
            promoted, error = False, undo_error
        if isinstance(error, FollowFailed) and not promoted:
            raise error
        if error is not None and not promoted:
            since = self._hold(ctx, error, "switchover")
        return promoted, since

    def _settle(self, error: LandbridgeError | None) -> bool:
        if error is not None and error.id == UNDO_PENDING:
            raise error  # that was tried just now, for up to 40 s
        if self.task.state is State.PROMOTED:
            return True
        undo = self._stepper.steps["drain"].undo
        if self.task.state in _IN_SWITCHOVER and undo is not None:
            try:
                with foreign_errors("drain"):
                    undo(self.task)
            except LandbridgeError as problem:
                if problem.id != ALREADY_PROMOTED:
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

        An undo that needs a source that is away is tried again as soon as that answers, any
        other when somebody resumes the task; cancelling it then tries once more, and gives
        up what cannot be undone. Returns True, and has ended nothing, when the destination
        turns out to be promoted.
        """
        end = State.CANCELLED if isinstance(error, MigrationCancelled) else State.FAILED
        if end is State.FAILED:
            ctx.step("first error", partial(self._record, error, {}))
        ctx.step("begin undo", partial(self._say_undoing, end))
        try:
            self._undo_all(ctx, end)
        except LandbridgeError:
            ctx.step("go forward", self._go_forward)
            return True
        ctx.step("end", partial(self._end, end))
        return False

    def _undo_all(self, ctx: Context, end: State) -> None:
        """Undo until nothing is left, or until somebody gives up what is."""
        since, tries = "", 0
        while (left := self._stepper.undo(ctx)) is not None:
            is_away = isinstance(left, ServerUnreachable) or left.id in _SOURCE_REFUSES
            waiting = f"waiting for the source to drop slot {self.task.slot}"
            if is_away:
                say = partial(self._say_waiting, left, end, waiting)
                moment: str = ctx.step("await undo", say)
            else:
                moment = self._hold(ctx, left, "undo")
            # Of the first wait: somebody may give up while it is being tried again.
            since, tries = since or moment, tries + 1
            with source_awaited(self.task, ctx, waiting, tries) if is_away else nullcontext():
                order = next_order(ctx, since)
            if order["order"] == CANCEL:
                if (left := self._stepper.undo(ctx)) is not None:
                    ctx.step("give up", partial(self._give_up, left))
                return

    def _say_undoing(self, end: State) -> None:
        text = f"{_UNDOING[end]}: what was begun is put back."
        self.journal.note(UNDO_BEGUN, text)

    def _say_waiting(self, left: LandbridgeError, end: State, waiting: str) -> str:
        """Note what is waited for, unless that was the last note; returns the moment before.

        Who reads the note may give up at once.
        """
        moment = now()
        text = (
            f"{_UNDOING[end]}: {waiting} ({left.message}). It is tried again by itself."
            f" `landbridge cancel {self.task.id}` gives the slot up."
        )
        notes = [e for e in self.journal.entries() if e["kind"] == "note"]
        if not any(e["id"] == UNDO_WAITING and e["text"] == text for e in notes[-1:]):
            self.journal.note(
                UNDO_WAITING, text, level="warning", waiting=f"{_UNDOING[end]}: {waiting}",
                slot=self.task.slot, statement=drop_statement(self.task.slot),
            )  # fmt: skip
        return moment

    def _record(self, error: LandbridgeError, more: Facts) -> str:
        return str(self.journal.append("error", **error.as_dict(), **more)["at"])

    def _give_up(self, left: LandbridgeError) -> None:
        self.journal.note(
            UNDO_GIVEN_UP,
            f"Not everything could be put back: {left.message}. If the slot"
            f" {self.task.slot} is still on the source, it keeps WAL there until somebody runs:"
            f" {drop_statement(self.task.slot)}",
            level="alarm",
            slot=self.task.slot,
            statement=drop_statement(self.task.slot),
        )

    def _end(self, state: State) -> None:
        left = leave_to_guard(self.task)
        if not left:
            self.task.remove_secrets()
        self.journal.enter(state)
        if left:
            switch_guard.start(self.task, wait=False)

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
