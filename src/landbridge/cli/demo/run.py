"""The demonstration from beginning to end."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import LandbridgeError
from ...migration import worker
from ...migration.copying import CopyJob
from ...migration.plan import create_task, make_request
from ...migration.task import Task, Tasks
from ...migration.verify import Verification, examine_destination
from ...postgres.process import wait_until
from .. import units
from ..display.view import View
from ..interrupt import Interrupted
from ..output import Output
from ..running import Moment, is_ready, run_here
from ..summary import failure
from . import check, data
from .children import Load, WriterProcess
from .result import make_result
from .servers import DBA, MIGRATOR, Servers, choose
from .stages import stage
from .summary import application_line, how_to_reach, summary

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Acknowledged rows to wait for before the migration begins and after it ended.
_ROWS_AROUND = 200
#: Looks at the lag, two a second, before the switchover is asked for.
_SAMPLES = 6
#: Seconds without a new row after which the writer is given up.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Wishes:
    """The options of the command."""

    major: int | None
    scale: int
    clients: int
    rate: float
    fence: str
    output: Path
    keep: bool


class Demo:
    """One run: two servers, an application, a migration, a proof."""

    def __init__(self, wishes: Wishes, out: Output) -> None:
        self.wishes = wishes
        self.out = out
        self.servers = Servers(choose(wishes.major))
        self._task: Task | None = None
        application = self.servers.application()
        self.writer = WriterProcess(application, self.servers.root, wishes.rate)
        self.load = Load(
            application, self.servers.root, self.servers.distribution,
            clients=wishes.clients, scale=wishes.scale,
        )  # fmt: skip

    def run(self) -> int:
        """Run it; returns the exit code. Raises what ended it early, after cleaning up."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            result = self._perform()
        except (KeyboardInterrupt, Interrupted):
            raise Interrupted("interrupted", remedy=self._what_remains()) from None
        except LandbridgeError as error:
            logs = self._save_logs()
            remains = f"{self._what_remains()} Logs: {logs}."
            error.remedy = "\n  ".join(filter(None, (error.remedy, remains)))
            raise
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # cleaning up is not interrupted
            self._clean_up()
        parts: list[RenderableType] = [summary(result)]
        if self.wishes.keep:
            parts.append(how_to_reach(self.servers))
        self.out.result(result, *parts)
        return 0 if result["passed"] else 1

    def _clean_up(self) -> None:
        self._stop_application()
        if self.wishes.keep:
            return
        if self._task is not None:
            CopyJob(self._task).cancel()
        self.servers.stop()
        self.servers.remove()

    def _what_remains(self) -> str:
        if self.wishes.keep:
            return f"The servers are left as they are.\n{how_to_reach(self.servers)}"
        return "The servers and all their files are removed."

    def _save_logs(self) -> Path:
        """After a failure: keep the records that explain it; returns their folder."""
        root = self.servers.root
        logs = self._output_folder() / root.name
        for path in (*self.servers.state.rglob("*"), *root.glob("*/server.log")):
            if path.is_file() and (
                path.suffix in (".log", ".json", ".jsonl") or path.name == "log"
            ):
                target = logs / path.relative_to(root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        return logs

    def _output_folder(self) -> Path:
        """Where the evidence is left: as wished, or in the state directory if that is closed."""
        wished = self.wishes.output.absolute()
        try:
            wished.mkdir(parents=True, exist_ok=True)
        except OSError:
            return Tasks.default().root / "demo-evidence"
        return wished

    def _perform(self) -> dict[str, Any]:
        servers, wishes = self.servers, self.wishes
        version = servers.distribution.version
        with self._stage(f"a source server, PostgreSQL {version}"):
            servers.start_source()
        with self._stage(f"tables, JSON, large objects, two databases, scale {wishes.scale}"):
            servers.fill_source(wishes.scale)
        with self._stage(f"a writer, {self._load_words()}"):
            self.writer.start()
            self.load.start()
            self._await_rows(servers.source.port)
        self.out.show("")
        view = self._migrate()
        with self._stage("the application goes on, on the destination"):
            self._await_rows(servers.destination.port)
            self._stop_application()
        with self._stage("reading every page, walking every index of the destination"):
            examination = examine_destination(view.task)
        with self._stage("looking for every acknowledged row"):
            return self._prove(view, examination)

    def _load_words(self) -> str:
        load = self.load
        return f"{load.program} with {units.count(load.clients, 'busy client')}"

    def _migrate(self) -> View:
        servers = self.servers
        source, dba = servers.conninfo(MIGRATOR), servers.conninfo(DBA)
        request = make_request(
            source, servers.destination.data, servers.destination.port, fence_as=dba,
            verify_as=dba, fence=self.wishes.fence, verify="before",
            tablespaces=servers.tablespaces,
        )  # fmt: skip
        task = create_task(Tasks(servers.state), request, source, fence_as=dba, verify_as=dba)
        switch = Moment(
            lambda view: is_ready(view) and len(view.lags) >= _SAMPLES,
            lambda view: worker.request_switchover(view.task),
        )
        self._task = task
        view = run_here(
            task, self.out, moments=[switch], until=lambda view: view.held is not None,
            extra=lambda: application_line(self.servers, self.writer),
        )  # fmt: skip
        if (error := failure(view)) is not None:
            raise error
        return view

    def _prove(self, view: View, examination: Verification) -> dict[str, Any]:
        acknowledged = check.read_acknowledgements(self.writer.acknowledged_file)
        with self.servers.destination.connect(data.DATABASE) as conn:
            comparison = check.compare(acknowledged, conn)
            balances = check.balances(conn)
        evidence = self._keep_evidence(view)
        return make_result(
            view, self.servers, self.load, acknowledged, comparison, balances, examination,
            evidence,
        )  # fmt: skip

    def _keep_evidence(self, view: View) -> Path:
        """Copy the evidence to where it survives; returns the path of its JSON file."""
        folder = self._output_folder() / view.task.id
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("evidence.json", "evidence.html"):
            shutil.copyfile(view.task.folder / name, folder / name)
        return folder / "evidence.json"

    def _await_rows(self, port: int) -> None:
        """Wait until that server has acknowledged a good number of rows."""
        first: int | None = None
        deadline, seen = time.monotonic() + _PATIENCE, 0

        def enough() -> bool:
            nonlocal first, deadline, seen
            if (words := self.writer.last_words()) is not None:
                raise LandbridgeError(f"the writer died: {words}", id="demo.writer_died")
            last = self.writer.last()
            if last is None or last.port != port:
                return False
            first = last.number if first is None else first
            if last.number > seen:
                deadline, seen = time.monotonic() + _PATIENCE, last.number
            return last.number >= first + _ROWS_AROUND

        while not wait_until(enough, 1.0):
            if time.monotonic() > deadline:
                raise LandbridgeError(
                    f"the writer cannot write to the server on port {port}", id="demo.no_writes"
                )

    def _stop_application(self) -> None:
        self.writer.stop()
        self.load.stop()

    def _stage(self, what: str) -> AbstractContextManager[None]:
        return stage(self.out, what)
