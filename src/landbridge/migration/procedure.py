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

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg

from ..engine import Context, error_of, facts_of
from ..errors import FollowFailed, LandbridgeError, MigrationCancelled
from ..postgres.process import wait_until
from .journal import now
from .states import TABLE, State
from .steps import STEPS, Control, Facts, Step
from .task import Task

#: Topic of everything that people, and the watching, send to the body.
ORDERS = "orders"
SWITCHOVER, CANCEL, RESUME, FOLLOW_FAILED = "switchover", "cancel", "resume", "follow_failed"
#: Fact of an error entry: what waits until somebody acts (switchover, undo, finish).
HELD = "held"

_CANCELLABLE = (State.ASSESSING, State.COPYING, State.STARTING, State.SYNCHRONIZING)
_IN_SWITCHOVER = (State.FENCING, State.DRAINED)
#: Seconds a source may be away between two attempts of a step.
_SOURCE_AWAY = 60.0
#: Seconds between two attempts to watch, after a defect in the watching.
_WATCH_AGAIN = 5.0


def cancel_asked(task: Task) -> bool:
    """Whether somebody asked to cancel the task."""
    return any(e["kind"] == "signal" and e["name"] == CANCEL for e in task.journal.entries())


class Procedure:
    """One task's body; `steps` are the real ones unless a test brings its own."""

    def __init__(self, task: Task, steps: Sequence[Step] = STEPS) -> None:
        self.task = task
        self.journal = task.journal
        self._steps = {step.name: step for step in steps}
        self._asked = False

    def migrate(self, ctx: Context, task_id: str) -> None:
        """The durable body; it ends in an end state and raises nothing."""
        try:
            for name in ("assess", "copy", "start"):
                self._run(ctx, name)
            self._synchronize(ctx)
        except LandbridgeError as error:
            self._put_away(ctx, error)
        else:
            self._finish(ctx)
        ctx.step("evidence", self._write_evidence)

    # Running a step

    def _run(self, ctx: Context, name: str) -> Facts:
        """Run a step durably, again if its failure may pass; raises the first error."""
        step = self._steps[name]
        first: LandbridgeError | None = None
        for attempt in range(1, step.attempts + 1):
            try:
                facts: Facts = ctx.step(name, partial(self._attempt, ctx, step))
                return facts
            except MigrationCancelled:
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
        self._refuse_if_cancelled(step)
        self.journal.append("step", name=step.name, phase="begin")
        try:
            with _foreign_errors(step.name):
                facts = step.run(self.task, self._control(ctx))
        except LandbridgeError as error:
            self.journal.append("step", name=step.name, phase="failed", error=facts_of(error))
            self._refuse_if_cancelled(step)
            raise
        self.journal.append("step", name=step.name, phase="end", **facts)
        if step.name != "drain":  # the switchover enters its states itself
            self._advance(next(row.next[0] for row in TABLE if row.step == step.name))
        return facts

    def _refuse_if_cancelled(self, step: Step) -> None:
        """Raise MigrationCancelled, unless the switchover must say first how far it came."""
        if self.task.state in _CANCELLABLE and cancel_asked(self.task):
            raise MigrationCancelled(f"cancelled in the step {step.name!r}")

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
        try:
            self.task.conninfo().connect(connect_timeout=2).close()
        except LandbridgeError:
            return cancel_asked(self.task)
        return True

    def _control(self, ctx: Context, stop: threading.Event | None = None) -> Control:
        def cancelled() -> bool:
            ctx.check_stop()
            return cancel_asked(self.task)

        return Control(
            check_stop=ctx.check_stop,
            cancelled=cancelled,
            stop=stop or threading.Event(),
            on_sample=lambda sample: self._on_sample(ctx, sample.caught_up),
        )

    # Synchronizing

    def _synchronize(self, ctx: Context) -> None:
        """Follow and wait for orders; returns when the destination has been promoted."""
        since = ""
        error: LandbridgeError | None
        while True:
            order = self._next_order(ctx, since)
            if order["order"] == CANCEL:
                raise MigrationCancelled("cancelled while synchronizing")
            if order["order"] == FOLLOW_FAILED:
                raise error_of(order["error"])
            if order["order"] == RESUME:
                error = None
            else:
                try:
                    self._run(ctx, "drain")
                    return
                except MigrationCancelled:
                    raise
                except LandbridgeError as failure:
                    error = failure
            promoted, since = self._put_back(ctx, error, since)
            if promoted:
                return

    def _next_order(self, ctx: Context, since: str) -> dict[str, Any]:
        """The next order given after `since`; an order to cancel is never out of date."""
        with self._following(ctx):
            while True:
                order: dict[str, Any] = ctx.wait_signal(ORDERS)
                if order["at"] > since or order["order"] == CANCEL:
                    return order

    @contextmanager
    def _following(self, ctx: Context) -> Iterator[None]:
        """Watch while waiting; not while the record is replayed past this point."""
        if self.task.state is not State.SYNCHRONIZING:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self._follow, args=(ctx, stop), name="follow")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _follow(self, ctx: Context, stop: threading.Event) -> None:
        """Watch until `stop`; only a FollowFailed ends the migration."""
        run = self._steps["synchronize"].run
        assert run is not None
        told = False
        while not stop.is_set():
            try:
                with _foreign_errors("follow"):
                    run(self.task, self._control(ctx, stop))
                return
            except FollowFailed as error:
                self._order(ctx, FOLLOW_FAILED, error=facts_of(error))
                return
            except LandbridgeError as error:
                if not told:
                    self.journal.note("follow.interrupted", error.message, level="alarm")
            except Exception:
                logging.getLogger("dbos").exception("the watching failed")
                if not told:
                    text = "The watching failed by a defect of ours and is begun again."
                    self.journal.note("follow.defect", text, level="alarm")
            told = True
            stop.wait(_WATCH_AGAIN)

    def _on_sample(self, ctx: Context, caught_up: bool) -> None:
        if caught_up and self.task.request.switchover == "auto" and not self._asked:
            self._asked = True
            entry = self.journal.append("signal", name=SWITCHOVER, by="auto")
            self._order(ctx, SWITCHOVER, at=entry["at"])

    def _order(self, ctx: Context, order: str, **facts: Any) -> None:
        ctx.signal(ORDERS, {"order": order, "at": now(), **facts})

    # Putting back

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
        undo = self._steps["drain"].undo
        if self.task.state in _IN_SWITCHOVER and undo is not None:
            with _foreign_errors("drain"):
                undo(self.task)
            self.journal.enter(State.SYNCHRONIZING)
        return False

    def _hold(self, ctx: Context, error: LandbridgeError, what: str) -> str:
        """Record that `what` waits until somebody acts; returns the moment."""
        return str(ctx.step("hold", partial(self._record, error, {HELD: what})))

    def _wait_after(self, ctx: Context, moment: str) -> dict[str, Any]:
        """The next order given after `moment`."""
        while True:
            order: dict[str, Any] = ctx.wait_signal(ORDERS)
            if order["at"] > moment:
                return order

    def _put_away(self, ctx: Context, error: LandbridgeError) -> None:
        """Undo every step that was begun, backwards, and end as cancelled or failed.

        An undo that fails is tried again when somebody resumes the task; cancelling it
        once more gives up what cannot be undone.
        """
        end = State.CANCELLED if isinstance(error, MigrationCancelled) else State.FAILED
        if end is State.FAILED:
            ctx.step("first error", partial(self._record, error, {}))
        while (left := self._undo(ctx)) is not None:
            order = self._wait_after(ctx, self._hold(ctx, left, "undo"))
            if order["order"] == CANCEL:
                break
        ctx.step("end", partial(self._end, end))

    def _record(self, error: LandbridgeError, more: Facts) -> str:
        facts: Facts = {**error.as_dict(), **more}
        return str(self.journal.append("error", **facts)["at"])

    def _end(self, state: State) -> None:
        self.task.remove_secrets()
        self.journal.enter(state)

    def _undo(self, ctx: Context) -> LandbridgeError | None:
        """Undo all that was begun; the first error of an undo, or None."""
        first: LandbridgeError | None = None
        for step in reversed(self._steps.values()):
            if step.undo is None:
                continue
            try:
                ctx.step(f"undo {step.name}", partial(self._undo_step, step))
            except LandbridgeError as error:
                first = first or error
        return first

    def _undo_step(self, step: Step) -> None:
        begun = [e for e in self.journal.entries() if e["kind"] == "step"]
        if not any(e["name"] == step.name and e["phase"] == "begin" for e in begun):
            return
        assert step.undo is not None
        with _foreign_errors(f"undo {step.name}"):
            step.undo(self.task)
        self.journal.append("step", name=step.name, phase="undone")

    # After the promotion

    def _finish(self, ctx: Context) -> None:
        while True:
            try:
                self._run(ctx, "finish")
                return
            except LandbridgeError as error:
                self._wait_after(ctx, self._hold(ctx, error, "finish"))

    def _write_evidence(self) -> None:
        """The evidence once more, now that the end itself is in the journal."""
        from .evidence import write_evidence

        with _foreign_errors("evidence"):
            write_evidence(self.task)


@contextmanager
def _foreign_errors(where: str) -> Iterator[None]:
    """A server that broke off, or a file that cannot be written, as an error of ours."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        text = " ".join(str(error).split())
        raise LandbridgeError(
            f"{where}: {text or type(error).__name__}", id=f"{where}.interrupted", retryable=True
        ) from error
