"""Keeps the standby alive and replaying, without ever holding up the watching."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import psycopg

from ...errors import LandbridgeError
from ...postgres.hotstandby import hot_standby_parameters
from ..standby import configuration
from ..standby.hold import is_held, left_held, release
from ..standby.lifecycle import dbname, raise_floors, reconfigure
from ..standby.settings import keep_subscriptions_still
from ..task import Task
from .local import LocalView, is_gone

#: Seconds before each further attempt to start a standby that died; the last one repeats.
_DELAYS = (0.0, 1.0, 2.0, 5.0, 10.0)
#: Up for so long, a standby counts as healthy again and its attempts begin anew.
_HEALTHY_AFTER = 60.0
#: Bytes at the end of the log in which the reason is looked for.
_LOG_TAIL = 8192
#: Seconds between two looks at the source's parameters while somebody has paused the replay.
_LOOK_AGAIN = 5.0


class Supervisor:
    """Repairs run one at a time on a thread of their own; what they did is in the journal."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._cluster = task.cluster()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="repair")
        self._job: Future[None] | None = None
        self._attempts = 0
        self._next_attempt = 0.0
        self._up_since: float | None = None
        self._log_when_up = self._log_size()
        self._noted: set[str] = set()
        self._next_unpause = 0.0
        self.paused: str | None = None
        """Why the standby does not replay."""

    def look(self, local: LocalView | None) -> None:
        """Begin the repair that this view of the standby calls for."""
        if self._job is not None and not self._job.done():
            return
        self._collect()
        if is_held(self._task):
            self.paused = "the destination is being verified" if local and local.paused else None
        elif left_held(self._task):
            self._begin(partial(release, self._task))
        elif local is None:
            self._up_since = None
            if self._cluster.process() is None and time.monotonic() >= self._next_attempt:
                self._revive()
        elif local.paused:
            if time.monotonic() >= self._next_unpause:
                self._begin(self._unpause)
        elif local.subscriptions_would_start:
            self._begin(self._still)
        elif local.receiver == "streaming":
            self._healthy()
        else:
            self.paused = None
            self._disk_full(self._words())

    def close(self) -> None:
        """Wait for a repair under way; a server must not be left half started."""
        self._pool.shutdown(wait=True)

    def _begin(self, repair: Callable[[], None]) -> None:
        self._job = self._pool.submit(repair)

    def _collect(self) -> None:
        if self._job is None:
            return
        error = self._job.exception()
        self._job = None
        if isinstance(error, LandbridgeError | psycopg.Error | OSError):
            self._note_once("follow.repair_failed", " ".join(str(error).split()))
        elif error is not None:
            raise error

    def _healthy(self) -> None:
        now = time.monotonic()
        self.paused = None
        self._up_since = self._up_since or now
        self._log_when_up = self._log_size()
        if now - self._up_since > _HEALTHY_AFTER:
            self._attempts, self._noted = 0, set()

    def _revive(self) -> None:
        """Start the standby again, later each time, and say once why it died."""
        if is_gone(self._cluster):
            self._note_once(
                "follow.destination_gone",
                f"There is no data directory in {self._cluster.data} any more. If its disk is not"
                " mounted, mount it: it goes on by itself. If it was removed, give the migration"
                f" up: landbridge cancel {self._task.id}",
            )
            return
        words = self._words()
        if not self._disk_full(words):
            self._note_once("follow.standby_died", f"The destination's server died: {words}")
        delay = _DELAYS[min(self._attempts + 1, len(_DELAYS) - 1)]
        self._attempts += 1
        self._next_attempt = time.monotonic() + delay
        self._begin(self._restart)

    def _disk_full(self, words: str) -> bool:
        """Whether a full disk is the cause, said once: of a death, or of a stream that ends."""
        if "No space left on device" not in words:
            return False
        free = shutil.disk_usage(self._cluster.data).free
        self._note_once(
            "follow.disk_full",
            f"The destination's disk is full ({free // 2**20} MB free at"
            f" {self._cluster.data}); it goes on by itself once there is space. {words}",
        )
        return True

    def _restart(self) -> None:
        self._raise_parameters()
        # On a full disk nothing can be written, and what was written before still counts.
        with contextlib.suppress(OSError):
            configuration.write_standby(self._task)
        self._cluster.start()
        self._task.journal.repeat(
            "follow.standby_restarted",
            f"The destination's server was started again (attempt {self._attempts}).",
        )

    def _unpause(self) -> None:
        self._raise_parameters()
        floors = configuration.recall(self._task).floors
        with self._cluster.connect_warily(dbname(self._task)) as conn:
            running = hot_standby_parameters(conn)
        lower = {name: value for name, value in running.items() if value < floors.get(name, 0)}
        if lower:
            values = ", ".join(f"{n} from {v} to {floors[n]}" for n, v in lower.items())
            self.paused = f"the source raised {values}"
            reconfigure(self._task)
            return
        self.paused = "somebody paused it (pg_wal_replay_pause)"
        self._next_unpause = time.monotonic() + _LOOK_AGAIN
        self._note_once(
            "follow.replay_paused",
            "Replay on the destination is paused; pg_wal_replay_resume() lets it go on.",
        )

    def _raise_parameters(self) -> None:
        """Take over what the source has raised, if it answers."""
        with contextlib.suppress(LandbridgeError, psycopg.Error):
            if raised := raise_floors(self._task):
                text = ", ".join(f"{n} from {old} to {new}" for n, (old, new) in raised.items())
                self._task.journal.repeat(
                    "follow.parameters_raised",
                    f"The source raised {text}; the destination is restarted with the same.",
                    level="warning",
                    raised={name: list(values) for name, values in raised.items()},
                )

    def _still(self) -> None:
        choice = configuration.recall(self._task)
        keep_subscriptions_still(choice)
        configuration.remember(self._task, choice)
        self._task.journal.note(*choice.notes[-1], level="warning")
        reconfigure(self._task)

    def _note_once(self, id: str, text: str) -> None:
        """Note, unless the same was noted, but for numbers, since the standby was healthy."""
        shape = re.sub(r"[0-9A-F]*\d[0-9A-F]*", "#", f"{id} {text}")
        if shape not in self._noted:
            self._noted.add(shape)
            self._task.journal.repeat(id, text, level="alarm")

    def _words(self) -> str:
        """The last complaint in the server's log since it was healthy."""
        return self._cluster.last_words(max(self._log_when_up, self._log_size() - _LOG_TAIL))

    def _log_size(self) -> int:
        return self._cluster.log.stat().st_size if self._cluster.log.exists() else 0
