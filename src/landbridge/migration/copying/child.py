"""The process that copies: `python -m landbridge.migration.copying.child FOLDER`.

It outlives the worker that started it. FOLDER is the task's copy folder; what it leaves
there is all its parent learns: child.json (who it is), progress.json, result.json, log.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...errors import LandbridgeError
from ...postgres.osaccount import OsAccount
from ...postgres.process import ProcessId
from ..task import read_json, write_json
from .destination import Destination
from .failures import as_copy_failed
from .model import CopyEngine, CopyProgress, CopySpec
from .plain import PlainEngine

ENGINES: dict[str, type[CopyEngine]] = {PlainEngine.name: PlainEngine}


def main(folder: Path) -> int:
    """Copy as spec.json says; write result.json with the result or the error."""
    # A stream is millions of small views and no cycle: collecting costs 3 % (measured).
    gc.disable()
    myself = ProcessId.of(os.getpid())
    write_json(folder / "child.json", myself.as_dict() if myself else {})
    spec = CopySpec(**read_json(folder / "spec.json"))
    if spec.os_account is not None:
        spec = _become(OsAccount.numbered(spec.os_account), spec)
        folder = Path(spec.folder)

    def report(progress: CopyProgress) -> None:
        write_json(folder / "progress.json", progress.as_dict(), durable=False)

    destination = Destination(spec.path, spec.task, folder, spec.os_account)
    try:
        result = ENGINES[spec.engine]().run(spec, report)
    except Exception as error:
        if not isinstance(error, LandbridgeError | OSError):
            traceback.print_exc()
        failure = as_copy_failed(error)
        print(f"{failure.id}: {failure.message}", flush=True)
        # First make room: a full disk may be the very cause.
        with suppress(OSError):
            destination.clean()
        write_json(folder / "result.json", {"error": failure.as_dict()})
        return 1
    # The result first: sealing can be repeated by whoever reads it, the copy cannot.
    write_json(folder / "result.json", {"result": result.as_dict()})
    destination.seal(sync=spec.sync)
    return 0


def _become(account: OsAccount, spec: CopySpec) -> CopySpec:
    """Be the account that the copy is to belong to: what a source sends gets no further.

    The task's folders are closed to it, so the copy's own becomes the current one.
    """
    password = spec.conninfo.resolve_password().password
    os.chdir(spec.folder)
    os.environ["HOME"] = str(account.home)  # libpq would look for certificates in our own
    account.become()
    return replace(spec, folder=".", password=password)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
