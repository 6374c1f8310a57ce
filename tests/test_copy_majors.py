"""The copy is what pg_basebackup makes, and a standby starts from it, on every major."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from copy_lab import copy_task, peer_copy, run, slots, start_as_standby, tree
from fix_servers import Servers, Source, fill, majors
from landbridge.migration.copying import MARKER, CopyJob
from landbridge.postgres.process import wait_until

#: Files that no two copies share, or that the copier does not keep on purpose.
_OWN = {
    "backup_label", "backup_label.old", "backup_manifest", "global/pg_control",
    "postgresql.conf", "postgresql.auto.conf", "pg_hba.conf",
}  # fmt: skip


@pytest.mark.parametrize("major", majors())
def test_copy_equals_pg_basebackup_and_starts(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    there, here, theirs = (servers.root / name for name in ("ts", "ts-here", "ts-peer"))
    source.account.make_dir(there)
    source.sql(f"CREATE TABLESPACE far LOCATION '{there}'")
    fill(source, 2000)
    source.sql("CREATE TABLE elsewhere TABLESPACE far AS SELECT generate_series(1, 500) AS i")
    source.sql("VACUUM FREEZE")
    source.sql("CHECKPOINT")
    task = copy_task(servers, state_dir, source, tablespaces={str(there): str(here)})
    job = CopyJob(task)

    result = run(job)

    data = Path(task.request.data)
    assert result.manifest == ("verified" if major >= 13 else "none before 13")
    assert result.tablespaces == {str(there): str(here)}
    assert not (data / MARKER).exists()
    peer_copy(source, servers.root / "peer", {str(there): str(theirs)})
    ours, peers = (
        {n: d for n, d in tree(root).items() if n not in _OWN and not n.startswith("pg_wal/")}
        for root in (data, servers.root / "peer")
    )
    assert ours == peers
    assert data.stat().st_mode & 0o777 == 0o700
    assert {(data / n).stat().st_uid for n in tree(data)} == {source.account.uid}
    assert {(data / n).stat().st_mode & 0o077 for n in tree(data)} == {0}
    if major >= 13 and "pg_verifybackup" in source.distribution.tools:
        _verify(source, data)

    standby = start_as_standby(servers, task)
    with standby.connect() as conn:
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (2000,)
        assert conn.execute("SELECT sum(i) FROM elsewhere").fetchone() == (125250,)
    standby.stop("immediate")
    job.undo()
    assert not data.exists()
    assert not here.exists()
    assert slots(source) == []


def _verify(source: Source, data: Path) -> None:
    """pg_verifybackup agrees, apart from the files that are left out on purpose."""
    kept = {"backup_label", "backup_manifest", "global/pg_control"}
    answer = subprocess.run(
        [
            source.distribution.program("pg_verifybackup"), "--no-parse-wal",
            *(f"--ignore={name}" for name in _OWN - kept), data,
        ],
        capture_output=True, text=True, env=source.distribution.environment, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("major", [m for m in majors() if m in (11, 15)])
def test_source_on_a_later_timeline_is_copied_with_its_history(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    fill(source, 100)
    source.stop()
    if major >= 12:
        source.account.write(source.data / "standby.signal", "")
    else:
        source.account.write(source.data / "recovery.conf", "standby_mode = on\n")
    source.start()
    source.signal_promotion()
    with source.connect() as conn:
        assert wait_until(
            lambda: conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,), 20
        )
    source.sql("CHECKPOINT")
    task = copy_task(servers, state_dir, source)

    result = run(CopyJob(task))

    assert result.timeline == 2
    wal = Path(task.request.data) / "pg_wal"
    assert (wal / "00000002.history").exists()
    assert (wal / "archive_status/00000002.history.done").exists()
    with start_as_standby(servers, task).connect() as conn:
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (100,)


def test_writes_during_the_copy_are_in_it(servers: Servers, state_dir: Path) -> None:
    source = servers.source(majors()[-1])
    source.sql("CREATE TABLE written (i int)")
    task = copy_task(servers, state_dir, source, max_rate=4 * 1024**2)
    job = CopyJob(task)
    job.start_or_adopt()
    rows = 0
    with source.connect() as conn:
        while job.progress() is None or job.child() is not None:
            conn.execute("INSERT INTO written SELECT generate_series(1, 20000)")
            rows += 20000
    result = job.wait(lambda _: None, lambda: False)

    assert result.wal_bytes > 32 * 1024**2
    with start_as_standby(servers, task).connect() as conn:
        (found,) = conn.execute("SELECT count(*) FROM written").fetchone()
    assert 0 < found <= rows
    assert found % 20000 == 0
