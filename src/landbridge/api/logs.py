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


#: From which level on others are heard. A client that speaks no HTTP is no news.
_OTHERS = {"landbridge": logging.INFO, "uvicorn.error": logging.ERROR, "asyncio": logging.ERROR}


@contextmanager
def adopting(log: Logger) -> Iterator[None]:
    """Let what the rest of Landbridge and the server note go the same way."""
    handler = _Bridge(log)
    for name, level in _OTHERS.items():
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name in _OTHERS:
            logging.getLogger(name).removeHandler(handler)


class _Bridge(logging.Handler):
    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        where = record.name.removeprefix("landbridge.")
        self._log.log(record.levelno, record.getMessage(), where=where, exc_info=record.exc_info)
