"""An undo removes what the copy made, and nothing that somebody else has put there since."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from copy_lab import copy_task, run, slots, wait_copied
from fix_servers import Servers, Source, majors
from landbridge.errors import CopyFailed
from landbridge.migration.copying import MARKER, CopyJob
from landbridge.migration.copying.destination import CLAIM, CONTROL, Destination
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.process import wait_until

MAJOR = 15 if 15 in majors() else majors()[-1]


class Died(BaseException):
    """Stands for the death of the process."""


def die(*_: object, **__: object) -> None:
    raise Died


def with_tablespace(servers: Servers, source: Source) -> tuple[dict[str, str], Path]:
    """Give the source a tablespace; its mapping, and where it goes."""
    there, here = servers.root / "ts", servers.root / "ts-here"
    source.account.make_dir(there)
    source.sql(f"CREATE TABLESPACE far LOCATION '{there}'")
    return {str(there): str(here)}, here


def killed_copy(servers: Servers, state_dir: Path, source: Source) -> tuple[CopyJob, Path]:
    """A copy whose child was killed in the midst of it, and its tablespace's folder here."""
    mapping, here = with_tablespace(servers, source)
    task = copy_task(servers, state_dir, source, tablespaces=mapping, max_rate=8 * 1024**2)
    job = CopyJob(task)
    job.start_or_adopt()
    wait_copied(job, 4 * 1024**2)
    child = job.child()
    assert child is not None
    child.send(signal.SIGKILL)
    assert wait_until(lambda: job.child() is None, 10)
    return job, here


def test_cluster_made_where_a_killed_copy_was_survives_the_undo(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(MAJOR)
    job, here = killed_copy(servers, state_dir, source)
    data = Path(job.task.request.data)
    shutil.rmtree(data)
    shutil.rmtree(here)
    his = servers.adopt(Cluster(data, source.distribution, job.task.request.port))
    his.init()
    his.configure({})
    his.start()
    here.mkdir()
    (here / "precious").touch()
    job.undo()
    with his.connect() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert (here / "precious").exists()
    assert slots(source) == []


def test_killed_copy_is_removed_with_its_tablespaces(servers: Servers, state_dir: Path) -> None:
    job, here = killed_copy(servers, state_dir, servers.source(MAJOR))
    job.undo()
    assert not Path(job.task.request.data).exists() and not here.exists()


def test_undo_that_dies_leaves_nothing_to_start_and_is_repeated(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(MAJOR)
    mapping, here = with_tablespace(servers, source)
    job = CopyJob(copy_task(servers, state_dir, source, tablespaces=mapping))
    run(job)
    assert not (here / CLAIM).exists()
    data = Path(job.task.request.data)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(Died):
            job.undo()
    assert not (data / CONTROL).exists() and (data / MARKER).exists()
    job.undo()
    assert not data.exists() and not here.exists()


def test_set_aside_cluster_stays_aside_when_its_place_is_taken(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(MAJOR)
    task = copy_task(servers, state_dir, source, replaces_empty_cluster=True)
    data = Path(task.request.data)
    Cluster(data, source.distribution, task.request.port).init()
    job = CopyJob(task)
    run(job)
    shutil.rmtree(data)
    data.mkdir()
    (data / "precious").touch()
    job.undo()
    assert (data / "precious").exists() and (job.aside / "PG_VERSION").exists()
    assert [e["id"] for e in task.journal.entries() if e["kind"] == "note"] == ["copy.stays_aside"]


def test_removal_follows_no_link_and_waits_for_no_pipe(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("pg_control", "kept"):
        (outside / name).write_text("somebody's")
    data, folder = tmp_path / "data", tmp_path / "copy"
    folder.mkdir()
    copy = Destination(data, "m-1", folder)
    copy.prepare()
    (data / CONTROL).write_bytes(b"\1" + bytes(7))
    assert copy.holds("1")
    shutil.rmtree(data / "global")
    (data / "global").symlink_to(outside)
    (data / f".{MARKER}.new").symlink_to(outside / "kept")
    assert not copy.holds(str(int.from_bytes(b"somebody", sys.byteorder)))
    with pytest.raises(OSError, match="global"):
        copy.unseal()
    copy.clean()
    assert not data.exists()

    data.mkdir()
    os.mkfifo(data / MARKER)
    with pytest.raises(CopyFailed, match="is not empty"):
        copy.check()
    assert sorted(path.read_text() for path in outside.iterdir()) == ["somebody's"] * 2
