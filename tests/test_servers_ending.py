"""Nothing that was started from a server outlives `end_all`."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from landbridge.errors import ServerFailed
from landbridge.network.fabric import Fabric
from landbridge.postgres.osaccount import OsAccount
from landbridge.postgres.process import wait_until
from landbridge.servers import ending, room
from landbridge.servers.cgroup import SERVICE, Group
from landbridge.servers.identity import is_own, own_account
from landbridge.servers.shut_in import Room, through

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root")

NO_BOUNDS = "the controllers memory and cpu are not there for control groups of version 2"
#: With an account of its own nothing is asked of the network.
NOWHERE = cast("Fabric", None)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[OsAccount]:
    made = own_account(tmp_path, 7)
    if not is_own(made):
        pytest.skip("no accounts of their own here")
    yield made
    room.end_all(NOWHERE, "pgm-x", made)


def _run(account: OsAccount, program: str, group: Group | None = None) -> subprocess.Popen[bytes]:
    entry = group.entry() if group else None

    def bound() -> None:
        if entry is not None:
            os.write(entry, b"0")
        resource.setrlimit(resource.RLIMIT_NPROC, (60, 60))

    arguments: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []}
    return subprocess.Popen(
        ["/usr/bin/python3", "-c", program],
        preexec_fn=bound, stderr=subprocess.DEVNULL, start_new_session=True, **arguments,
    )  # fmt: skip


@pytest.mark.parametrize(
    "program",
    [
        # Sessions of their own, adopted by init.
        "import os,time\nfor _ in range(5):\n if os.fork()==0:\n  os.setsid(); time.sleep(600)",
        # A fork bomb that hears no signal it may ignore.
        "import os,signal\nfor n in (1,2,3,13,15): signal.signal(n, signal.SIG_IGN)\n"
        "while True:\n try: os.fork()\n except OSError: pass",
        # The first thread ends, and it looks like a zombie.
        "import threading,time,ctypes\n"
        "threading.Thread(target=time.sleep,args=(600,)).start()\ntime.sleep(.2)\n"
        "ctypes.CDLL(None).pthread_exit(None)",
    ],
    ids=["detached", "bomb", "headless"],
)
def test_whatever_was_started_ends(account: OsAccount, program: str) -> None:
    child = _run(account, program)
    try:
        least = 5 if "range(5)" in program else 50 if "SIG_IGN" in program else 1
        assert wait_until(lambda: len(ending.living(NOWHERE, "x", account)) >= least, 60, 0.05)
        room.end_all(NOWHERE, "pgm-x", account)
        assert ending.living(NOWHERE, "pgm-x", account) == []
    finally:
        room.end_all(NOWHERE, "pgm-x", account)
        child.wait()


def test_what_replaces_itself_all_the_time_ends_with_its_group(account: OsAccount) -> None:
    group = Group.of("pgm-x", account)
    if group is None or not group.make(memory_mb=64, cpus=1):
        pytest.skip("no control groups of version 2 to write")
    # Each process is gone before it could be looked at.
    comet = "import os\nwhile True:\n if os.fork(): os._exit(0)"
    child = _run(account, comet, group)
    child.wait()
    assert not group.is_empty
    room.end_all(NOWHERE, "pgm-x", account)
    assert group.is_empty and not group.path.exists()
    assert ending.living(NOWHERE, "pgm-x", account) == []


def test_a_group_gets_the_bounds_of_its_class(tmp_path: Path) -> None:
    group = Group(tmp_path / "pgm-x")
    assert group.make(memory_mb=64, cpus=2)
    for name, said in (
        ("memory.max", "67108864"), ("memory.swap.max", "0"), ("cpu.max", "200000 100000")
    ):  # fmt: skip
        assert (group.path / name).read_text() == said
    assert Group(tmp_path / "pgm-y").make(memory_mb=0, cpus=0)
    assert [f.name for f in (tmp_path / "pgm-y").iterdir()] == ["cgroup.procs"]


def test_groups_of_servers_lie_beside_that_of_the_service(account: OsAccount) -> None:
    """What is divided holds no process itself: else its controllers cannot be used below it."""
    outer = Group.of("outer", account)
    if outer is None or not outer.make(memory_mb=0, cpus=0):
        pytest.skip("no control groups of version 2 to write")
    inner = outer.path / SERVICE
    inner.mkdir()
    entry = os.open(inner / "cgroup.procs", os.O_WRONLY)
    say = (
        "from landbridge.servers.cgroup import Group\n"
        "from landbridge.postgres.osaccount import OsAccount\n"
        f"print(Group.of('pgm-x', OsAccount.numbered({account.uid})).path)"
    )
    try:
        said = subprocess.run(
            [sys.executable, "-c", say], preexec_fn=lambda: os.write(entry, b"0"),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    finally:
        os.close(entry)
        assert wait_until(lambda: "populated 0" in (inner / "cgroup.events").read_text(), 30)
        inner.rmdir()
        outer.remove()
    assert said.stdout.strip() == str(outer.path / f"landbridge-pgm-x-{account.uid}")


@pytest.fixture
def bounded(account: OsAccount) -> Iterator[Group]:
    """A group with 64 MB and one processor, that its kernel keeps to."""
    group = Group.of("pgm-x", account)
    if group is None or not group.make(memory_mb=64, cpus=1):
        pytest.skip("no control groups of version 2 to write")
    yield group
    group.kill()
    assert wait_until(lambda: group.is_empty, 30)
    group.remove()


def test_a_server_gets_no_more_memory_than_its_class_has(
    bounded: Group, account: OsAccount
) -> None:
    if not (bounded.path / "memory.max").exists():
        pytest.skip(NO_BOUNDS)
    assert _run(account, "import time; time.sleep(.1)", bounded).wait(30) == 0
    greedy = _run(account, "x = bytearray(256 << 20)", bounded)
    assert greedy.wait(60) == -signal.SIGKILL
    assert "oom_kill 1" in (bounded.path / "memory.events").read_text()


def test_a_server_gets_no_more_processor_time_than_its_class_has(
    bounded: Group, account: OsAccount
) -> None:
    if not (bounded.path / "cpu.max").exists():
        pytest.skip(NO_BOUNDS)
    begun = time.monotonic()
    busy = [_run(account, "while True: pass", bounded) for _ in range(3)]
    time.sleep(2)  # how long they run is what is measured against
    used = re.search(r"usage_usec (\d+)", (bounded.path / "cpu.stat").read_text())
    for child in busy:
        child.kill()
        child.wait()
    assert used and 0 < int(used[1]) / 1e6 < 1.3 * (time.monotonic() - begun)


def test_whatever_becomes_a_server_ends_what_an_earlier_one_left(account: OsAccount) -> None:
    left = _run(account, "import time; time.sleep(600)")
    assert wait_until(lambda: bool(ending.living(NOWHERE, "x", account)), 30)
    becomes = through(Room((), (account.uid, account.gid), server="pgm-x"))
    assert subprocess.run([*becomes, "/bin/true"], check=False).returncode == 0
    assert left.wait(5) == -signal.SIGKILL


def test_memory_semaphores_and_queues_that_are_left_go_also_when_given_away(
    account: OsAccount, tmp_path: Path
) -> None:
    other = own_account(tmp_path, 8)
    make = (
        "import ctypes\nlibc = ctypes.CDLL(None)\nmode = 0o1600\n"
        "id = libc.shmget(0, 4096, mode)\n"
        "assert id >= 0 and libc.semget(0, 2, mode) >= 0 and libc.msgget(0, mode) >= 0\n"
    )
    # IPC_SET: struct ipc_perm begins with key, uid and gid.
    give = (
        "perm = ctypes.create_string_buffer(256)\nassert libc.shmctl(id, 2, perm) == 0\n"
        f"perm[4:8] = ({other.uid}).to_bytes(4, 'little')\nassert libc.shmctl(id, 1, perm) == 0"
    )
    try:
        assert _run(other, make).wait() == 0
        assert _run(account, make + give).wait() == 0
        assert _left(account) == 3
        room.end_all(NOWHERE, "pgm-x", account)
        assert _left(account) == 0 and _left(other) == 3
    finally:
        room.end_all(NOWHERE, "pgm-x", other)
    assert _left(other) == 0


def _left(account: OsAccount) -> int:
    """How many things of System V an account has made on this machine."""
    count = 0
    for kind in ("shm", "sem", "msg"):
        names, *lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()
        maker = names.split().index("cuid")
        count += sum(line.split()[maker] == str(account.uid) for line in lines)
    return count


def test_an_account_that_others_have_is_not_ended() -> None:
    shared = OsAccount.for_servers()
    with pytest.raises(ServerFailed) as refused:
        ending.command("pgm-x", shared)
    assert refused.value.id == "server.shared_account"
    with pytest.raises(SystemExit) as ended:
        ending.main(["pgm-x", str(shared.uid)])
    assert "not one server's alone" in str(ended.value)


def test_a_neighbour_is_left_alone(account: OsAccount, tmp_path: Path) -> None:
    other = own_account(tmp_path, 8)
    neighbour = _run(other, "import time; time.sleep(600)")
    try:
        assert wait_until(lambda: bool(ending.living(NOWHERE, "x", other)), 30)
        room.end_all(NOWHERE, "pgm-x", account)
        assert neighbour.poll() is None
    finally:
        neighbour.kill()
        neighbour.wait()
