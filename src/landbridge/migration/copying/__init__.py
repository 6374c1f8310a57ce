"""The full copy: a running cluster's files, and the WAL that makes them consistent.

::

    job.py          the parent's side: slot, child process, adoption, undo
    child.py        the process that copies; outlives a killed worker
    model.py        what passes between them, and the seam: CopyEngine
    plain.py        the first engine: one BASE_BACKUP, WAL streamed alongside
    destination.py  the data directory while it is a partial copy
    tar.py, files.py, flusher.py, wal.py, manifest.py, compression.py, choice.py, meter.py
    failures.py     what went wrong, in terms of the copy

The seam: an engine is a `CopyEngine`. It gets a `CopySpec`, reports `CopyProgress`, and
returns a `CopyResult` when every file and all WAL needed are in place, checked and
durable, with pg_control still under its other name; `Destination.seal` then turns the
partial copy into a cluster. Another engine is added by naming it in `child.ENGINES`.
"""

from .job import CopyJob
from .model import MARKER, CopyEngine, CopyProgress, CopyResult, CopySpec, Phase

__all__ = ["MARKER", "CopyEngine", "CopyJob", "CopyProgress", "CopyResult", "CopySpec", "Phase"]
