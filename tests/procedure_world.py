"""A world of files in which the procedure's steps are played, also by a process to be killed.

`python procedure_world.py STATE TASK` works on the task with these steps.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from landbridge.errors import LandbridgeError
from landbridge.migration import worker
from landbridge.migration.follow import Sample, refuse_spent
from landbridge.migration.procedure import Procedure
from landbridge.migration.states import State
from landbridge.migration.steps import STEPS, Control, Facts, Step
from landbridge.migration.task import Request, Task, Tasks

REQUEST = Request(
    source={"host": "127.0.0.1", "port": "1", "user": "nobody"},
    data="/nonexistent/destination",
    port=1,
    major=15,
    superuser="pgsql",
    system_identifier="1",
)


def new_task(root: Path, **options: Any) -> Task:
    return Tasks(root).create(replace(REQUEST, **options), {})


class World:
    """Steps that write down what they do, and that wait or fail when a file says so."""

    def __init__(self, task: Task) -> None:
        self.folder = task.folder / "world"
        self.folder.mkdir(exist_ok=True)
        self.failures: dict[str, list[Exception]] = {}

    @property
    def log(self) -> list[str]:
        """What was done, in order, by all processes."""
        path = self.folder / "log"
        return path.read_text().split() if path.exists() else []

    def block(self, what: str) -> None:
        (self.folder / f"block-{what}").touch()

    def unblock(self, what: str) -> None:
        (self.folder / f"block-{what}").unlink()

    def blocked(self, what: str) -> bool:
        return (self.folder / f"blocked-{what}").exists()

    @property
    def is_deaf(self) -> bool:
        """Whether what blocks hears nothing, like a call into libpq."""
        return (self.folder / "be-deaf").exists()

    def do(self, what: str, control: Control | None = None) -> None:
        with (self.folder / "log").open("a") as file:
            file.write(what + "\n")
        if failures := self.failures.get(what):
            raise failures.pop(0)
        while (self.folder / f"block-{what}").exists():
            (self.folder / f"blocked-{what}").touch()
            time.sleep(0.005)
            if control is not None and not self.is_deaf and control.cancelled():
                raise LandbridgeError("given up half-way")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The real table with every action replaced."""
        runs: dict[str, Callable[[Task, Control], Facts]] = {
            "drain": self._drain,
        }
        return tuple(
            replace(
                step,
                run=step.run and runs.get(step.name, self._run(step.name)),
                undo=step.undo and self._undo(step.name),
            )
            for step in STEPS
        )

    def _run(self, name: str) -> Callable[[Task, Control], Facts]:
        def run(task: Task, control: Control) -> Facts:
            self.do(name, control)
            return {"lsn": "0/10"}

        return run

    def _undo(self, name: str) -> Callable[[Task], None]:
        def undo(task: Task) -> None:
            self.do(f"undo-{name}")

        return undo

    def watch(self, task: Task, stop: threading.Event, on_sample: Callable[[Sample], None]) -> None:
        self.do("follow")
        if not (self.folder / "behind").exists():
            on_sample(cast(Any, SimpleNamespace(caught_up=True)))
        stop.wait()

    def guard(self, task: Task, stop: threading.Event) -> None:
        """The slot has to go as soon as the file `spent` is there."""
        while not stop.wait(0.01):
            if (self.folder / "spent").exists():
                task.journal.note("follow.wal_budget_spent", "all of it", level="alarm", kept=1)
                refuse_spent(task)

    def procedure(self, task: Task) -> Procedure:
        return Procedure(task, self.steps, self.watch, self.guard)

    def _drain(self, task: Task, control: Control) -> Facts:
        """Like the real one: enters its states itself, and looks at reality first."""
        if (self.folder / "block-drain").exists():
            self.do("drain", control)
        if task.state is not State.PROMOTED:
            for state in (State.FENCING, State.DRAINED, State.PROMOTED):
                task.journal.enter(state)
                self.do(state.value, None)
        return {"fence_lsn": "0/20"}


class Worker(threading.Thread):
    """`worker.run` beside the test, over the world's steps."""

    def __init__(self, task: Task, world: World, **options: Any) -> None:
        super().__init__(daemon=True)
        self._task, self._world, self._options = task, world, options
        self.stop = threading.Event()
        self.state: State | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.state = worker.run(
                self._task, procedure=self._world.procedure, stop=self.stop, **self._options
            )
        except BaseException as error:
            self.error = error

    def end(self, seconds: float = 60) -> State:
        """Wait until it has returned; its state, or what it raised."""
        self.join(seconds)
        assert not self.is_alive(), "the worker did not return"
        if self.error is not None:
            raise self.error
        assert self.state is not None
        return self.state


if __name__ == "__main__":
    played = Tasks(Path(sys.argv[1])).get(sys.argv[2])
    worker.run(played, procedure=World(played).procedure)
