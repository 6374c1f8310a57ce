"""What a body sees of its engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .outcomes import Unrecorded, outcome_of, result_of

#: Seconds; "no timeout" for DBOS, which wants a number.
_FOR_EVER = 10 * 365 * 86400.0
#: Payload that wakes a waiting body so that it can stop; never handed to the body.
WAKE = "landbridge.wake"


class Stopped(BaseException):
    """The engine is closing: the body leaves where it stands and is taken up later.

    Not an Exception, so that neither the body nor DBOS takes it for a result.
    """


class Context:
    """What a body may ask of its engine."""

    def __init__(self, id: str, stopping: threading.Event) -> None:
        self.id = id
        self._stopping = stopping

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        """Run `function` unless its result is on record; returns the JSON result.

        A LandbridgeError is recorded and raised again in every later run; any other
        exception, and Stopped, leaves no record, so that the step runs again.
        """
        from dbos import DBOS

        self.check_stop()
        try:
            return result_of(DBOS.run_step({"name": name}, outcome_of, function))
        except Unrecorded as unexpected:
            raise unexpected.cause from None

    def wait_signal(self, topic: str, timeout: float | None = None) -> Any:
        """The next payload sent on `topic`, or None after `timeout` seconds.

        The wait is durable: a payload is handed out once, and a body run again gets
        the same one. Signals sent while nobody waits, or nobody lives, are kept.
        """
        from dbos import DBOS

        while True:
            self.check_stop()
            payload = DBOS.recv(topic, _FOR_EVER if timeout is None else timeout)
            if payload != WAKE:
                return payload

    def signal(self, topic: str, payload: Any) -> None:
        """Signal this very body, from a thread that it started."""
        from dbos import DBOS

        DBOS.send(self.id, payload, topic)

    def check_stop(self) -> None:
        """Raise Stopped if the engine is closing; long steps call it now and then."""
        if self._stopping.is_set():
            raise Stopped
