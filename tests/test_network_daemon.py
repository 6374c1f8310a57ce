"""The daemon: its language, who may ask it, its life and death, and what runs at a place."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import inspect
import json
import os
import pty
import resource
import select
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from fix_network import ORDINARY, Mode, Net, a_network, plain_python, two_regions
from fix_processes import command_lines
from landbridge.errors import LandbridgeError, NetworkFailed, NetworkRefused
from landbridge.network import fabric as words
from landbridge.network.converge import Action, converge
from landbridge.network.daemon import FabricClient, protocol, start, stop, userns
from landbridge.network.daemon.layout import Layout
from landbridge.network.daemon.server import Server
from landbridge.network.daemon.userns import Holder
from landbridge.network.fabric import Outcome
from landbridge.network.things import Attachment, Grant, Instance, Line, LineType, network
from landbridge.network.topology import Topology
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.process import ProcessId, wait_until
from landbridge.servers import sandbox

starting = sys.modules[start.__module__]
answering = sys.modules[Server.__module__]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="not root")

ANSWERS: dict[str, Any] = {
    "capabilities": words.Capabilities(
        "fake", words.Isolation.NONE, words.Bandwidth.RELAY, True, False, True, ("because",)
    ),
    "ensure_endpoint": words.Endpoint("10.0.0.5", 5432, True, ("127.0.0.0/8", "10.0.0.0/8")),
    "endpoint": words.Endpoint("10.0.0.5", 5432, False),
    "path": words.Path("10.0.0.5", "127.0.0.9", 5433),
    "probe": words.ProbeAnswer(Outcome.NOT_WHITELISTED, 0.25, "nein, sagt die Tür"),
    "publish": ("127.0.0.1", 40000),
    "meter": words.Meter(1 << 40, 7),
    "observe": [words.Observed("vpc", "vpc-1"), words.Observed("line", "l")],
    "gc": [words.Observed("line", "l")],
    "status": ["no room"],
}


class Fake:
    """A driver that writes down what it is asked and answers what it was told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.entered = threading.Semaphore(0)
        self.raising: Exception | None = None

    def namespace(self, instance: str) -> None:
        return None

    def __getattr__(self, verb: str) -> Any:
        def do(**arguments: Any) -> Any:
            self.asked.append((verb, arguments))
            self.entered.release()
            assert self.hold.wait(20)
            if self.raising is not None:
                raise self.raising
            return ANSWERS.get(verb)

        return do


