"""A process is stopped at a line of a migration's journal: nothing depends on who is faster.

`python halting.py TASK LINE PID WORK` works on the task, or switches it over; at the first line
with that text it stops the process PID, where 0 is itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from landbridge.migration import worker
from landbridge.migration.journal import Journal
from landbridge.migration.switchover import switch_over
from landbridge.migration.task import Task
from landbridge.postgres.process import wait_until

#: The line before the source is told to refuse writes; what clients do not notice is done.
CLOSE = '"name": "close"'


@contextmanager
def stopping(pid: int, line: str = CLOSE) -> Iterator[None]:
    """Stop a process when we, in this process, have written that line; it goes on after the block.

    Lines are as json.dumps writes them.
    """
    append = Journal.append

    def and_stop(journal: Journal, kind: str, *, durable: bool = True, **facts: Any) -> Any:
        entry = append(journal, kind, durable=durable, **facts)
        if line in json.dumps(entry, default=str):
            os.kill(pid or os.getpid(), signal.SIGSTOP)
        return entry

    Journal.append = and_stop  # type: ignore[method-assign]
    try:
        yield
    finally:
        Journal.append = append  # type: ignore[method-assign]
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def begin_until(
    task: Task, line: str, pid: int = 0, work: str = "switch"
) -> subprocess.Popen[bytes]:
    """A process of its own that has written the line, and stopped `pid`.

    It switches over, or does all the `work` that the task needs.
    """
    process = subprocess.Popen(
        [sys.executable, __file__, task.folder, line, str(pid), work], stderr=subprocess.DEVNULL
    )
    try:
        halted = pid or process.pid
        assert wait_until(lambda: is_stopped(halted) or process.poll() is not None, 180)
        assert is_stopped(halted), task.journal.path.read_text()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


if __name__ == "__main__":
    with stopping(int(sys.argv[3]), sys.argv[2]):
        {"switch": switch_over, "work": worker.run}[sys.argv[4]](Task(Path(sys.argv[1])))
