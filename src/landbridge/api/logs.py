"""What the service says of its work: one JSON object a line.

Never a URL's query or a body: passwords travel in them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

Logger = structlog.typing.FilteringBoundLogger


def logger(stream: TextIO) -> Logger:
    """A logger that writes to `stream`."""
    made: Logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
    return made


@contextmanager
def adopting(log: Logger) -> Iterator[None]:
    """Let what the rest of Landbridge notes go the same way."""
    handler = _Bridge(log)
    ours = logging.getLogger("landbridge")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.removeHandler(handler)


class _Bridge(logging.Handler):
    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        where = record.name.removeprefix("landbridge.")
        self._log.log(record.levelno, record.getMessage(), where=where, exc_info=record.exc_info)
