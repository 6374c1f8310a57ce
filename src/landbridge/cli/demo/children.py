"""The processes that play the application: the writer and the load, as seen by the parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from psycopg.conninfo import make_conninfo

from ...postgres.conninfo import Conninfo
from ...postgres.distribution import Distribution
from . import load
from .check import Acknowledgement

_TAIL = 100


class WriterProcess:
    """The writer (writer.py) in a process of its own."""

    def __init__(self, application: Conninfo, folder: Path, rate: float) -> None:
        self.acknowledged_file = folder / "acknowledged.txt"
        self._config = folder / "writer.json"
        values = {
            "conninfo": _text(application),
            "acknowledged": str(self.acknowledged_file),
            "rate": rate,
        }
        self._config.write_text(json.dumps(values))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = _python("writer", self._config)

    def stop(self) -> None:
        """Let it end the row it is at; every acknowledgement is on disk afterwards."""
        _end(self._process)

    def last(self) -> Acknowledgement | None:
        """The latest acknowledgement; None before the first."""
        try:
            with self.acknowledged_file.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
                whole, _, _ = file.read().decode().rpartition("\n")
        except FileNotFoundError:
            return None
        return Acknowledgement.parse(whole.rpartition("\n")[2]) if whole else None

    def last_words(self) -> str | None:
        """What the writer said before it died; None while it lives."""
        if self._process is None or self._process.poll() is None:
            return None
        lines = self._config.with_suffix(".log").read_text().strip().splitlines()
        return lines[-1] if lines else "it said nothing"


class Load:
    """`clients` busy sessions that find the writable server again, also after an outage."""

    def __init__(
        self,
        application: Conninfo,
        folder: Path,
        distribution: Distribution,
        *,
        clients: int,
        scale: int,
    ) -> None:
        self.program = "pgbench" if "pgbench" in distribution.tools else "Python clients"
        self.clients = clients
        self._folder = folder
        self._distribution = distribution
        self._conninfo = _text(application)
        self._config = folder / "load.json"
        values = {"conninfo": self._conninfo, "clients": clients, "scale": scale}
        self._config.write_text(json.dumps(values))
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, daemon=True)

    def start(self) -> None:
        if self.clients:
            self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        _end(self._process)
        if self._thread.is_alive():
            self._thread.join(10)

    def _keep_running(self) -> None:
        # pgbench ends when its sessions are terminated; a pool would connect again.
        while not self._ended.is_set():
            self._process = self._start_once()
            if self._ended.is_set():
                _end(self._process)
            self._process.wait()
            self._ended.wait(load.RETRY)

    def _start_once(self) -> subprocess.Popen[bytes]:
        if self.program != "pgbench":
            return _python("load", self._config)
        command: list[str | Path] = [
            self._distribution.program("pgbench"), "-n", "-c", str(self.clients),
            "-j", str(min(self.clients, 2)), "-T", "3600", self._conninfo,
        ]  # fmt: skip
        with (self._folder / "pgbench.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=self._distribution.environment,
            )  # fmt: skip


def _text(application: Conninfo) -> str:
    """As plain as an application's: pgbench of 10 and 11 knows no tcp_user_timeout."""
    return make_conninfo(**application.public())


def _python(module: str, config: Path) -> subprocess.Popen[bytes]:
    with config.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"landbridge.cli.demo.{module}", str(config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
