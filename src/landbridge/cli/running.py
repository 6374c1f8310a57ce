"""Works on a task in this process while a person watches, and asks for the switchover.

The work runs in a thread of its own and speaks through the task's files, so what is
shown is the same as `landbridge watch` shows from elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import SwitchoverRefused
from ..migration import worker
from ..migration.fence.manual import declare_fenced
from ..migration.states import State
from .display.details import say_fenced
from .display.follow import follow
from .display.view import View
from .guardrails import guardrails
from .interrupt import Interrupted
from .questions import confirmed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..migration.task import Task
    from .output import Output

Condition = Callable[["View"], bool]

_SWITCHING = (State.FENCING, State.DRAINED, State.PROMOTED)


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
        """Let the work stop where it stands; what runs detached goes on."""
        self.stopping.set()
        self.join()


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
    that another process works on is only shown. Raises Interrupted on Ctrl-C, and whatever
    ended the work early.
    """
    view = View(task)
    if task.is_worked_on():
        watch(view, out, until)
        return view
    work = Work(task)
    work.start()
    try:
        for question in (m for m in moments if m.is_question):
            _follow_work(view, out, work, _either(question.when, until), extra)
            if work.is_alive() and question.when(view):
                question.do(view)
        others = [m for m in moments if not m.is_question]
        _follow_work(view, out, work, _doing(others, until), extra)
    except KeyboardInterrupt:
        work.leave()
        raise _interrupted(view) from None
    if work.is_alive():
        work.leave()
    if work.error is not None:
        raise work.error
    return view


def watch(view: View, out: Output, until: Condition = lambda view: False) -> None:
    """Show a task that somebody else works on until it is over or `until(view)` holds."""
    try:
        follow(view, out, lambda v: v.is_over or until(v))
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped watching: {view.label}",
            remedy=f"Nothing was changed. Watch again: landbridge watch {view.task.id}",
        ) from None


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
    extra: Callable[[], RenderableType] | None,
) -> None:
    """Show the work until it has ended or `until` holds."""
    while True:
        try:
            return follow(view, out, lambda v: not work.is_alive() or until(v), extra=extra)
        except KeyboardInterrupt:
            view.update()
            if view.state not in _SWITCHING:
                raise
            # Leaving in the middle of it helps nobody; a second Ctrl-C lands here again.
            out.warn("the switchover is under way and ends within its time limit; waiting for it")


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
        declare_fenced(view.task)
    else:
        out.show(f"\nSay so later, from elsewhere: {say_fenced(view)}\n")


def _interrupted(view: View) -> Interrupted:
    id = view.task.id
    going_on = {
        State.ASSESSING: "Nothing was changed.",
        State.COPYING: "The copy goes on by itself; nobody looks after it.",
        State.STARTING: "The destination goes on starting; nobody looks after it.",
        State.SYNCHRONIZING: "The destination goes on following, and our slot keeps WAL on the"
        " source; nobody watches how much.",
    }.get(view.state, view.guarantee)
    return Interrupted(
        f"interrupted while: {view.label}",
        remedy=f"{going_on}\n  Go on: landbridge resume {id}    Give up: landbridge cancel {id}",
    )


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
