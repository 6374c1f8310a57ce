"""What may go wrong during the copy: noticed, named, cleaned up, and begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from copy_lab import copy_task, run, slots, start_as_standby, wait_copied
from fix_servers import MIGRATOR_PASSWORD, Servers, Source, fill, majors
from fix_wire import Wire
from landbridge.errors import CopyFailed, ServerFailed
from landbridge.migration.copying import MARKER, CopyJob
from landbridge.migration.copying.plain import PlainEngine
from landbridge.migration.copying.tar import TarReader
from landbridge.migration.task import Task
from landbridge.postgres.process import wait_until

MAJOR = 15 if 15 in majors() else majors()[-1]

#: A rate at which the copy of a small cluster takes a few seconds.
SLOW = 8 * 1024**2


def slow_task(servers: Servers, state_dir: Path, source: Source, **more: object) -> Task:
    return copy_task(servers, state_dir, source, max_rate=SLOW, compression="none", **more)


def test_copier_killed_then_next_attempt_cleans_and_succeeds(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(MAJOR)
    fill(source)
    task = slow_task(servers, state_dir, source)
    job = CopyJob(task)
    job.start_or_adopt()
    wait_copied(job, 4 * 1024**2)
    child = job.child()
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(CopyFailed) as caught:
        job.wait(lambda _: None, lambda: False)
    assert (caught.value.id, caught.value.retryable) == ("copy.child_died", True)
    left = Path(task.request.data) / "left-behind"
    left.touch()

    result = run(job)

    assert not left.exists()
    assert result.manifest == "verified"
    with start_as_standby(servers, task).connect() as conn:
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (20000,)


def test_parent_gone_and_its_copier_is_adopted_not_started_twice(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(MAJOR)
    task = slow_task(servers, state_dir, source)
    script = (
        "import sys; from pathlib import Path; from landbridge.migration.task import Task;"
        "from landbridge.migration.copying import CopyJob;"
        "CopyJob(Task(Path(sys.argv[1]))).start_or_adopt()"
    )
    subprocess.run([sys.executable, "-c", script, task.folder], check=True)
    job = CopyJob(task)
    first = job.child()
    assert first is not None
    job.start_or_adopt()
    assert job.child() == first

    result = job.wait(lambda _: None, lambda: False)

    assert result.files > 500
    assert len(slots(source)) == 1
    log = (job.folder / "log").read_text()
    assert log == ""


def test_dead_wire_is_noticed_within_seconds(
    servers: Servers, state_dir: Path, wires: type[Wire]
) -> None:
    source = servers.source(MAJOR)
    wire = wires(source.port)
    task = slow_task(servers, state_dir, source, wire=wire.port)
    job = CopyJob(task)
    job.start_or_adopt()
    wait_copied(job, 4 * 1024**2)
    begun = time.monotonic()
    wire.cut()
    with pytest.raises(CopyFailed) as caught:
        job.wait(lambda _: None, lambda: False)
    assert 8 < time.monotonic() - begun < 20  # TCP by itself gives up after minutes
    assert (caught.value.id, caught.value.retryable) == ("copy.wire_dead", True)
    assert "10 s" in caught.value.message
    assert not Path(task.request.data).exists()


def test_short_stall_of_the_wire_is_survived(
    servers: Servers, state_dir: Path, wires: type[Wire]
) -> None:
    source = servers.source(MAJOR)
    wire = wires(source.port)
    job = CopyJob(slow_task(servers, state_dir, source, wire=wire.port))
    job.start_or_adopt()
    wait_copied(job, 4 * 1024**2)
    wire.cut()
    time.sleep(4)  # the stall itself
    wire.mend()
    assert job.wait(lambda _: None, lambda: False).manifest == "verified"


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_source_restarted_during_the_copy(servers: Servers, state_dir: Path, mode: str) -> None:
    source = servers.source(MAJOR)
    task = slow_task(servers, state_dir, source)
    job = CopyJob(task)
    job.start_or_adopt()
    wait_copied(job, 4 * 1024**2)
    source.stop(mode)
    with pytest.raises(CopyFailed) as caught:
        job.wait(lambda _: None, lambda: False)
    assert (caught.value.id, caught.value.retryable) == ("copy.source_gone", True), caught.value
    source.start()
    assert run(job).manifest == "verified"


@pytest.fixture
def small_disk(servers: Servers) -> Iterator[Path]:
    """A filesystem of 24 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small tmpfs")
    path = servers.root / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a tmpfs here")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_full_disk_is_named_and_emptied(
    servers: Servers, state_dir: Path, small_disk: Path
) -> None:
    source = servers.source(MAJOR)
    fill(source, 100_000)
    task = copy_task(servers, state_dir, source, data=str(small_disk / "data"))
    with pytest.raises(CopyFailed) as caught:
        run(CopyJob(task))
    assert (caught.value.id, caught.value.retryable) == ("copy.disk_full", False)
    assert not any(small_disk.iterdir())


def test_partial_copy_cannot_be_started_as_data(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    task = slow_task(servers, state_dir, source)
    job = CopyJob(task)
    job.start_or_adopt()
    wait_copied(job, 12 * 1024**2)
    child = job.child()
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    cluster = servers.adopt(task.cluster())
    assert (cluster.data / MARKER).read_text().strip() == task.id
    cluster.configure({})
    with pytest.raises(ServerFailed, match=r"pg_control|control file"):
        cluster.start()
    os.kill(child.pid, signal.SIGKILL)


def test_damaged_page_on_the_source_is_named(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    fill(source)
    ((path,),) = source.sql("SELECT pg_relation_filepath('items')")
    source.stop()
    with (source.data / path).open("r+b") as file:
        file.seek(3 * 8192 + 4000)
        file.write(b"rot")
    source.start()
    with pytest.raises(CopyFailed) as caught:
        run(CopyJob(copy_task(servers, state_dir, source)))
    assert caught.value.id == "copy.corrupt_page"
    assert f'"./{path}", block 3' in caught.value.message
    assert f"pg_filenode_relation(0, {path.rpartition('/')[2]})" in (caught.value.remedy or "")


def test_changed_byte_does_not_pass_the_manifest(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(MAJOR)
    job = CopyJob(copy_task(servers, state_dir, source, compression="none"))
    job.start_or_adopt()
    job.wait(lambda _: None, lambda: False)
    feed, done = TarReader.feed, []

    def flip(self: TarReader, piece: memoryview) -> None:
        if not done and len(piece) == 8192:
            done.append(True)
            piece = memoryview(bytes(piece[:100]) + bytes([piece[100] ^ 1]) + bytes(piece[101:]))
        feed(self, piece)

    monkeypatch.setattr(TarReader, "feed", flip)
    job._destination.unseal()
    with pytest.raises(CopyFailed, match=r"1 files differ.*another checksum") as caught:
        PlainEngine().run(job.spec(), lambda _: None)
    assert caught.value.id == "copy.manifest_mismatch"


def test_no_password_is_left_in_the_copy_folder(servers: Servers, state_dir: Path) -> None:
    source = servers.source(MAJOR)
    job = CopyJob(slow_task(servers, state_dir, source))
    job.start_or_adopt()
    child = job.child()
    assert child is not None
    secret = MIGRATOR_PASSWORD.encode()
    for name in ("cmdline", "environ"):
        assert secret not in Path(f"/proc/{child.pid}/{name}").read_bytes()
    job.wait(lambda _: None, lambda: False)
    for path in job.folder.iterdir():
        assert secret not in path.read_bytes()
    assert wait_until(lambda: job.child() is None, 20)
