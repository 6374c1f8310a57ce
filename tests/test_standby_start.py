"""Start on the copy: the destination follows with our configuration, not the source's."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from fix_following import Following, copied, promoted, sample_until, started
from fix_servers import MIGRATOR, MIGRATOR_PASSWORD, Servers, contents, fill
from landbridge.errors import LandbridgeError, ServerFailed
from landbridge.migration.copying.destination import CONTROL
from landbridge.migration.finish import finish
from landbridge.migration.follow import Follower
from landbridge.migration.standby import reconfigure, start_standby, undo_standby
from landbridge.migration.states import Replication
from landbridge.migration.steps import undo_start
from landbridge.postgres import careful
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.conninfo import Conninfo


@pytest.mark.parametrize("major", [10, 12, 15, 18])
def test_standby_starts_on_the_copy_and_follows(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major, settings={"max_connections": 123, "work_mem": "7MB"})
    fill(source)
    task = copied(servers, source, state_dir)
    start_standby(task)
    start_standby(task)
    source.sql("INSERT INTO items VALUES (1000001, 'new')")
    follower = Follower(task)
    sample = sample_until(follower, lambda s: s.caught_up)
    follower.close()
    assert sample.state is Replication.STREAMING
    assert sample.lag_bytes == 0 and sample.lag_seconds == 0
    assert sample.disconnected_since is None
    json.dumps(sample.as_dict())
    cluster = task.cluster()
    with cluster.connect() as conn:
        assert conn.execute("SELECT t FROM items WHERE id = 1000001").fetchone() == ("new",)
        shown = dict(conn.execute("SELECT name, setting FROM pg_settings").fetchall())
    assert shown["max_connections"] == "123"
    assert shown["work_mem"] == "7168"
    assert shown["archive_mode"] == "off"
    reconfigure(task, {"work_mem": "8MB"})
    with cluster.connect() as conn:
        assert conn.execute("SHOW work_mem").fetchone() == ("8MB",)
    undo_standby(task)
    assert not cluster.data.exists() and not cluster.side.exists()


def test_password_lies_in_no_file_but_passfiles(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANDBRIDGE_FENCE_PASSWORD", "LANDBRIDGE_VERIFY_PASSWORD", "OTHER_PASSWORD"):
        monkeypatch.setenv(name, MIGRATOR_PASSWORD)
    source = servers.source(15)
    task = started(servers, source, state_dir)
    cluster = task.cluster()
    with Following(task) as following:
        following.until(lambda s: s.caught_up)
        processes = [
            (folder / name).read_bytes()
            for folder in processes_of(cluster)
            for name in ("cmdline", "environ")
        ]
    words = (MIGRATOR_PASSWORD.encode(), MIGRATOR_PASSWORD.encode("latin-1"))
    assert not any(word in text for word in words for text in processes)
    holders = {
        path.name
        for path, content in contents(cluster.side, cluster.data, state_dir)
        if any(escaped(word) in content for word in words)
    }
    assert holders == {"source.pgpass", "primary.pgpass"}
    assert (cluster.side / "primary.pgpass").stat().st_mode & 0o777 == 0o600


def processes_of(cluster: Cluster) -> list[Path]:
    """The /proc folders of our server and its lasting children, and of nobody else."""
    postmaster = cluster.process()
    assert postmaster is not None
    folder = Path(f"/proc/{postmaster.pid}")
    children = (folder / f"task/{postmaster.pid}/children").read_text().split()
    lasting = []
    for process in (Path(f"/proc/{pid}") for pid in children):
        with contextlib.suppress(OSError):  # a client's goes with it
            line = (process / "cmdline").read_bytes()
            if any(word in line for word in (b"walreceiver", b"startup", b"checkpointer")):
                lasting.append(process)
    assert len(lasting) == 3
    return [folder, *lasting]


def escaped(word: bytes) -> bytes:
    """The part of the password that every way of quoting leaves alone."""
    return word.partition(b":")[2].partition(b"\\")[0]


def test_partial_copy_is_refused(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    task = copied(servers, source, state_dir)
    (task.cluster().data / "landbridge.partial").touch()
    with pytest.raises(LandbridgeError) as refused:
        start_standby(task)
    assert refused.value.id == "start.partial_copy"


class Died(BaseException):
    """Stands for the death of the process."""


@pytest.mark.parametrize("major", [10, 15])
def test_undo_that_dies_leaves_nothing_to_start_and_is_repeated(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch, major: int
) -> None:
    task = started(servers, servers.source(major), state_dir)
    for phase in ("begin", "end"):
        task.journal.append("step", name="start", phase=phase)
    cluster = task.cluster()

    def die(folder: Path, **_: object) -> None:
        for name in ("standby.signal", "recovery.conf"):
            (folder / name).unlink(missing_ok=True)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(careful, "erase", die)
        with pytest.raises(Died):
            undo_start(task)
    assert (cluster.data / "PG_VERSION").exists() and not (cluster.data / CONTROL).exists()
    with pytest.raises(ServerFailed):
        cluster.start()
    undo_start(task)
    assert not cluster.data.exists() and not cluster.side.exists()


def test_promoted_destination_starts_with_pg_ctl_after_a_boot(
    servers: Servers, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = servers.root / "tmp"
    scratch.mkdir(mode=0o777)
    scratch.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    source = servers.source(15)
    fill(source, 100)
    task = started(servers, source, state_dir)
    finish(task, promoted(task))
    cluster = task.cluster()
    cluster.stop()
    for left in scratch.glob("landbridge-*"):
        shutil.rmtree(left)
    command = [cluster.distribution.program("pg_ctl"), "-D", cluster.data, "-w", "start"]
    subprocess.run(
        command, check=True, timeout=60, env=cluster.distribution.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        **cluster.account.popen_arguments(),
    )  # fmt: skip
    conninfo = f"host=127.0.0.1 port={cluster.port} user={MIGRATOR} dbname=postgres"
    there = Conninfo.parse(conninfo).with_password(MIGRATOR_PASSWORD)
    with there.connect() as conn:
        assert conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    with cluster.connect() as conn:
        conn.execute("INSERT INTO items VALUES (-1, 'after the boot')")
        assert conn.execute("SELECT count(*) FROM items").fetchone() == (101,)