class Hosted:
    """A server with the fake driver in this process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self.fake = Fake()
        self.server = Server(folder, self.fake, reasons=("chosen",))  # type: ignore[arg-type]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.path = folder / protocol.SOCKET
        self.client = FabricClient(self.path)

    def say(self, text: bytes) -> dict[str, Any]:
        """What is answered to raw bytes after the key."""
        with protocol.connect(self.path, 20) as connection, connection.makefile("rb") as stream:
            connection.sendall(text)
            found = json.loads(stream.readline())
            assert isinstance(found, dict)
            return found

    def works(self) -> bool:
        return self.client.status() == ANSWERS["status"]


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Hosted]:
    made = Hosted(tmp_path / "state")
    try:
        yield made
    finally:
        made.fake.hold.set()
        made.server.close()


def _arguments() -> dict[str, dict[str, Any]]:
    """For every verb what a caller may pass, taken from the things of a real topology."""
    topology = two_regions()
    things: dict[str, Any] = {
        "vpc": topology.vpcs["vpc-1h"],
        "vswitch": topology.vswitches["vsw-1h"],
        "router": topology.transit_routers["tr-1h"],
        "attachment": Attachment("at", "tr-1h", "vpc-1h"),
        "line": Line("l", "a", "b", None, LineType.PLATINUM),
    }
    whitelist = (network("10.0.0.0/8"), network("192.168.7.7"))
    place = Instance("pg", "vsw-1h", IPv4Address("10.10.1.9"), 6000, whitelist)
    others = {"id": "x", "client": "a", "server": "b", "address": IPv4Address("10.0.0.5"),
              "port": 5432, "timeout": 0.5, "host": "127.0.0.1", "valid": ["a", "b"]}  # fmt: skip
    found = {}
    for verb in (v for v in dir(words.Verbs) if protocol.is_verb(v)):
        names = [n for n in inspect.signature(getattr(words.Verbs, verb)).parameters if n != "self"]
        found[verb] = {n: (things | others).get(n) for n in names}
        if "instance" in names:
            found[verb]["instance"] = place if verb == "ensure_endpoint" else "pg"
        if verb == "meter":
            found[verb]["line"] = "l"
    return found


def test_every_verb_carries_its_arguments_and_its_answer(
    hosted: Hosted, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("landbridge.network.daemon.server._SLOW", 1000.0)
    for verb, arguments in _arguments().items():
        answer = getattr(hosted.client, verb)(**arguments)
        assert hosted.fake.asked[-1] == (verb, arguments)
        if verb == "capabilities":
            assert answer.reasons == ("chosen", "because")
        else:
            assert answer == ANSWERS.get(verb), verb
    assert len(hosted.fake.asked) > 20
    assert caplog.messages == [], "the log does not grow with what is asked"


@pytest.mark.parametrize(
    "text",
    [
        b"{", b"\xff\xfe", b"[]", b"7", b"{}", b'{"do": 7}', b'{"do": "dance"}', b'{"do": null}',
        b'{"do": "__init__"}', b'{"do": "namespace", "instance": "a"}', b'{"do": "drop_vpc"}',
        b'{"do": "drop_vpc", "id": 7}', b'{"do": "drop_vpc", "id": "a", "more": 1}',
        b'{"do": "ensure_vpc", "vpc": {"id": "a"}}', b'{"do": "ensure_vpc", "vpc": "a"}',
        b'{"do": "ensure_vpc", "vpc": {"id":"a","account":"1","region":"r","cidr":"10.0.0.0/99"}}',
        b'{"do": "ensure_vpc", "vpc": {"id":"a","account":"1","region":"r","cidr":"10.0.0.0/8",'
        b'"x":1}}', b'{"do": "gc", "valid": "abc"}', b'{"do": "meter", "line": true}',
        b'{"do": "enter", "instance": 5}', b'{"do": "command", "instance": "a", "command": []}',
        b'{"do": "mro"}', b'{"do": "register"}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words_and_reaches_no_driver(hosted: Hosted, text: bytes) -> None:
    answer = hosted.say(text + b"\n")
    assert answer["error"]["id"] in ("network.bad_request", "network.unknown_verb"), answer
    assert hosted.fake.asked == []
    assert hosted.works()


def test_an_endless_line_is_cut_short(hosted: Hosted) -> None:
    answer = hosted.say(b"x" * (protocol.LIMIT + 1))
    assert answer["error"]["id"] == "network.bad_request"
    with protocol.connect(hosted.path, 20) as connection, pytest.raises(OSError):
        for _ in range(1000):
            connection.sendall(b"x" * protocol.LIMIT)
    assert hosted.works()


def test_one_connection_takes_many_requests(hosted: Hosted) -> None:
    with protocol.connect(hosted.path, 20) as connection, connection.makefile("rb") as stream:
        connection.sendall(b'{"do": "status"}\nnonsense\n{"do": "status"}\n')
        told = [json.loads(stream.readline()) for _ in range(3)]
    assert ["error" in answer for answer in told] == [False, True, False]


def test_clients_that_die_disturb_nobody(hosted: Hosted) -> None:
    for text in (b"", b'{"do": "sta', b'{"do": "status"}\n'):
        for _ in range(20):
            with protocol.connect(hosted.path) as connection:
                connection.sendall(text)
    hosted.fake.hold.clear()
    with protocol.connect(hosted.path) as connection:
        connection.sendall(protocol.request("drop_vpc", {"id": "a"}))
        assert hosted.fake.entered.acquire(timeout=20)
    hosted.fake.hold.set()
    assert hosted.works()


def test_changes_wait_for_each_other_and_looks_wait_for_nobody(hosted: Hosted) -> None:
    fake = hosted.fake
    fake.hold.clear()
    with ThreadPoolExecutor(4) as pool:
        changes = [pool.submit(hosted.client.drop_vpc, id) for id in ("a", "b")]
        assert fake.entered.acquire(timeout=20)
        looks = [pool.submit(hosted.client.observe) for _ in range(2)]
        assert all(fake.entered.acquire(timeout=20) for _ in looks)
        assert sorted(verb for verb, _ in fake.asked) == ["drop_vpc", "observe", "observe"]
        fake.hold.set()
        assert [change.result(20) for change in changes] == [None, None]
    assert [verb for verb, _ in fake.asked].count("drop_vpc") == 2


def test_errors_of_a_driver_arrive_as_they_were_raised(hosted: Hosted) -> None:
    for raised in (
        NetworkRefused("no", id="network.overlap", remedy="Take another."),
        NetworkFailed("broken", id="network.kernel", remedy="Again.", retryable=True),
    ):
        hosted.fake.raising = raised
        with pytest.raises(type(raised)) as seen:
            hosted.client.drop_line("l")
        assert seen.value.as_dict() == raised.as_dict()


@pytest.mark.parametrize(
    ("raised", "id"),
    [(OSError(28, "No space left on device"), "network.machine"), (KeyError("x"), "internal")],
)
def test_a_defect_is_logged_and_told_without_a_traceback(
    hosted: Hosted, raised: Exception, id: str, caplog: pytest.LogCaptureFixture
) -> None:
    hosted.fake.raising = raised
    with pytest.raises(NetworkFailed) as seen:
        hosted.client.drop_line("l")
    assert seen.value.id == id
    assert "Traceback" not in seen.value.message
    assert "Traceback" in caplog.text
    hosted.fake.raising = None
    assert hosted.works()


def test_the_socket_is_private(hosted: Hosted) -> None:
    assert hosted.path.stat().st_mode & 0o777 == 0o600


def test_those_who_owe_the_key_keep_nobody_else_out(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of too many the oldest are ended, and their threads."""
    monkeypatch.setattr(answering, "_STRANGERS", 20)
    with ExitStack() as held, protocol.reachable(hosted.path) as name:
        silent = []
        for _ in range(100):
            silent.append(held.enter_context(socket.socket(socket.AF_UNIX)))
            silent[-1].settimeout(20)
            wait_until(lambda: silent[-1].connect_ex(name) != errno.EAGAIN, 20)
        assert silent[0].recv(1) == b""
        assert hosted.works()
        assert wait_until(lambda: threading.active_count() < 80, 20)


