"""Commits that the source makes after the destination went its own way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fix_servers import Servers, Source
from fix_standby import synchronizing_task, wait_streaming
from fix_writers import prepare
from landbridge.migration.divergence import diverged, fork_of
from landbridge.postgres.lsn import Lsn
from landbridge.postgres.positions import flush_lsn, identity
from landbridge.postgres.process import wait_until


@pytest.mark.parametrize("major", [10, 13, 15, 18])
def test_diverged_commits_are_listed_exactly(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch, major: int
) -> None:
    # Smaller than a record, so that some are put together from pieces.
    monkeypatch.setattr("landbridge.migration.divergence._PIECE", 5_000)
    own: dict[str, str | int] = {"max_prepared_transactions": 2}
    source = servers.source(major, settings=own)
    prepare(source)
    task = synchronizing_task(servers, state_dir, source, settings=own)
    wait_streaming(source, task)
    cluster = task.cluster()
    with cluster.connect() as conn, source.connect() as there:
        cluster.signal_promotion()
        assert wait_until(
            lambda: conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,), 20
        )
        fork = fork_of(cluster, identity(conn).timeline)
        assert diverged(task, there, fork, 1) == []
        made = []
        for number in range(3):
            with there.transaction():
                made.append(there.execute("SELECT txid_current()").fetchone()[0])
                # Longer than a page, so that records cross page headers.
                there.execute("INSERT INTO acked VALUES (repeat('x', 30000), %s)", [number])
            there.execute("SELECT pg_switch_wal()")
        with there.transaction(force_rollback=True):
            there.execute("INSERT INTO acked VALUES ('rolled back', 1)")
        with there.transaction():
            made.append(there.execute("SELECT txid_current()").fetchone()[0])
            with there.transaction():
                there.execute("INSERT INTO acked VALUES ('in a savepoint', 1)")
        for statement in ("BEGIN", "DELETE FROM acked", "PREPARE TRANSACTION 'p'"):
            there.execute(statement)
        there.execute("COMMIT PREPARED 'p'")
        there.execute("CHECKPOINT")
        found = diverged(task, there, fork, 1)
        assert [commit["xid"] for commit in found[:-1]] == made
        assert len(found) == len(made) + 1
        assert all(fork <= Lsn.parse(commit["lsn"]) for commit in found)
        assert diverged(task, there, flush_lsn(there), 1) == []
        waldump = source.distribution.bin / "pg_waldump"
        if waldump.exists():
            assert len(found) == _commits_of(waldump, source, str(fork))


def _commits_of(waldump: Path, source: Source, start: str) -> int:
    answer = subprocess.run(
        [waldump, "-r", "Transaction", "-s", start, "-p", source.data / "pg_wal"],
        capture_output=True, text=True, check=False, env=source.distribution.environment,
    )  # fmt: skip
    return sum("COMMIT" in line for line in answer.stdout.splitlines())
