"""The parent's side of the copy: start it, find it again, watch it, undo it."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

from ... import lock
from ...errors import CopyFailed, MigrationCancelled
from ...postgres.osaccount import clean_environment
from ...postgres.process import ProcessId, start_detached, wait_until
from ...postgres.replication import ReplicationConnection
from ...postgres.slots import drop_slot_at
from ..task import Task, read_json, write_json
from .destination import Destination
from .model import CopyProgress, CopyResult, CopySpec, Report

# Seconds between two looks at the child's progress; its end is noticed at once.
_LOOK = 0.2


class CopyJob:
    """The full copy of one task.

    The child holds a lock that it inherits from us, so there is no moment in which a
    restarted parent could start a second one.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.folder = task.folder / "copy"
        request = task.request
        self._destination = Destination(
            Path(request.data), task.id, self.folder, request.os_account
        )

    @property
    def aside(self) -> Path:
        """Where an empty cluster that was in the way is kept."""
        data = self._destination.data
        return data.with_name(f"{data.name}.before-{self.task.id}")

    def start_or_adopt(self) -> None:
        """See that the copy is done or under way.

        A child that runs is adopted, a finished copy is left alone, a failed one is begun
        again from nothing. Raises LandbridgeError when it cannot be begun, CopyFailed
        (copy.destination_not_empty, copy.destination_in_use) before anything was changed.
        """
        if self._result() is not None or self.child() is not None:
            return
        self._set_aside()
        self._destination.check()
        drop_slot_at(self.task.conninfo(), self.task.slot)
        with ReplicationConnection.connect(self.task.conninfo()) as conn:
            conn.create_physical_slot(self.task.slot)
        write_json(self.folder / "spec.json", self.spec().as_dict())
        self._start()

    def stands(self) -> bool:
        """Whether the data directory is a complete copy of the source."""
        return self._destination.holds(self.task.request.system_identifier)

    def progress(self) -> CopyProgress | None:
        """How far the copy has come, or None before the first report."""
        raw = read_json(self.folder / "progress.json")
        return None if raw is None else CopyProgress.from_dict(raw)

    def wait(self, report: Report, cancelled: Callable[[], bool]) -> CopyResult:
        """Wait for the end, reporting progress; the result.

        Raises CopyFailed with the first cause, or MigrationCancelled after it ended the
        child because `cancelled` said so.
        """
        child = self.child()
        if child is not None:
            self._watch(child, report, cancelled)
        result = self._result()
        if result is None:
            raise self._failure()
        self._destination.seal(sync=self.task.request.sync)
        return result

    def cancel(self) -> None:
        """End the child, if there is one."""
        child = self.child()
        if child is not None:
            child.end_group()
            wait_until(lambda: self.child() is None, 10)

    def undo(self) -> None:
        """Leave nothing: no child, no copy, no slot; an empty cluster set aside is back.

        What lies here is put back although the source is away, and the slot dropped although
        something here cannot be removed; the last error is raised.
        """
        self.cancel()
        try:
            self._undo_here()
        finally:
            drop_slot_at(self.task.conninfo(), self.task.slot)

    def _undo_here(self) -> None:
        if self.stands():
            self._refuse_while_served()
            self._destination.unseal()
        self._destination.clean()
        (self.folder / "result.json").unlink(missing_ok=True)
        for here, there in self._moves():
            if there.exists():
                self._put_back(there, here)

    def spec(self) -> CopySpec:
        request = self.task.request
        return CopySpec(
            task=self.task.id,
            folder=str(self.folder),
            engine=request.copy_engine,
            source=dict(self.task.conninfo().public()),
            system_identifier=request.system_identifier,
            slot=self.task.slot,
            data=str(self._destination.data),
            tablespaces=request.tablespaces,
            compression=request.compression,
            max_rate=request.max_rate,
            sync=request.sync,
            os_account=request.os_account,
        )

    def _start(self) -> None:
        for name in ("child.json", "progress.json", "result.json"):
            (self.folder / name).unlink(missing_ok=True)
        if (held := lock.take(self._lock())) is None:
            raise CopyFailed("a copy of this task is being started elsewhere", id="copy.busy")
        try:
            if self.task.request.os_account is not None:
                self._destination.hand_over()
            start_detached(
                [sys.executable, "-m", "landbridge.migration.copying.child", self.folder],
                output=self.folder / "log",
                environment=clean_environment(),
                pass_fds=(held,),
            )
        finally:
            os.close(held)

    def _lock(self) -> Path:
        """What a child holds as long as it lives."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        return self.folder / "lock"

    def child(self) -> ProcessId | None:
        """The living child, whoever started it; None once it is gone with all its threads."""
        found: ProcessId | None = None

        def settled() -> bool:
            nonlocal found
            if not lock.is_taken(self._lock()):
                found = None
                return True
            # Held: by a child that has not written its name yet, by one that lives, or by
            # the last thread of one that was killed.
            raw = read_json(self.folder / "child.json")
            found = ProcessId(**raw) if raw else None
            return found is not None and found.alive()

        wait_until(settled, 10)
        return found

    def _watch(self, child: ProcessId, report: Report, cancelled: Callable[[], bool]) -> None:
        try:
            handle = os.pidfd_open(child.pid)
        except ProcessLookupError:
            return
        last: CopyProgress | None = None
        try:
            while not select.select([handle], [], [], _LOOK)[0]:
                if cancelled():
                    self.cancel()
                    raise MigrationCancelled("cancelled during the full copy")
                progress = self.progress()
                if progress is not None and progress != last:
                    last = progress
                    report(progress)
            child.alive()  # reaps it, if it is our own
        finally:
            os.close(handle)

    def _result(self) -> CopyResult | None:
        raw = read_json(self.folder / "result.json") or {}
        return CopyResult(**raw["result"]) if "result" in raw else None

    def _failure(self) -> CopyFailed:
        raw = (read_json(self.folder / "result.json") or {}).get("error")
        if raw is not None:
            message = raw.pop("message")
            return CopyFailed(message, **raw)
        log = self.folder / "log"
        words = log.read_text(errors="replace").strip() if log.exists() else ""
        return CopyFailed(
            f"the copier ended without a word: {words.splitlines()[-1] if words else 'killed'}",
            id="copy.child_died",
            retryable=True,
        )

    def _set_aside(self) -> None:
        """Move an empty cluster, with its folder beside it, out of the way."""
        here, there = self._moves()[-1]
        wanted = self.task.request.replaces_empty_cluster and (here / "PG_VERSION").exists()
        if not wanted or there.exists():
            return
        self._refuse_while_served()
        for here, there in self._moves():
            if here.exists():
                here.rename(there)

    def _put_back(self, there: Path, here: Path) -> None:
        if here.exists() and any(here.iterdir()):
            self.task.journal.note(
                "copy.stays_aside",
                f"{here} holds somebody else's files; what was there before is {there}.",
                level="warning",
            )
        else:
            there.rename(here)

    def _moves(self) -> list[tuple[Path, Path]]:
        """What is set aside, and where to; the data directory last."""
        side = self.task.cluster().side
        return [
            (side, self.aside.with_name(f"{self.aside.name}.landbridge")),
            (self._destination.data, self.aside),
        ]

    def _refuse_while_served(self) -> None:
        if self.task.cluster().process() is not None:
            raise CopyFailed(
                f"a server runs on {self._destination.data}",
                id="copy.destination_in_use",
                remedy="Stop it first.",
            )
