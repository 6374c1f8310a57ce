"""Versions of the tables: an older database is upgraded, a newer one refused."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from landbridge.cloud.accounts import Account
from landbridge.errors import StoreFailed
from landbridge.store import Database, schema

ROOT = Path(__file__).parent.parent


def _asked(file: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(sql).fetchall()


def _only_version(monkeypatch: pytest.MonkeyPatch, file: Path, version: str) -> None:
    """Make a database as the release with that version did."""
    full = schema._run
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_run", lambda connection, known: full(connection, known, version))
        Database(f"sqlite:///{file}").close()


def _only_first_version(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """The same of the first version, with one account in it."""
    _only_version(monkeypatch, file, "0001")
    _asked(file, "INSERT INTO account VALUES (1234567890123456, 'ann', '2026-01-01 00:00:00')")


def test_an_older_database_is_upgraded_after_a_copy_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "db.sqlite"
    _only_first_version(monkeypatch, file)

    upgraded = Database(f"sqlite:///{file}")
    with upgraded.read() as session:
        assert session.scalar(select(Account.name)) == "ann"
    upgraded.close()

    copy = tmp_path / "db.sqlite.before-0001"
    assert copy.stat().st_mode & 0o077 == 0
    assert _asked(copy, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert _asked(copy, "SELECT name FROM account") == [("ann",)]
    head = schema.scripts().get_current_head()
    assert _asked(file, "SELECT version_num FROM alembic_version") == [(head,)]


def test_reports_that_were_there_are_told_in_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "db.sqlite"
    _only_version(monkeypatch, file, "0016")
    old, new = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
    report = {"counts": {"error": 1}, "started": new, "findings": [{"checked": old}, {}]}
    row = "1, '{}', NULL, 'pgm-1', 'n', 'aliyunRDS', '10.0.0.1', 5432, 'm', '{}', '{}', '{}', '{}'"
    _asked(file, "INSERT INTO account VALUES (1, 'ann', '2026-01-01 00:00:00')")
    columns = (
        "owner_uid, id, fixes, instance_id, name, category, address, port, account, created_at,"
        " modified_at, verdict, report"
    )
    for id, found in ("100000001", json.dumps(report)), ("100000002", "null"):
        values = row.format(id, old, old, "FAILED", found)
        _asked(file, f"INSERT INTO assessment ({columns}) VALUES ({values})")

    Database(f"sqlite:///{file}").close()
    gists = [gist and json.loads(gist) for (gist,) in _asked(file, "SELECT gist FROM assessment")]
    assert gists == [{"counts": {"error": 1}, "oldest": old}, None]


def test_an_upgrade_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "db.sqlite"
    _only_first_version(monkeypatch, file)
    before = _asked(file, "SELECT sql FROM sqlite_master ORDER BY name")
    full = schema._run

    def fails_late(*arguments: Any) -> None:
        full(*arguments)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(schema, "_run", fails_late)
        with pytest.raises(ZeroDivisionError):
            Database(f"sqlite:///{file}")
    assert _asked(file, "SELECT sql FROM sqlite_master ORDER BY name") == before
    Database(f"sqlite:///{file}").close()  # the next start mends it


def test_a_newer_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite"
    Database(f"sqlite:///{file}").close()
    _asked(file, "UPDATE alembic_version SET version_num = '9999'")
    before = file.read_bytes()
    with pytest.raises(StoreFailed) as refused:
        Database(f"sqlite:///{file}")
    assert refused.value.id == "store.newer"
    assert "9999" in refused.value.message
    assert file.read_bytes() == before


def test_starts_at_the_same_moment_upgrade_once(tmp_path: Path) -> None:
    opened: list[Database] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Database(f"sqlite:///{tmp_path}/db.sqlite")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for each in opened:
        each.close()


def test_the_versions_make_exactly_the_declared_tables() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/schema.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"python tools/schema.py NAME\n{done.stdout}{done.stderr}"


def test_the_versions_are_one_straight_line() -> None:
    known = schema.scripts()
    assert len(known.get_heads()) == 1
    names = [Path(script.path).name for script in known.walk_revisions()]
    assert [name[:4] for name in reversed(names)] == [f"{n:04d}" for n in range(1, len(names) + 1)]
