"""A lab from nothing to a migration and back, by its commands, with real servers and networks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fix_cli import Cli
from fix_lab import LabCli, a_lab
from landbridge.lab import lab as lab_module
from landbridge.lab.lab import Lab
from landbridge.lab.plan import read
from landbridge.lab.store import Labs, Saved
from landbridge.network.converge import converge
from landbridge.network.daemon import remove, start
from landbridge.network.daemon.client import ask
from landbridge.postgres.process import ProcessId, wait_until

A_TO_B, B_TO_A = ("pgm-a", "pgm-b"), ("pgm-b", "pgm-a")
#: Holds a connection open until its stdin ends.
_HOLD = """
import psycopg, sys
conn = psycopg.connect(sys.argv[1], autocommit=True)
for _ in sys.stdin:
    print(conn.execute("SELECT 'alive'").fetchone()[0], flush=True)
"""


def test_way_opens_piece_by_piece_and_everything_goes_away(lab: LabCli) -> None:
    assert lab.up()["servers"] == {"pgm-a": "made", "pgm-b": "made"}
    seen = lab.probe()
    assert seen[A_TO_B]["reason"] == "vpc-a has no attachment"
    assert seen[A_TO_B]["hop"] == "attachment" and not seen[A_TO_B]["passes"]

    lab("attach", "vpc-a", "cen-b")
    lab("attach", "vpc-b", "cen-b")
    assert lab.probe()[B_TO_A]["reason"] == "no line between cn-hangzhou and cn-beijing"
    assert lab.refused("revoke", "vpc-a", "cen-b")["id"] == "network.in_use"
    assert lab.refused("attach", "vpc-c", "cen-b")["id"] == "lab.unknown_id"

    lab("line", "cn-beijing", "cn-hangzhou")
    assert lab.probe()[A_TO_B]["reason"] == "line line-1 has no bandwidth (1 kbit/s)"
    lab("bandwidth", "cn-beijing", "cn-hangzhou", "100")
    assert all(pair["passes"] for pair in lab.probe().values())
    who = "SELECT current_setting('cluster_name'), current_user"
    assert "pgm-a" in lab("psql", "pgm-a", "--from", "pgm-b", "-c", who)["stdout"]
    assert "mover" in lab("psql", "pgm-a", "--from", "pgm-b", "-c", who)["stdout"]

    assert lab.up()["servers"] == {"pgm-a": "was up", "pgm-b": "was up"}
    assert lab("exec", "pgm-a", "--", "echo", "--json")["stdout"] == "--json\n"
    assert lab.call("exec", "pgm-a", "--", "false")[0] == 1
    told = lab("psql", "pgm-a", "--", "-At", "-c", "SELECT 6 * 7")
    assert told["stdout"] == "42\n"
    both = lab("psql", "pgm-a", "-c", "SELECT 'one'", "-c", "SELECT 'two'")["stdout"]
    assert "one" in both and "two" in both
    passfile = lab.folder / "secrets" / "mover.pgpass"
    assert passfile.stat().st_mode & 0o077 == 0

    assert sorted(lab("down")["stopped"]) == ["pgm-a", "pgm-b"]
    assert not lab.folder.exists() and lab.processes() == []
    assert lab.refused("probe")["id"] == "lab.unknown"


def _assert_built_again_after_a_crash(lab: LabCli) -> None:
    """A lab whose way is open has its servers, its data and its way again."""
    before = lab("psql", "pgm-a", "-d", "shop", "-c", "SELECT count(*) FROM orders")["stdout"]
    assert "1000" in before
    lab.crash()
    again = lab("up")["servers"]
    assert again == {"pgm-a": "started", "pgm-b": "started"}
    assert all(pair["passes"] for pair in lab.probe().values())
    after = lab("psql", "pgm-a", "-d", "shop", "-c", "SELECT count(*) FROM orders")["stdout"]
    assert after == before


@pytest.mark.slow  # By the kernel's isolation it is in the default run, below.
@pytest.mark.parametrize("lab", ["ordinary", "relay"], indirect=True)
def test_everything_is_built_again_after_a_crash(lab: LabCli) -> None:
    lab.up()
    lab.join()
    _assert_built_again_after_a_crash(lab)
    lab.crash()
    lab("down")
    assert not lab.folder.exists() and lab.processes() == []


def _hold(lab: LabCli) -> subprocess.Popen[str]:
    conninfo = lab("conninfo", "pgm-b", "pgm-a")["conninfo"]
    place = Lab.open(Labs(lab.root), None).fabric
    child = subprocess.Popen(
        place.command("pgm-b", [sys.executable, "-c", _HOLD, conninfo]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert _is_alive(child)
    return child


def _is_alive(child: subprocess.Popen[str]) -> bool:
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write("\n")
        child.stdin.flush()
    except BrokenPipeError:
        return False
    return child.stdout.readline() == "alive\n"


@pytest.mark.parametrize("mode", ["netns", pytest.param("relay", marks=pytest.mark.slow)])
def test_whitelist_changes_at_once_and_open_sessions_end_when_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with a_lab(cli, monkeypatch, mode) as lab:
        lab.up()
        lab.join()
        stale = Lab.open(Labs(lab.root), None)
        with _hold(lab) as child:
            removed = lab("whitelist", "pgm-a", "remove", "10.20.0.0/16")
            assert removed["whitelist"] == [] and not removed["closed"]
            assert [session["client"] for session in removed["sessions"]] == ["10.20.1.5"]
            assert _is_alive(child)
            stale.seen()  # Whoever looks changes nothing, whatever he remembers.
            seen = lab.probe()[B_TO_A]
            assert seen["seen"] == "not-whitelisted"
            assert seen["reason"] == "whitelist of pgm-a lacks 10.20.0.0/16"

            again = lab("whitelist", "pgm-a", "remove", "10.20.0.0/16", "--close-sessions")
            assert len(again["sessions"]) == 1 and again["closed"]
            assert wait_until(lambda: not _is_alive(child), 20, every=0.05)
        assert lab("whitelist", "pgm-a", "add", "10.20.1.5")["whitelist"][-1] == "10.20.1.5/32"
        assert lab.probe()[B_TO_A]["passes"]
        assert lab.refused("whitelist", "pgm-a", "remove", "10.9.0.0/16")["id"]
        other = "netns" if mode == "relay" else "relay"
        assert lab.refused("up", "--driver", other)["id"] == "network.other_driver"
        assert lab("up")["driver"] == mode
        lab("down", "--keep-data")
        assert lab.refused("status")["id"] == "lab.not_up"
        assert lab.processes() == []
        if mode == "relay":
            lab("up")
            lab.crash()
            (lab.folder / "fabric/run/relay.json").write_text("[{]")
            lab("down")
            assert not lab.folder.exists()


def _assert_moves_with_the_plan(lab: LabCli) -> None:
    """An instance that leaves the plan is stopped, and a new one made."""
    pid = int((lab.folder / "instances/pgm-b/data/postmaster.pid").read_text().split()[0])
    old = ProcessId.of(pid)
    text = lab.plan.read_text().replace("pgm-b", "pgm-c").replace("10.20.1.5", "10.20.1.6")
    lab.plan.write_text(text)
    assert lab.up()["servers"] == {"pgm-a": "was up", "pgm-c": "made"}
    assert old is not None and not old.alive()
    assert sorted(p.name for p in (lab.folder / "instances").iterdir()) == ["pgm-a", "pgm-c"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["netns", "ordinary"])
def test_up_mends_what_was_interrupted_crashed_moved_away_or_removed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with a_lab(cli, monkeypatch, mode) as lab:
        _kill_during_initdb(lab)
        assert set(lab.up()["servers"].values()) <= {"made", "started"}
        lab.join()

        # What the file says of a whitelist reaches the running server.
        wide = lab.plan.read_text()
        lab.plan.write_text(wide.replace('["10.20.0.0/16"]', '["10.20.9.0/24"]'))
        assert lab.up()["servers"]["pgm-a"] == "was up"
        seen = lab.probe()[B_TO_A]
        assert seen["seen"] == "not-whitelisted" and seen["agrees"]
        lab.plan.write_text(wide)

        # Servers in networks that nobody keeps any more start again in the new ones.
        lab.kill_network()
        assert lab.up()["servers"] == {"pgm-a": "started", "pgm-b": "started"}
        assert all(pair["passes"] for pair in lab.probe().values())

        _assert_built_again_after_a_crash(lab)
        _assert_moves_with_the_plan(lab)
        if mode == "netns":
            subprocess.run(["rm", "-rf", lab.folder], check=False, stderr=subprocess.DEVNULL)
            lab.up()
        lab("down")
        assert not lab.folder.exists()
        assert str(lab.root) not in Path("/proc/mounts").read_text()
        assert not [p for p in lab.processes() if b"network.daemon" in _words(p)]


def _kill_during_initdb(lab: LabCli) -> None:
    """End `lab up` by SIGKILL once an initdb of it runs."""
    with lab.open("up", str(lab.plan), "--driver", lab.driver) as child:
        made = lab.folder / "instances"
        begun = wait_until(
            lambda: child.poll() is not None or any(made.glob("*/making-*/PG_VERSION")), 20, 0.01
        )
        assert begun
        child.kill()


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_relay_that_died_is_made_again_while_servers_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next command, and by whoever watches a migration. After a boot `up` does it."""
    plan = read(Path(__file__).parent.parent / "examples/one-region.toml")
    store = Labs(tmp_path).store(plan.name)
    store.prepare()
    saved = Saved("", "relay", plan, plan)
    store.save(saved)
    lab = Lab(store, saved)
    try:
        converge(start(store.fabric, "relay"), plan.topology)
        running = {"servers": False}
        monkeypatch.setattr(lab_module, "is_running", lambda *_: running["servers"])
        for servers in (False, True):
            running["servers"] = servers
            pid = ask(store.fabric / "daemon.sock", "about")
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda pid=pid: ProcessId.of(pid) is None, 20)  # type: ignore[misc]
            lab.mend()
            assert bool(lab.missing()) is not servers
    finally:
        remove(store.fabric)
