"""What the service says of its work: one JSON object a line.

Never a URL's query or a body: passwords travel in them.
"""

from __future__ import annotations

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
