"""Notices that somebody restarted the source, or gave it another size, during a migration.

Neither ends the migration, which goes on by itself; but the procedure forbids both, and who
looks for the cause of an interruption finds it in the journal.
"""

from __future__ import annotations

from typing import Any

import psycopg

from ..task import Task, read_json, write_json

#: What another size of the server's machine, or another class of an instance, changes.
_SIZE = ("max_connections", "shared_buffers", "max_worker_processes", "max_wal_senders")
_QUERY = """
SELECT pg_postmaster_start_time()::text,
       (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name = ANY(%s))
"""


def notice(task: Task, conn: psycopg.Connection[Any]) -> None:
    """Compare the source with how it was when this was last called for the task."""
    row = conn.execute(_QUERY, [list(_SIZE)]).fetchone()
    assert row is not None
    now = {"started": row[0], "size": row[1]}
    path = task.folder / "source.json"
    before = read_json(path)
    if now == before:
        return
    if before is not None:
        _note(task, before, now)
    write_json(path, now)


def _note(task: Task, before: dict[str, Any], now: dict[str, Any]) -> None:
    task.journal.repeat(
        "follow.source_restarted",
        f"The source was restarted during the migration (up since {now['started']}).",
        level="warning",
        before=before["started"],
        started=now["started"],
    )
    changed = {
        name: (before["size"].get(name), value)
        for name, value in now["size"].items()
        if before["size"].get(name) != value
    }
    if changed:
        said = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in changed.items())
        task.journal.repeat(
            "follow.source_resized",
            f"The source was given another size during the migration: {said}.",
            level="warning",
            changed=changed,
        )
