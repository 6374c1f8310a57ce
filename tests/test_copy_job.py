"""Where the copy may go, how it is compressed and throttled, and how it is undone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from copy_lab import copy_task, run, slots, start_as_standby, wait_copied
from fix_servers import Servers, Source, fill, majors
from fix_wire import Wire
from landbridge.errors import CopyFailed, MigrationCancelled, ReplicationFailed, UsageError
from landbridge.migration.copying import MARKER, CopyJob, CopyProgress, Phase
from landbridge.migration.copying.choice import choose
from landbridge.migration.copying.compression import Compression, Method
from landbridge.migration.copying.destination import CONTROL, PENDING_CONTROL
from landbridge.migration.copying.meter import Meter
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.replication import ReplicationConnection

MAJOR = 15 if 15 in majors() else majors()[-1]


def test_progress_grows_to_the_total(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    fill(source)
    seen: list[CopyProgress] = []
    job = CopyJob(copy_task(servers, state_dir, source, max_rate=10 * 1024**2))
    result = run(job, seen.append)
    copied = [p.copied for p in seen]
    assert copied == sorted(copied)
    under_way = [p for p in seen if p.phase is Phase.COPYING and p.rate]
    assert any(p.eta is not None and 0 < p.eta < 300 for p in under_way)
    last = job.progress()
    assert last is not None
    assert last.copied == last.total >= result.bytes


def test_rate_limit_is_kept(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    limit = 10 * 1024**2
    result = run(CopyJob(copy_task(servers, state_dir, source, max_rate=limit, compression="none")))
    assert 0.3 * limit < result.wire_bytes / result.seconds < 1.05 * limit


@pytest.mark.skipif(15 not in majors(), reason="no PostgreSQL 15 built with lz4 and zstd")
@pytest.mark.parametrize(
    "compression", ["zstd:3:2", pytest.param("zstd", marks=pytest.mark.slow), "lz4", "gzip:1"]
)
def test_each_compression_gives_the_same_files(
    servers: Servers, state_dir: Path, compression: str
) -> None:
    source = servers.source(15)
    fill(source, 50_000)
    task = copy_task(servers, state_dir, source, compression=compression)
    result = run(CopyJob(task))
    assert (result.compression, result.manifest) == (compression, "verified")
    assert result.wire_bytes < result.bytes / 2
    with start_as_standby(servers, task).connect() as conn:
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (50_000,)


@pytest.mark.skipif(15 not in majors(), reason="no PostgreSQL 15 built with zstd")
def test_slow_line_is_measured_and_compressed(
    servers: Servers, state_dir: Path, wires: type[Wire]
) -> None:
    source = servers.source(15)
    wire = wires(source.port)
    wire.rate = 20e6
    result = run(CopyJob(copy_task(servers, state_dir, source, wire=wire.port)))
    assert result.compression == "zstd:3:2"


def test_build_without_the_wanted_compression(servers: Servers, state_dir: Path) -> None:
    found = [m for m in majors() if m >= 15]
    lacking = next((m for m in found if "zstd" not in _known(servers, m)), None)
    if lacking is None:
        pytest.skip("every PostgreSQL here knows zstd")
    source = servers.made[-1]
    assert isinstance(source, Source)
    with pytest.raises(CopyFailed) as caught:
        run(CopyJob(copy_task(servers, state_dir, source, compression="zstd")))
    assert caught.value.id == "copy.compression_unsupported"
    # Chosen for ourselves, what is refused is passed over.
    task = copy_task(servers, state_dir, source, max_rate=100 * 1024**2)
    assert run(CopyJob(task)).compression == "gzip:1"


def _known(servers: Servers, major: int) -> list[str]:
    ((values,),) = servers.source(major).sql(
        "SELECT enumvals FROM pg_settings WHERE name = 'wal_compression'"
    )
    return list(values)


def test_source_before_15_does_not_compress(servers: Servers, state_dir: Path) -> None:
    older = [m for m in majors() if m < 15]
    if not older:
        pytest.skip("no PostgreSQL before 15 here")
    source = servers.source(older[-1])
    with pytest.raises(CopyFailed) as caught:
        run(CopyJob(copy_task(servers, state_dir, source, compression="lz4")))
    assert caught.value.id == "copy.compression_unsupported"


def test_compression_follows_the_line_and_the_build() -> None:
    everything = set(Method)
    mbit = 1e6 / 8
    assert str(choose(100 * mbit, everything)[0]) == "zstd:3:2"
    assert str(choose(3000 * mbit, everything)[0]) == "zstd:1:2"
    assert str(choose(6000 * mbit, everything)[0]) == "none"
    assert str(choose(1000 * mbit, {Method.GZIP, Method.LZ4})[0]) == "lz4"
    assert str(choose(1000 * mbit, {Method.GZIP})[0]) == "gzip:1"
    assert str(choose(2000 * mbit, {Method.GZIP})[0]) == "none"


@pytest.mark.parametrize("text", ["bzip2", "zstd:x", "gzip:1:2", "zstd:1:2:3", ""])
def test_nonsense_is_no_compression(text: str) -> None:
    with pytest.raises(UsageError):
        Compression.parse(text)


def test_eta_follows_the_smoothed_rate() -> None:
    now, seen = 0.0, []
    meter = Meter(seen.append, clock=lambda: now)
    meter.total = 1000
    meter.enter(Phase.COPYING)
    for _ in range(20):
        now += 0.5
        meter.copied += 20
        meter.tick()
    assert seen[-1].rate == pytest.approx(40)
    assert seen[-1].eta == pytest.approx((1000 - 400) / 40)


def test_somebody_elses_files_are_refused_and_kept(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    task = copy_task(servers, state_dir, source)
    data = Path(task.request.data)
    data.mkdir()
    (data / "precious").touch()
    job = CopyJob(task)
    with pytest.raises(CopyFailed, match="precious") as caught:
        job.start_or_adopt()
    assert caught.value.id == "copy.destination_not_empty"
    assert slots(source) == []
    job.undo()
    assert (data / "precious").exists()


def test_partial_copy_of_another_task_is_refused_and_named(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(MAJOR)
    first = CopyJob(copy_task(servers, state_dir, source, max_rate=1024**2))
    first.start_or_adopt()
    wait_copied(first)
    second = CopyJob(copy_task(servers, state_dir, source))
    with pytest.raises(CopyFailed, match=first.task.id):
        second.start_or_adopt()
    first.undo()


def test_tablespace_folder_in_use_is_refused_and_kept(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    there = source.account.make_dir(servers.root / "ts")
    source.sql(f"CREATE TABLESPACE far LOCATION '{there}'")
    job = CopyJob(copy_task(servers, state_dir, source))
    with pytest.raises(CopyFailed, match=str(there)) as caught:
        run(job)
    assert caught.value.id == "copy.destination_not_empty"
    assert any(there.iterdir())
    job.undo()
    assert any(there.iterdir())


@pytest.mark.parametrize("major", [m for m in majors() if m in (15, 18)])
def test_tablespace_inside_the_data_directory_stays_there(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major, settings={"allow_in_place_tablespaces": "on"})
    source.sql("CREATE TABLESPACE near LOCATION ''")
    source.sql("CREATE TABLE inside TABLESPACE near AS SELECT 42 AS i")
    task = copy_task(servers, state_dir, source)
    result = run(CopyJob(task))
    assert (result.tablespaces, result.manifest) == ({}, "verified")
    standby = start_as_standby(servers, task, allow_in_place_tablespaces="on")
    with standby.connect() as conn:
        assert conn.execute("SELECT i FROM inside").fetchone() == (42,)


def test_undo_in_the_middle_leaves_nothing(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    there, here = servers.root / "ts", servers.root / "ts-here"
    source.account.make_dir(there)
    source.sql(f"CREATE TABLESPACE far LOCATION '{there}'")
    here.mkdir()
    task = copy_task(
        servers, state_dir, source, tablespaces={str(there): str(here)}, max_rate=8 * 1024**2
    )
    job = CopyJob(task)
    job.start_or_adopt()
    wait_copied(job, 4 * 1024**2)
    child = job.child()
    job.undo()
    assert child is not None
    assert not child.alive()
    assert not Path(task.request.data).exists()
    assert here.exists()  # it was there before
    assert not any(here.iterdir())
    assert slots(source) == []
    job.undo()  # once more is no error


def test_cancelled_copy_ends_its_child(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    job = CopyJob(copy_task(servers, state_dir, source, max_rate=4 * 1024**2))
    job.start_or_adopt()
    child = job.child()
    with pytest.raises(MigrationCancelled):
        job.wait(lambda _: None, lambda: True)
    assert child is not None
    assert not child.alive()
    job.undo()


def test_empty_cluster_is_set_aside_and_put_back(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    task = copy_task(servers, state_dir, source, replaces_empty_cluster=True)
    request = task.request
    empty = Cluster(Path(request.data), source.distribution, request.port)
    empty.init()
    empty.configure({})
    servers.adopt(empty).start()
    job = CopyJob(task)
    with pytest.raises(CopyFailed) as caught:
        job.start_or_adopt()
    assert caught.value.id == "copy.destination_in_use"
    empty.stop()
    version = (empty.data / "PG_VERSION").stat().st_ino

    run(job)

    assert (job.aside / "PG_VERSION").stat().st_ino == version
    assert (empty.data / "PG_VERSION").stat().st_ino != version
    job.undo()
    assert (empty.data / "PG_VERSION").stat().st_ino == version
    empty.start()


def test_another_cluster_at_the_same_address_is_refused(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    job = CopyJob(copy_task(servers, state_dir, source, system_identifier="42"))
    with pytest.raises(CopyFailed, match="42") as caught:
        run(job)
    assert caught.value.id == "copy.other_cluster"


def test_copier_killed_before_the_seal_is_sealed_by_its_parent(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(MAJOR)
    task = copy_task(servers, state_dir, source)
    job = CopyJob(task)
    result = run(job)
    data = Path(task.request.data)
    (data / CONTROL).rename(data / PENDING_CONTROL)
    (data / MARKER).touch()
    assert run(job) == result  # nothing is copied again
    assert (data / CONTROL).exists()
    assert not (data / MARKER).exists()


def test_files_are_durable_before_the_copy_counts(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(MAJOR)
    job = CopyJob(copy_task(servers, state_dir, source, sync=True))
    synced: set[int] = set()
    fsync = os.fsync

    def record(fd: int) -> None:
        synced.add(os.fstat(fd).st_ino)
        fsync(fd)

    job.start_or_adopt()
    job.wait(lambda _: None, lambda: False)
    monkeypatch.setattr(os, "fsync", record)
    job._destination.sync()
    data = Path(job.task.request.data)
    assert {p.stat().st_ino for p in (data, *data.rglob("*"))} <= synced


@pytest.mark.parametrize(
    ("settings", "role", "hba", "id"),
    [
        ({}, "LOGIN REPLICATION", "host all all 127.0.0.1/32 trust", "replication.no_hba_line"),
        ({}, "LOGIN", None, "replication.no_privilege"),
        ({"max_wal_senders": 0}, "LOGIN REPLICATION", None, "replication.no_walsender"),
        ({"max_replication_slots": 0}, "LOGIN REPLICATION", None, "replication.no_slot_free"),
    ],
)
@pytest.mark.parametrize("major", sorted({majors()[0], majors()[-1]}))
def test_refused_replication_is_named(
    servers: Servers, major: int, settings: dict[str, str | int], role: str, hba: str | None,
    id: str,
) -> None:  # fmt: skip
    line = hba or "host all,replication all 127.0.0.1/32 trust"
    source = servers.source(major, settings=settings, hba=[line], prepared=False)
    source.sql(f"CREATE ROLE migrator {role}")
    with (
        pytest.raises(ReplicationFailed) as caught,
        ReplicationConnection.connect(source.conninfo()) as conn,
    ):
        conn.create_physical_slot("landbridge_test")
    assert caught.value.id == id
    assert caught.value.remedy
