"""What libraries log, and our own defects: into a file that only we can read."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cached_property
from pathlib import Path

_FORMAT = "%(asctime)s [%(process)d] %(levelname)s %(name)s: %(message)s"


class LogFile(logging.Handler):
    """Appends to `log/landbridge.log` of the state directory; made when first needed.

    Passwords that our environment held at the start are masked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failed = False
        """Whether a record could not be written."""
        self.setFormatter(logging.Formatter(_FORMAT))
        self._secrets = [v for k, v in os.environ.items() if k.endswith("PASSWORD") and v]

    @cached_property
    def path(self) -> Path:
        """Where it is; a new private temporary file if the state directory is closed."""
        from ..migration.task import Tasks

        found = Tasks.default().root / "log/landbridge.log"
        try:
            found.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(found, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        except OSError:
            fd, name = tempfile.mkstemp(prefix="landbridge-", suffix=".log")
            os.close(fd)
            return Path(name)
        return found

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record; where that cannot be, on a full disk, nothing is said of it."""
        text = self.format(record)
        for secret in self._secrets:
            text = text.replace(secret, "********")
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(text + "\n")
        except OSError:
            self.failed = True
