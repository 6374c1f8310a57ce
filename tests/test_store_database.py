"""Transactions of the control plane's database: readers, writers that take turns, errors."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from landbridge.cloud import Cloud, accounts
from landbridge.cloud.accounts import Account
from landbridge.errors import StoreFailed, UsageError
from landbridge.store import Database, problems, utcnow


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """An empty database in a file."""
    db = Database(f"sqlite:///{tmp_path}/db.sqlite")
    yield db
    db.close()


#: A writer that reads a number, dawdles and writes it back with one added: needs its turn.
_COUNT = """
import sys, time
from sqlalchemy import text
from landbridge.store import Database
db = Database(sys.argv[1])
for _ in range(25):
    with db.write() as s:
        n = s.scalar(text("SELECT uid FROM account WHERE name = 'counter'"))
        time.sleep(0.002)
        s.execute(text("UPDATE account SET uid = :n WHERE name = 'counter'"), {"n": n + 1})
"""


def test_writers_of_two_processes_take_turns(db: Database) -> None:
    with db.write() as session:
        session.add(Account(uid=0, name="counter"))
    url = db.public_url
    running = [subprocess.Popen([sys.executable, "-c", _COUNT, url]) for _ in range(2)]
    try:
        assert [process.wait(timeout=60) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
            process.wait()
    with db.read() as session:
        assert session.scalar(select(Account.uid)) == 50


def test_capitals_are_told_from_small_letters(db: Database) -> None:
    with db.write() as session:
        accounts.create(session, "ann")
        accounts.create(session, "Ann")
    for part, found in (("An", ["Ann"]), ("nn", ["Ann", "ann"])):
        with db.read() as session:
            names = session.scalars(select(Account.name).where(Account.name.contains(part)))
            assert sorted(names) == found


def test_a_reader_cannot_change_anything(db: Database) -> None:
    with pytest.raises(RuntimeError, match="used to write"), db.read() as session:
        session.add(Account(uid=1, name="ann"))  # not even flushed by the reader itself
    with db.read() as session:
        assert session.scalars(select(Account)).all() == []


def test_a_write_that_raises_leaves_nothing(db: Database) -> None:
    with pytest.raises(ZeroDivisionError), db.write() as session:
        accounts.create(session, "ann")
        raise ZeroDivisionError
    with db.write() as session:  # the turn was given back
        assert accounts.every(session) == []


def test_a_writer_that_waits_too_long_is_told_to_come_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "PATIENCE", 0.2)
    other = Database(db.public_url)  # as another process would be
    refused: list[StoreFailed] = []

    def write(into: Database) -> None:
        try:
            with into.write():
                pass
        except StoreFailed as error:
            refused.append(error)

    with db.write():
        for each in (db, other):
            thread = threading.Thread(target=write, args=(each,))
            thread.start()
            thread.join()
    other.close()
    assert [(error.id, error.retryable) for error in refused] == [("store.busy", True)] * 2


def test_a_write_inside_a_write_is_a_mistake_and_does_not_hang(db: Database) -> None:
    with db.write(), pytest.raises(RuntimeError, match="waits for itself"), db.write():
        pass


def test_moments_come_back_in_utc_and_ones_without_a_zone_are_refused(db: Database) -> None:
    now = utcnow()
    with db.write() as session:
        session.add(Account(uid=1, name="ann", created_at=now))
    with db.read() as session:
        assert session.scalar(select(Account.created_at)) == now
    with pytest.raises(Exception, match="without a zone"), db.write() as session:
        session.add(Account(uid=2, name="bob", created_at=now.replace(tzinfo=None)))


def test_another_file_is_remembered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ("sqlite:///other.sqlite", None):
        cloud = Cloud.open(tmp_path / "state", given)
        assert cloud.database.file == tmp_path / "other.sqlite"
        cloud.close()
        monkeypatch.chdir("/")


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_an_unusable_url_is_a_wrong_call(url: str) -> None:
    with pytest.raises(UsageError) as wrong:
        Database(url)
    assert wrong.value.id == "database.url"


def test_what_is_no_database_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but longer than a header " * 10)
    for path, id in ((tmp_path / "text", "store.damaged"), (tmp_path / "a/b", "store.unreachable")):
        with pytest.raises(StoreFailed) as failed:
            Database(f"sqlite:///{path}")
        assert failed.value.id == id
    for place in ("ann:hidden@127.0.0.1:1/db?", "ann@127.0.0.1:1/db?password=hidden&"):
        with pytest.raises(StoreFailed) as failed:
            Database(f"postgresql://{place}connect_timeout=2")
        assert (failed.value.id, failed.value.retryable) == ("store.unreachable", True)
        assert "hidden" not in failed.value.message


def test_foreign_keys_hold(db: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"), db.write() as session:
        session.execute(
            text("INSERT INTO client_token VALUES (1, 'a', 't', 'd', '{}', '2026-01-01')")
        )


def test_another_process_that_ends_does_not_take_the_log_away(file: Database) -> None:
    db = file
    with db.read(), db.read():  # a second connection beside the first
        pass
    assert db.file is not None
    log = Path(f"{db.file}-wal")
    inode = log.stat().st_ino
    program = "import sys; from landbridge.store import Database; Database(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", program, f"sqlite:///{db.file}"], check=True)
    assert log.stat().st_ino == inode
