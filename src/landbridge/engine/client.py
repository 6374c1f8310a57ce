"""Signals from a process that does not run the engine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..errors import LandbridgeError
from .store import APPLICATION_NAME, Store, forget_foreign_environment


def send(directory: Path, id: str, topic: str, payload: Any) -> None:
    """Signal a body of the engine in `directory` from any process; see Engine.signal.

    LandbridgeError (engine.unknown) if no such body was ever started.
    """
    store = Store(directory)
    unknown = LandbridgeError(f"nothing was started under {id!r}", id="engine.unknown")
    if not store.database.exists():
        raise unknown
    store.refuse_foreign_values()
    if not store.knows(id):
        raise unknown
    forget_foreign_environment()
    from dbos import DBOSClient, DBOSPortableJSONSerializer
    from dbos import error as dbos_error

    if not (logger := logging.getLogger("dbos")).handlers:
        logger.addHandler(logging.NullHandler())
    client = DBOSClient(
        system_database_url=store.url,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION_NAME,
        retry_connection_errors=False,
    )
    try:
        client.send(id, payload, topic)
    except dbos_error.DBOSNonExistentWorkflowError:
        raise unknown from None
    finally:
        client.destroy()