def test_a_burst_of_clients_finds_room_to_wait(tmp_path: Path) -> None:
    """Nobody answers yet. Who has a time limit does not wait for room (`connect` of Linux)."""
    server = Server(tmp_path, Fake())  # type: ignore[arg-type]
    try:
        with ExitStack() as held:
            for _ in range(100):
                held.enter_context(protocol.connect(tmp_path / protocol.SOCKET, 20))
    finally:
        server.server_close()


def test_without_files_for_another_client_the_next_try_is_later(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def none_left(_: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as full:
        full.setattr(socketserver.UnixStreamServer, "get_request", none_left)
        with protocol.connect(hosted.path, 20) as waiting:
            assert wait_until(lambda: tries > 2, 20)
            waiting.sendall(b'{"do": "status"}\n')
    assert tries < 1000
    assert hosted.works()


@AS_ROOT
def test_a_stranger_is_refused_even_where_the_modes_let_it_through() -> None:
    with a_network(Mode.RELAY) as net:
        hosted = Hosted(net.state.parent / "open")
        hosted.path.parent.chmod(0o755)
        hosted.path.chmod(0o666)
        script = (
            "import contextlib,socket,sys\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "with contextlib.suppress(BrokenPipeError):\n"
            '  s.sendall(sys.argv[2].encode() + b\'\\n{"do": "status"}\\n\')\n'
            "print(s.makefile().readline())"
        )
        told = subprocess.run(
            [plain_python(), "-c", script, hosted.path, hosted.server.key],
            capture_output=True, text=True, user=65534, cwd="/", check=True,
        ).stdout  # fmt: skip
        assert json.loads(told)["error"]["id"] == "network.not_allowed"
        assert hosted.fake.asked == []
        hosted.server.close()


def test_who_does_not_know_the_key_is_refused(hosted: Hosted) -> None:
    for word in (b"", b"0" * 64, b'{"do": "status"}'):
        (hosted.path.parent / "key").write_bytes(word)
        with pytest.raises(NetworkRefused) as seen:
            hosted.client.status()
        assert seen.value.id == "network.not_allowed"
    assert hosted.fake.asked == []


def test_a_state_folder_may_lie_deep(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path / ("deep" * 20) / ("deeper" * 20))
    assert len(str(hosted.path)) > 200
    assert hosted.works()
    hosted.server.close()


def test_without_a_daemon_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(NetworkFailed) as seen:
        FabricClient(tmp_path / "daemon.sock").status()
    assert (seen.value.id, seen.value.retryable) == ("network.daemon_absent", True)


# Real daemons.


def _joined(net: Net) -> Topology:
    """pg-1hx and pg-2b reach each other over a line; each says who it is."""
    topology = two_regions()
    topology.put(Grant("vpc-2b", "cen-1"))
    topology.put(Attachment("at-1h", "tr-1h", "vpc-1h"))
    topology.put(Attachment("at-2b", "tr-1b", "vpc-2b"))
    topology.put(Line("line-1", "tr-1h", "tr-1b", 100_000_000))
    assert {change.action for change in converge(net.fabric, topology)} == {Action.MADE}
    net.identify(topology, "pg-2b")
    return topology


def _meets(net: Net, topology: Topology) -> bool:
    return net.probe(topology, "pg-1hx", "pg-2b", 10).words.startswith("pg-2b sees")


def test_what_was_built_outlives_the_daemon_stopped_or_killed(net: Net) -> None:
    topology = _joined(net)
    for end in (lambda: stop(net.state), net.kill):
        before = net.pid()
        end()
        with pytest.raises(NetworkFailed) as seen:
            net.fabric.status()
        assert seen.value.id == "network.daemon_absent"
        net.start()
        assert net.pid() != before
        if net.mode is Mode.RELAY:  # Its listeners live in the daemon: they are opened anew.
            converge(net.fabric, topology)
        else:
            assert {item.id for item in net.fabric.observe()} >= {"vpc-1h", "at-2b", "line-1"}
            assert converge(net.fabric, topology) == []
        assert _meets(net, topology)


def test_a_daemon_that_dies_in_the_middle_of_a_call_is_told_apart() -> None:
    with a_network(Mode.RELAY) as net, ThreadPoolExecutor(1) as pool:
        topology = two_regions()
        converge(net.fabric, topology)
        place = net.fabric.ensure_endpoint(topology.instances["pg-2h"])
        with socket.create_server((place.listen, place.port)) as silent:
            call = pool.submit(net.probe, topology, "pg-2h", "pg-2h", 60)
            taken, _ = silent.accept()
            net.kill()
            with taken, pytest.raises(NetworkFailed) as seen:
                call.result(20)
        assert (seen.value.id, seen.value.retryable) == ("network.daemon_gone", True)


def test_there_is_one_daemon_however_many_start_it() -> None:
    with a_network(Mode.RELAY) as net:
        net.kill()
        with ThreadPoolExecutor(6) as pool:
            clients = [pool.submit(start, net.state, "relay") for _ in range(6)]
            assert {client.result(30).socket for client in clients} == {net.fabric.socket}
        assert wait_until(lambda: len(_processes(net)) == 1, 10)
        assert _processes(net) == [net.pid()]
        second = subprocess.run(
            [sys.executable, "-m", "landbridge.network.daemon", net.state, "relay", "--ready=1"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert json.loads(second.stdout)["error"]["id"] == "network.busy"
        assert net.fabric.status() == []


def _processes(net: Net) -> list[int]:
    """Every daemon of a state folder that runs, or is just ending."""
    folder = f"{net.state}\0".encode()
    return [pid for pid, line in command_lines() if folder in line]


def test_a_daemon_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_network(Mode.RELAY) as net, monkeypatch.context() as quick:
        process = ProcessId.of(net.pid())
        assert process is not None
        process.send(signal.SIGSTOP)
        quick.setattr(starting, "_ANSWERS", 0.3)
        quick.setattr(starting, "_PATIENCE", 0.5)
        try:
            for call in (net.start, lambda: stop(net.state)):
                with pytest.raises(NetworkFailed) as seen:
                    call()
                assert seen.value.id == "network.daemon_failed"
        finally:
            process.send(signal.SIGCONT)
            quick.undo()
        assert wait_until(lambda: not process.alive(), 10)  # It was asked to end.


def test_a_daemon_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_network(Mode.RELAY) as net, monkeypatch.context() as broken:
        net.kill()
        broken.setattr(starting, "clean_environment", lambda: {"PYTHONPATH": "/no/such/folder"})
        broken.setattr(sys, "executable", shutil.which("python3", path="/usr/bin:/bin"))
        with pytest.raises(NetworkFailed, match=r"did not start: .*No module named") as seen:
            net.start()
        assert seen.value.id == "network.daemon_failed"


@AS_ROOT
def test_root_follows_no_link_in_a_folder_of_a_user(tmp_path: Path) -> None:
    """The owner of a state folder plants links to what is root's, wherever a file may be made."""
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "file").write_text("root's")
    (victim / "file").chmod(0o600)
    with a_network(Mode.RELAY) as net:
        for name, target in (("daemon.log", "file"), ("daemon.lock", "made"), ("run", "")):
            state = net.state.parent / f"planted-{name}"
            state.mkdir(mode=0o700)
            os.chown(state, 65534, 65534)
            (state / name).symlink_to(victim / target)
            with contextlib.suppress(LandbridgeError):
                start(state, "relay")
            stop(state)
            assert _untouched(victim), name


def _untouched(victim: Path) -> bool:
    file = victim / "file"
    owners = {path.stat().st_uid for path in (victim, file)}
    return (owners, file.read_text(), list(victim.iterdir())) == ({0}, "root's", [file])


def test_a_daemon_may_open_more_files_than_whoever_started_it() -> None:
    """A connection through the relay takes two of them, and a shell gives 1024."""
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few // 2, most))
    try:
        with a_network(Mode.RELAY) as net:
            limits = Path(f"/proc/{net.pid()}/limits").read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
    (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(line.split()[3]) >= min(most, 65536) > few // 2


def test_a_driver_is_decided_once() -> None:
    with a_network(Mode.RELAY) as net:
        with pytest.raises(NetworkRefused) as seen:
            start(net.state, "netns")
        assert seen.value.id == "network.other_driver"
        assert start(net.state, "auto").capabilities().driver == "relay"


def _assert_two_capabilities_and_no_more(net: Net) -> None:
    """Of the daemon and of each of its threads, some of which end while one looks."""
    process = Path(f"/proc/{net.pid()}")
    wanted = 0 if net.mode is Mode.RELAY else 1 << 12 | 1 << 21
    for task in (process / "task").glob("*/status"):
        try:
            found = _status(task)
        except (FileNotFoundError, ProcessLookupError):
            continue
        assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == wanted
        assert int(found["CapBnd"], 16) & ~wanted == 0
    uid = net.servers.uid if net.user else os.geteuid()
    assert _status(process / "status")["Uid"].split() == [str(uid)] * 4


def _status(path: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


def test_the_daemon_may_do_two_things_and_leaves_nothing_when_its_network_is_removed(
    net: Net,
) -> None:
    _joined(net)
    _assert_two_capabilities_and_no_more(net)
    holder = Holder.find(net.state)
    assert (holder is not None) == (net.mode is Mode.ROOTLESS)
    daemon = ProcessId.of(net.pid())
    net.end()
    assert daemon is not None
    assert wait_until(lambda: not daemon.alive(), 10)
    assert holder is None or not holder.process.alive()
    assert str(net.state) not in Path("/proc/self/mounts").read_text()
    assert not net.state.exists()


# What runs at a place.


def test_a_command_is_the_caller_s_own_process(net: Net) -> None:
    converge(net.fabric, two_regions())
    script = "read x; echo $$ $x $SECRET $PWD; echo bad >&2; trap 'exit 7' TERM; kill $$; wait"
    child = net.popen(
        "pg-2h", "sh", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "SECRET": "t0p-s3cret"}, cwd="/usr",
    )  # fmt: skip
    out, err = child.communicate(b"word\n", timeout=20)
    assert out.decode().split() == [str(child.pid), "word", "t0p-s3cret", "/usr"]
    assert (err, child.returncode) == (b"bad\n", 7)
    assert "t0p-s3cret" not in Layout(net.state).log.read_text()
    account = net.servers.name if net.servers.switch else ""
    ours = os.readlink("/proc/self/ns/ipc")  # noqa: PTH115
    for apart in (False, True):
        look = net.fabric.command("pg-2h", ["readlink", "/proc/self/ns/ipc"], account, apart=apart)
        told = subprocess.run(look, capture_output=True, text=True, check=True, cwd="/").stdout
        # An ordinary user has namespaces only where its fabric is made of them.
        may = os.geteuid() == 0 or net.mode is not Mode.RELAY
        assert (told.strip() != ours) == (apart and may)


def test_a_command_that_cannot_run_says_why() -> None:
    cases = (("pg-2h", "/no/such/program", 127), ("pg-2h", "/etc", 126), ("pg-none", "true", 125))
    with a_network(Mode.RELAY) as net:
        converge(net.fabric, two_regions())
        for instance, command, code in cases:
            child = net.popen(instance, command, stderr=subprocess.PIPE)
            _, err = child.communicate(timeout=20)
            assert child.returncode == code, command
            assert err.startswith(b"landbridge: ")
            assert b"Traceback" not in err


def test_a_server_has_no_capabilities_and_outlives_the_daemon(net: Net) -> None:
    topology = two_regions()
    converge(net.fabric, topology)
    cluster = net.postgres(topology, "pg-2h")
    process = cluster.process()
    assert process is not None
    found = _status(Path(f"/proc/{process.pid}/status"))
    assert found["Uid"].split() == [str(net.servers.uid)] * 4
    if os.geteuid() == 0 or net.mode is not Mode.RELAY:
        assert [int(found[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")] == [0] * 4
    if net.mode is Mode.ROOTLESS:
        assert int(found["CapBnd"], 16) == 0
    if os.geteuid() == 0:
        assert int(found["CapBnd"], 16) & (1 << 12 | 1 << 21) == 0
    told = _through_a_terminal(net, cluster)
    assert "3628800" in told
    assert "canceling statement due to user request" in told
    assert "still here" in told
    net.kill()
    assert process.alive()
    net.start()
    converge(net.fabric, topology)
    assert net.sees_itself(topology, "pg-2h") is False  # PostgreSQL does not greet by name,
    assert net.probe(topology, "pg-2h", "pg-2h", 10).outcome is Outcome.OK  # but answers.


def _through_a_terminal(net: Net, cluster: Cluster) -> str:
    """A session with psql as a person has it: typed, interrupted with Ctrl-C, ended."""
    path = net.fabric.path("pg-2h", "pg-2h")
    conninfo = f"hostaddr={path.hostaddr} port={path.port} user=pgsql dbname=postgres"
    ours, theirs = pty.openpty()
    child = net.popen(
        "pg-2h", cluster.distribution.program("psql"), "-X", "--pset=pager=off", conninfo,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    screen = ""
    for wait_for, typed in (
        ("postgres=#", "SELECT factorial(10);\n"),
        ("3628800", "SELECT pg_sleep(60);\n"),
        ("pg_sleep(60)", "\x03"),
        ("canceling statement", "SELECT 'still ' || 'here';\n"),
        ("still here", "\\q\n"),
    ):
        screen += _until(ours, wait_for)
        if typed == "\x03":
            with cluster.connect() as conn:
                assert wait_until(lambda conn=conn: _sleeps(conn), 10)
        os.write(ours, typed.encode())
    assert child.wait(20) == 0
    os.close(ours)
    return screen


def _sleeps(conn: Any) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    return bool(conn.execute(query).fetchone()[0])


def _until(terminal: int, words: str) -> str:
    """Read a terminal until these words are on it."""
    seen = ""
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, f"waited for {words!r}, saw {seen!r}"
        seen += os.read(terminal, 4096).decode()
    return seen


# An ordinary user.


@pytest.fixture
def rootless() -> Iterator[Net]:
    with a_network(Mode.ROOTLESS) as made:
        yield made


def test_the_next_daemon_joins_the_same_namespaces(rootless: Net) -> None:
    kinds = ("user", "mnt")
    before = [_namespace(rootless, kind) for kind in kinds]
    rootless.kill()
    rootless.start()
    assert [_namespace(rootless, kind) for kind in kinds] == before
    assert before[0] != Path("/proc/self/ns/user").readlink()
    assert _namespace(rootless, "net") == Path("/proc/self/ns/net").readlink()


def _namespace(net: Net, kind: str) -> Path:
    """Which namespace the daemon is in."""
    return Path(f"/proc/{net.pid()}/ns/{kind}").readlink()


def test_a_holder_that_nobody_wrote_down_ends() -> None:
    with pytest.raises(OSError, match="No space"), userns._hold() as process:
        raise OSError(28, "No space left on device")
    assert wait_until(lambda: not process.alive(), 10)


#: What a tenant tries who has a shell as the server: to attach itself to a VPC.
_SHUT_IN = """
import socket, sys
from pathlib import Path
from landbridge.errors import LandbridgeError
from landbridge.network.daemon import FabricClient
from landbridge.network.things import Attachment
from landbridge.servers import sandbox
path, word = Path(sys.argv[1]), sys.argv[2].encode()
sandbox.enter([])
try:
    FabricClient(path).ensure_attachment(Attachment("at-2b", "tr-1b", "vpc-2b"))
except LandbridgeError as error:
    print(error.id)
connection = socket.socket(socket.AF_UNIX)
connection.connect(str(path))
connection.sendall(word + b'\\n{"do": "status"}\\n')
print("refused" if b"network.not_allowed" in connection.recv(1000) else "let in")
"""


def test_a_server_that_is_shut_in_cannot_ask_the_daemon(rootless: Net) -> None:
    if not sandbox.landlock_version():
        pytest.skip("this kernel has no Landlock")
    converge(rootless.fabric, two_regions())
    packages = [str(Path(protocol.__file__).parents[3])]
    packages += [p for p in sys.path if p.endswith("site-packages")]
    told = rootless.run(
        "pg-2h", plain_python(), "-B", "-c", _SHUT_IN, rootless.fabric.socket, "0" * 64,
        env={**os.environ, "PYTHONPATH": ":".join(packages)},
    )  # fmt: skip
    assert told.split() == ["network.not_allowed", "refused"]
    assert "at-2b" not in {found.id for found in rootless.fabric.observe()}


def test_without_its_holder_everything_is_built_anew(rootless: Net) -> None:
    topology = _joined(rootless)
    holder = Holder.find(rootless.state)
    assert holder is not None
    rootless.kill()
    holder.process.send(signal.SIGKILL)
    assert wait_until(lambda: not holder.process.alive(), 10)
    rootless.start()
    assert rootless.fabric.observe() == []
    converge(rootless.fabric, topology)
    rootless.identify(topology, "pg-2b")
    assert _meets(rootless, topology)


#: What a person types who is not root, from the first start to the last.
_AS_A_USER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fix_network import two_regions
from landbridge.network.converge import converge
from landbridge.network.daemon import remove, start, stop
state = Path(sys.argv[1])
fabric = start(state)
converge(fabric, two_regions())
stop(state)
fabric = start(state)
print(fabric.capabilities().driver, len(converge(fabric, two_regions())), flush=True)
import subprocess
subprocess.run(fabric.command("pg-2h", ["sh", "-c", "id -u; grep CapEff /proc/self/status"]))
remove(state)
print(state.exists())
"""


@AS_ROOT
def test_an_ordinary_user_needs_root_for_nothing(rootless: Net) -> None:
    here = Path(__file__).parent
    packages = Path(protocol.__file__).parents[3]
    paths = [str(packages), *(p for p in sys.path if p.endswith("site-packages"))]
    state = rootless.state.parent / "own"
    done = subprocess.run(
        [plain_python(), "-c", _AS_A_USER, state, here], capture_output=True, text=True,
        user=ORDINARY, group=65534, extra_groups=[], cwd="/", check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(paths), "HOME": "/",
             "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout.split() == [
        "netns", "0", "65534", "CapEff:", "0000000000000000", "False"
    ], done.stderr  # fmt: skip


def test_where_namespaces_are_refused_auto_takes_the_relay_and_says_what_to_do() -> None:
    """Refused really: a user namespace whose limit of further ones is nought."""
    script = (
        "import json, sys; from pathlib import Path;"
        "from landbridge.network.daemon import userns; from landbridge.network import linux;"
        "from landbridge.network.choose import Wanted, choose; from landbridge.errors import *;"
        "import landbridge.network.netns.trial;"
        "linux.switch_user(65534, 65534, ()) if sys.argv[1] == '0' else None; userns.make();"
        "Path('/proc/sys/user/max_user_namespaces').write_text('0');"
        "taken = choose(Wanted.AUTO); print(json.dumps([taken.driver.value, *taken.reasons]))\n"
        "try: choose(Wanted.NETNS)\n"
        "except NetworkFailed as error: print(json.dumps(error.as_dict()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(os.geteuid())], capture_output=True, text=True
    )
    if "namespaces" in done.stderr:
        pytest.skip("user namespaces are refused here anyway")
    auto, error = (json.loads(line) for line in done.stdout.splitlines())
    assert auto[0] == "relay"
    assert "no namespaces of its own" in auto[1]
    assert error["id"] == "network.namespaces_refused"
    assert auto[2] == error["remedy"] == "As root: sysctl -w user.max_user_namespaces=15000"
