"""Durable execution behind five verbs: start, signal, cancel, status, progress.

A body is a function that does its work in named steps. The result of every step
is on disk before the next one begins; a body whose process died is run again by
the next process, and finished steps answer from the record instead of running.
A step itself may run twice, so each looks at reality first.

The engine is DBOS on a SQLite file, and this package is the only place that
knows it. Its rules, each held by a test:

- The version of the application is a constant; the default is a hash of the
  code, and after any change of it a waiting body would never be taken up again.
- One process at a time (flock), and one executor id per directory.
- Values are JSON. A database that holds a pickled value is not opened, because
  DBOS would execute it while reading.
- Arguments and payloads are stored, so they never hold a secret.
- Resuming and forking, which forget the queue of a body, do not exist here:
  a body that stopped is taken up by the next launch, and only there.
- No listener, no telemetry, no control plane; DBOS writes into `engine.log`.
- One launched engine per process, since DBOS is a singleton.
"""

from .client import send
from .context import Context, Stopped
from .engine import Engine, Status
from .outcomes import error_of, facts_of

__all__ = ["Context", "Engine", "Status", "Stopped", "error_of", "facts_of", "send"]
