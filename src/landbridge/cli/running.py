"""Works on a task in this process while a person watches, and asks for the switchover.

The work runs in a thread of its own and speaks through the task's files, so what is
shown is the same as `landbridge watch` shows from elsewhere.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import LandbridgeError, SwitchoverRefused
from ..migration import worker
from ..migration.states import State
from .display.details import say_fenced
from .display.follow import follow
from .display.view import View
from .guardrails import guardrails
from .interrupt import broken_off, looked_away
from .output import OutputFailed
from .questions import confirmed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..migration.task import Task
    from .output import Output

Condition = Callable[["View"], bool]

#: Seconds without a worker after which none is expected any more.
_TAKEN_UP_WITHIN = 1.0
#: Seconds between two looks at work that may not be left yet.
_LOOK = 0.1


@dataclass(frozen=True)
class Moment:
    """Something to do in the middle of the work."""

    when: Condition
    do: Callable[[View], None]
    is_question: bool = False
    """Whether the picture stands still while it is done."""


class Work(threading.Thread):
    """`worker.run` in a thread; what it raised is kept for the one who waits."""

    def __init__(self, task: Task) -> None:
        super().__init__(daemon=True, name=f"work-{task.id}")
        self.task = task
        self.stopping = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            worker.run(self.task, stop=self.stopping)
        except BaseException as error:
            self.error = error

    def leave(self) -> None:
        """Let the work stop where it stands; what runs detached goes on.

        What comes to no stopping point in time is left running: it ends with the process.
        """
        self.stopping.set()
        while self.is_alive() and not worker.may_be_cut_off(self.task):
            self.join(_LOOK)
        self.join(worker.GRACE)


def run_here(
    task: Task,
    out: Output,
    *,
    moments: Sequence[Moment] = (),
    until: Condition = lambda view: False,
    extra: Callable[[], RenderableType] | None = None,
) -> View:
    """Work on the task, showing it, until there is no more to do or `until(view)` holds.

    The moments are waited for one after the other, those that are questions first. A task
    that another process works on is only shown. Raises Interrupted on Ctrl-C, before which
    a switchover is put back, and whatever ended the work early.
    """
    view = View(task)
    if task.is_worked_on():
        watch(view, out, until)
        return view
    work = Work(task)
    # Suspended with Ctrl-Z it would leave a source fenced, or its WAL unwatched.
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    work.start()
    try:
        for question in (m for m in moments if m.is_question):
            _follow_work(view, out, work, _either(question.when, until), extra)
            if work.is_alive() and question.when(view):
                question.do(view)
        others = [m for m in moments if not m.is_question]
        _follow_work(view, out, work, _doing(others, until), extra)
    except KeyboardInterrupt:
        _break_off(view, out, work)
        if not view.is_over:
            raise broken_off(view) from None
    except OutputFailed as unseen:  # nobody sees any more what is done
        _break_off(view, out, work)
        unseen.remedy = broken_off(view).remedy
        raise
    except BaseException:
        work.leave()
        raise
    if work.is_alive():
        work.leave()
    if work.error is not None:
        raise work.error
    return view


def watch(view: View, out: Output, until: Condition = lambda view: False) -> None:
    """Show a task that somebody else works on until it is over or `until(view)` holds.

    Raises Interrupted on Ctrl-C, and LandbridgeError (worker.gone) as soon as nobody works
    on it any more.
    """
    gone = Absence(view.task)
    try:
        follow(view, out, lambda v: v.is_over or until(v) or gone.is_certain())
    except KeyboardInterrupt:
        view.update()
        raise looked_away(view) from None
    if view.is_over or until(view):
        return
    meanwhile = ""
    if view.state is not State.PROMOTED and (at := view.put_back_at) is not None:
        meanwhile = (
            f"\nUnless somebody does, the guard puts the source back at {at.astimezone():%H:%M:%S}."
        )
    raise LandbridgeError(
        f"nobody works on task {view.task.id} any more: {view.label}",
        id="worker.gone",
        remedy=f"{view.guarantee}\nGo on: landbridge resume {view.task.id}{meanwhile}",
    )


class Absence:
    """Whether nobody works on a task: seen for a second, in which the next may take it up."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._since: float | None = None

    def is_certain(self) -> bool:
        """Whether nobody has worked on it for a second of looking."""
        if self._task.is_worked_on():
            self._since = None
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since > _TAKEN_UP_WITHIN


def _either(one: Condition, other: Condition) -> Condition:
    return lambda view: one(view) or other(view)


def _doing(moments: list[Moment], until: Condition) -> Condition:
    """`until`, doing what the next moment wants as soon as it has come."""

    def look(view: View) -> bool:
        if moments and moments[0].when(view):
            moments.pop(0).do(view)
        return until(view)

    return look


def _follow_work(
    view: View,
    out: Output,
    work: Work,
    until: Condition,
    extra: Callable[[], RenderableType] | None = None,
) -> None:
    """Show the work until it has ended or `until` holds."""
    follow(view, out, lambda v: not work.is_alive() or until(v), extra=extra)


def _break_off(view: View, out: Output, work: Work) -> None:
    """Have a switchover put back, then let the work stop where it stands.

    One that cannot be put back yet, because the source is away, is left to the guard.
    """
    view.update()
    while view.is_switching and view.held is None and work.is_alive():
        try:
            worker.request_undo(view.task)
            out.warn("putting the switchover back")
        except LandbridgeError as error:
            if error.id != "switchover.too_late":
                break
            out.warn("too late to put back, the destination is promoted: waiting for the end")
        # A second Ctrl-C says so again: leaving in the middle of it helps nobody.
        with contextlib.suppress(KeyboardInterrupt):
            _follow_work(view, out, work, lambda v: v.is_over or v.held is not None)
        view.update()
    work.leave()
    view.update()


def is_ready(view: View) -> bool:
    """Whether the destination follows closely enough to switch over."""
    return view.state is State.SYNCHRONIZING and bool(view.live.get("caught_up"))


def asking(out: Output) -> Moment:
    """Once caught up, ask for the switchover."""
    return Moment(is_ready, lambda view: _ask(view, out), is_question=True)


def fencing(out: Output) -> Moment:
    """Once the statements of a manual fence are shown, ask whether they were run."""
    return Moment(
        lambda view: bool(view.awaited),
        lambda view: _ask_fenced(view, out),
        is_question=True,
    )


def _ask(view: View, out: Output) -> None:
    """Show the guardrails and ask for the word; what is not asked for can be, later."""
    try:
        guardrails(view.task, out)
        if confirmed(out, "Switch over now?", "switch"):
            worker.request_switchover(view.task)
            return
    except SwitchoverRefused as error:
        out.error(error)
    later = f"landbridge switchover {view.task.id}"
    out.show(f"\nThe destination keeps following. Switch over later, from elsewhere: {later}\n")


def _ask_fenced(view: View, out: Output) -> None:
    if confirmed(out, "Is the source fenced?", "fenced"):
        worker.declare_fenced(view.task)
    else:
        out.show(f"\nSay so later, from elsewhere: {say_fenced(view)}\n")


def run_detached(task: Task, out: Output) -> int:
    """Leave the work to a process of its own, and say how to follow it."""
    worker.detach(task)
    view = View(task)
    view.update()
    out.result(
        view.as_dict(),
        f"{task.id} goes on in the background. Follow it with: landbridge watch {task.id}",
    )
    return 0
