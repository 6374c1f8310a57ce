"""The engine: bodies started, signalled, cancelled, asked after."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from ..errors import LandbridgeError
from .context import WAKE, Context, Stopped
from .store import APPLICATION_NAME, Store, forget_foreign_environment

#: Never change it: bodies that wait under another version would wait for ever.
APPLICATION_VERSION = "1"
#: Seconds between two looks for signals; one arrives after half of it on average.
SIGNAL_POLL = 0.1

Body = Callable[[Context, str], None]


class Status(Enum):
    """What became of a started body."""

    RUNNING = "running"
    """Under way, waiting, or to be taken up by the next launch."""
    DONE = "done"
    """The body returned."""
    FAILED = "failed"
    """The body raised a LandbridgeError."""
    CANCELLED = "cancelled"
    """Ended by `Engine.cancel`."""


_STATUS = {"SUCCESS": Status.DONE, "ERROR": Status.FAILED, "CANCELLED": Status.CANCELLED}


class Engine:
    """One directory's durable bodies, run in this process. One per process at a time.

    `executor` names who owns the bodies; it must be the same after a restart.
    """

    _launched: ClassVar[Engine | None] = None

    def __init__(self, directory: Path, executor: str) -> None:
        self._store = Store(directory)
        self._executor = executor
        self._bodies: dict[str, Body] = {}
        self._workflows: dict[str, Callable[[str, str], None]] = {}
        self._stopping = threading.Event()
        self._running: dict[str, str] = {}
        self._gone: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._waits: dict[str, set[str]] = {}
        self.defect: BaseException | None = None
        """What a body raised that is no LandbridgeError; it waits for the next launch."""

    def register(self, name: str, body: Body, *, topics: tuple[str, ...] = ()) -> None:
        """Give a body its stable name and the topics it waits on; before `launch`."""
        self._bodies[name] = body
        self._waits[name] = set(topics)

    def launch(self) -> None:
        """Open the database and take up every body that was not finished.

        Raises LandbridgeError: engine.busy (another process, or another engine in this
        one), engine.foreign_value (the database was tampered with).
        """
        if Engine._launched is not None:
            raise LandbridgeError("this process runs an engine already", id="engine.busy")
        self._store.lock()
        try:
            self._store.prepare()
            Engine._launched = self
            self._launch_dbos()
        except BaseException:
            self.close()
            raise

    def _launch_dbos(self) -> None:
        forget_foreign_environment()
        from dbos import DBOS, DBOSPortableJSONSerializer

        self._store.open_log()
        DBOS(
            config={
                "name": APPLICATION_NAME,
                "system_database_url": self._store.url,
                "application_version": APPLICATION_VERSION,
                "executor_id": self._executor,
                "serializer": DBOSPortableJSONSerializer(),
                "notification_listener_polling_interval_sec": SIGNAL_POLL,
                "use_listen_notify": False,
                "enable_otlp": False,
                "log_level": "WARNING",
                "console_log_level": "WARNING",
            }
        )
        for name, body in self._bodies.items():
            # Without a limit: DBOS gives up a body after 100 restarts by default.
            durable = DBOS.workflow(name=name, max_recovery_attempts=None)
            self._workflows[name] = durable(self._durable(name, body))
        DBOS.launch()

    def _durable(self, name: str, body: Body) -> Callable[[str, str], None]:
        """The function DBOS runs: the body, with our rules about what ends it."""

        def run(id: str, argument: str) -> None:
            from dbos import error as dbos_error

            self._running[id] = name
            try:
                body(Context(id, self._stopping), argument)
            except dbos_error.DBOSWorkflowCancelledError:
                # The record says so already; DBOS would park this thread for ever.
                raise Stopped from None
            except LandbridgeError:
                raise
            except Exception as error:
                logging.getLogger("dbos").exception("the body of %s failed", id)
                self.defect = error
                raise Stopped from error
            finally:
                self._gone[id].set()

        run.__qualname__ = run.__name__ = name
        return run

    def start(self, id: str, name: str, argument: str) -> None:
        """Start the body `name` under `id`; does nothing if that id was started before.

        `argument` is stored in the database: a reference, never a secret.
        """
        from dbos import DBOS, SetWorkflowID

        if self.status(id) is None:
            with SetWorkflowID(id):
                DBOS.start_workflow(self._workflows[name], id, argument)

    def signal(self, id: str, topic: str, payload: Any) -> None:
        """Send `payload` (JSON, never a secret) to a body."""
        from dbos import DBOS

        DBOS.send(id, payload, topic)

    def cancel(self, id: str) -> None:
        """End a body at its next step, undoing nothing."""
        from dbos import DBOS

        DBOS.cancel_workflow(id)

    def status(self, id: str) -> Status | None:
        """What became of a body, or None if it was never started."""
        from dbos import DBOS

        found = DBOS.get_workflow_status(id)
        return None if found is None else _STATUS.get(found.status, Status.RUNNING)

    def progress(self, id: str) -> list[str]:
        """The names of the steps on record, in order."""
        from dbos import DBOS

        return [step["function_name"] for step in DBOS.list_workflow_steps(id)]

    def join(self, id: str, seconds: float) -> bool:
        """Wait until the body has left this process (True), or `seconds` have passed."""
        return self._gone[id].wait(seconds)

    def close(self) -> None:
        """Let every body leave at its next stopping point, then end the engine.

        Bodies that were not finished are taken up by the next launch.
        """
        if Engine._launched is not self:
            self._store.unlock()
            return
        self._stopping.set()
        from dbos import DBOS

        for id, name in list(self._running.items()):
            while not self.join(id, 0):
                for topic in self._waits[name]:
                    self.signal(id, topic, WAKE)
                self.join(id, 1.0)
        DBOS.destroy(destroy_registry=True)
        self._store.close_log()
        Engine._launched = None
        self._store.unlock()
