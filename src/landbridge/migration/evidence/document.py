"""The document: everything that can be said about a migration, as one JSON object.

===============  ==================================================================
schema_version   of this shape
generated, by    when, with which tool and version, by which OS user on which host
task             id, state, label, guarantee, started, ended, seconds
source           address and account (no password), major, version, system identifier
destination      host, data directory, port, major, version
settings         what was asked for: fence, compression, rate, WAL policy, ...
states           state, label, guarantee, at
steps            see steps.py
full_copy        its result, or null
switchover       its result (SwitchoverResult), or null before the promotion
diverged         commits found on the source after the fence, or null before the promotion
verification     content of verification.json, or null
examination      content of examination.json (a later look at the destination), or null
assessment       content of assessment.json with `waived`, or null
notes            everything noted; those of level alarm also in `alarms`
errors           in order; the first after the last good state is `first_error`
signals          what somebody asked for, and when
journal          file, bytes, entries, sha256 of exactly these bytes
===============  ==================================================================
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import socket
from typing import Any

from ... import __version__
from ...errors import LandbridgeError
from ..journal import now
from ..states import ROW, State
from ..task import Request, Task, read_json
from .scrub import known_secrets, scrub
from .steps import Entry, between, steps

SCHEMA_VERSION = 1

_SETTINGS = (
    "fence", "switchover", "time_limit", "copy_engine", "compression", "max_rate", "sync",
    "wal_policy", "wal_budget", "verify", "reindex", "listen", "allow", "tablespaces", "waive",
    "replaces_empty_cluster",
)  # fmt: skip


def build(task: Task) -> dict[str, Any]:
    """The document of a task as it stands now; without secrets."""
    raw = task.journal.path.read_bytes()
    entries = list(task.journal.entries())
    request = task.request
    assessment = read_json(task.folder / "assessment.json")
    document = {
        "schema_version": SCHEMA_VERSION,
        "generated": now(),
        "by": _by(),
        "task": _task(task, entries),
        "source": _source(request, assessment),
        "destination": _destination(task),
        "settings": _settings(request),
        "states": _states(entries),
        "steps": steps(entries),
        "full_copy": (read_json(task.folder / "copy/result.json") or {}).get("result"),
        "switchover": (switchover := read_json(task.folder / "switchover/result.json")),
        "diverged": switchover and switchover["diverged"],
        "verification": read_json(task.folder / "verification.json"),
        "examination": read_json(task.folder / "examination.json"),
        "assessment": assessment and assessment | {"waived": list(request.waive)},
        "notes": _kind(entries, "note"),
        "alarms": [n for n in _kind(entries, "note") if n.get("level") == "alarm"],
        "errors": _kind(entries, "error"),
        "first_error": task.journal.first_error(),
        "signals": _kind(entries, "signal"),
        "journal": {
            "file": task.journal.path.name,
            "bytes": len(raw),
            "entries": len(entries),
            "sha256": hashlib.sha256(raw).hexdigest(),
        },
    }
    clean = scrub(document, known_secrets(task.folder))
    # As it will be read back, so that the page shows what the file says.
    return dict(json.loads(json.dumps(clean, default=str)))


def _by() -> dict[str, Any]:
    return {
        "tool": "landbridge",
        "version": __version__,
        "os_user": _os_user(),
        "on_behalf_of": os.environ.get("SUDO_USER"),
        "host": socket.gethostname(),
    }


def _os_user() -> str:
    """The account's name, or its number where it has none (a container)."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _task(task: Task, entries: list[Entry]) -> dict[str, Any]:
    state = task.state
    started, ended = entries[0]["at"], entries[-1]["at"]
    return {
        "id": task.id,
        "state": state.value,
        "label": ROW[state].label,
        "guarantee": state.guarantee,
        "started": started,
        "ended": ended,
        "seconds": between(started, ended),
    }


def _source(request: Request, assessment: dict[str, Any] | None) -> dict[str, Any]:
    shown = ("host", "hostaddr", "port", "dbname", "user", "sslmode")
    facts = (assessment or {}).get("source", {})
    return {
        **{k: request.source.get(k) for k in shown},
        "fence_as": (request.fence_as or {}).get("user"),
        "verify_as": (request.verify_as or {}).get("user"),
        "major": request.major,
        "version": facts.get("version"),
        "system_identifier": request.system_identifier,
    }


def _destination(task: Task) -> dict[str, Any]:
    request = task.request
    try:
        found = task.cluster().distribution.version
    except LandbridgeError:
        found = None
    return {
        "host": socket.gethostname(),
        "port": request.port,
        "data": request.data,
        "major": request.major,
        "version": found,
    }


def _settings(request: Request) -> dict[str, Any]:
    """What was asked for. Of the user's own settings and files no value: it may hold secrets."""
    return {
        **{name: getattr(request, name) for name in _SETTINGS},
        "own_settings": sorted(request.settings),
        "archive_command": "set" if request.archive_command else None,
        "hba_file": None if request.hba_file is None else "given",
    }


def _states(entries: list[Entry]) -> list[dict[str, Any]]:
    found = []
    for entry in _kind(entries, "state"):
        state = State(entry["state"])
        found.append(
            {"state": state.value, "label": ROW[state].label, "guarantee": state.guarantee,
             "at": entry["at"]}
        )  # fmt: skip
    return found


def _kind(entries: list[Entry], kind: str) -> list[Entry]:
    return [{k: v for k, v in e.items() if k != "kind"} for e in entries if e["kind"] == kind]
