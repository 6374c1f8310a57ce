"""Labs for tests: the command line on a lab of the test's own, removed however the test ends."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fix_cli import Cli
from fix_network import FORBIDDEN, ORDINARY
from fix_processes import command_lines
from landbridge.network.linux import unmount
from landbridge.postgres.osaccount import OsAccount
from landbridge.postgres.process import ProcessId, wait_until

PLAN = (Path(__file__).parent.parent / "examples/two-regions.toml").read_text()


class LabCli:
    """`landbridge lab` on one lab, with `--json`; as us in this process, or as `ORDINARY`."""

    def __init__(self, cli: Cli, root: Path, mode: str) -> None:
        self.cli = cli
        self.root = root
        self.driver = "relay" if mode == "relay" else "netns"
        self.ordinary = mode == "ordinary" and os.geteuid() == 0
        self.plan = root / "plan.toml"
        self.plan.write_text(PLAN.replace("rows = 300_000", "rows = 1_000"))

    @property
    def folder(self) -> Path:
        return self.root / "lab" / "two-regions"

    def call(self, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the one object."""
        first = [*words] if "--" not in words else [*words[: words.index("--")]]
        arguments = ["lab", *first, "--json", *words[len(first) :]]
        if not self.ordinary:
            called = self.cli(*arguments)
            return called.code, called.object
        with self._run(arguments) as child:
            out, err = child.communicate()
        if not out:
            pytest.fail(err)
        return child.returncode, json.loads(out)

    def open(self, *words: str) -> subprocess.Popen[str]:
        """A call in a process of its own, under way."""
        return self._run(["lab", *words, "--json"])

    def _run(self, arguments: list[str]) -> subprocess.Popen[str]:
        python, more = sys.executable, {}
        if self.ordinary:
            entry = pwd.getpwnam(ORDINARY)
            account = OsAccount(ORDINARY, entry.pw_uid, entry.pw_gid, switch=True)
            python, more = _python(account), account.popen_arguments()
        packages = os.pathsep.join(path for path in sys.path if path)
        return subprocess.Popen(
            [python, "-P", "-m", "landbridge.cli", *arguments],
            env={**os.environ, "HOME": str(self.root), "PYTHONPATH": packages}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
        )  # fmt: skip

    def __call__(self, *words: str) -> dict[str, Any]:
        """The object of a call that succeeds."""
        code, found = self.call(*words)
        assert code == 0, found
        return found

    def refused(self, *words: str) -> dict[str, Any]:
        """The error of a call that fails."""
        code, found = self.call(*words)
        assert code != 0
        error: dict[str, Any] = found["error"]
        return error

    def up(self) -> dict[str, Any]:
        """Build it; skips the test where the machine forbids the driver."""
        code, found = self.call("up", str(self.plan), "--driver", self.driver)
        if code and found["error"]["id"] in FORBIDDEN:
            pytest.skip(found["error"]["message"])
        assert code == 0, found
        return found

    def join(self) -> None:
        """All that the example lacks."""
        self("attach", "vpc-a", "cen-b")
        self("attach", "vpc-b", "cen-b")
        self("line", "cn-beijing", "cn-hangzhou", "--mbit", "100")

    def probe(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What each pair sees."""
        return {(p["client"], p["server"]): p for p in self("probe")["pairs"]}

    def processes(self) -> list[int]:
        """Every process that names the test's folder in its command line."""
        root = str(self.root).encode()
        return [pid for pid, line in command_lines() if root in line and pid != os.getpid()]

    def kill_network(self) -> None:
        """End daemon and holder, and let go what pins the namespaces: the servers live on."""
        for pid in self.processes():
            if b"landbridge.network.daemon" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                assert wait_until(lambda pid=pid: ProcessId.of(pid) is None, 20)
        for place in sorted((self.folder / "fabric/run").rglob("*"), reverse=True):
            if os.path.ismount(place):
                unmount(place)

    def crash(self) -> None:
        """End everything of the lab at once, as a power cut does, but for what the kernel keeps."""
        ended = [n for pid in self.processes() for n in (*_children(pid), pid)]
        for pid in ended:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # A zombie with the number in its pid file is a living server for PostgreSQL;
        # ProcessId.of reaps those that are our own.
        assert wait_until(
            lambda: not any(ProcessId.of(p) or Path(f"/proc/{p}").exists() for p in ended), 20
        )

    def end(self) -> None:
        if (self.root / "tasks").exists():  # `lab down` refuses while one is under way.
            self.crash()
            shutil.rmtree(self.root / "tasks")
        if self.folder.exists():
            self.call("down")
        self.crash()
        shutil.rmtree(self.root, ignore_errors=True)


def _children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _python(account: OsAccount) -> str:
    """An interpreter like ours that an account can run; skips the test if there is none."""
    other = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin")
    for candidate in (sys.executable, other):
        if candidate is not None and account.can_execute(Path(candidate)):
            return candidate
    pytest.skip(f"{account.name} can run no Python 3.{sys.version_info.minor}")


@contextmanager
def a_lab(cli: Cli, monkeypatch: pytest.MonkeyPatch, mode: str) -> Iterator[LabCli]:
    """A lab of a mode: netns, ordinary (netns as an ordinary user) or relay."""
    root = Path(tempfile.mkdtemp(prefix="lb-lab-"))
    root.chmod(0o755)
    lab = LabCli(cli, root, mode)
    if lab.ordinary:
        entry = pwd.getpwnam(ORDINARY)
        os.chown(root, entry.pw_uid, entry.pw_gid)
    monkeypatch.setenv("LANDBRIDGE_STATE", str(root))
    try:
        yield lab
    finally:
        lab.end()


_MODES = ("netns", pytest.param("ordinary", marks=pytest.mark.slow), "relay")


@pytest.fixture(params=_MODES)
def lab(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[LabCli]:
    """A lab in each way that there is: as whoever runs the test, as an ordinary user, relayed."""
    with a_lab(cli, monkeypatch, request.param) as made:
        yield made
