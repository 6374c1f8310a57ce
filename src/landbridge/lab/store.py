"""A lab's folder, and all labs of a state directory.

::

    STATE/lab/NAME/
    ├── lab.json        the plan as last read, the plan as it is wanted now, the driver
    ├── lock            held (flock) by the command that changes the lab
    ├── fabric/         of the process that makes the network
    ├── secrets/        passfiles of the accounts `mover` and `fence`, mode 0600
    └── instances/ID/   `data`, and beside it `data.landbridge` with hba, log and socket
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import LandbridgeError, UsageError
from ..lock import take
from .plan import Plan
from .toml import ID, ID_RULE

#: Seconds that a command waits for another one on the same lab.
_PATIENCE = 60.0


@dataclass
class Saved:
    """What lab.json holds."""

    file: str
    """Where the plan was read from."""
    driver: str
    """As it was asked for: auto, netns or relay."""
    read: Plan
    """As last read from the file."""
    wanted: Plan
    """With what commands have changed since."""


class Store:
    """The folder of one lab."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def fabric(self) -> Path:
        return self.folder / "fabric"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def instances(self) -> Path:
        return self.folder / "instances"

    def data(self, instance: str) -> Path:
        """The data directory of an instance."""
        return self.instances / instance / "data"

    def prepare(self) -> None:
        """Make the folder; others may pass through (the server account must), not look.

        LandbridgeError (lab.unreadable) if it is another account's.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o711)
            self.secrets.mkdir(mode=0o700, exist_ok=True)
        except PermissionError:
            raise self._unreadable() from None

    def load(self) -> Saved | None:
        """What was saved; None for a lab that was never made.

        LandbridgeError (lab.unreadable) if it is another account's.
        """
        try:
            raw = json.loads((self.folder / "lab.json").read_text())
        except FileNotFoundError:
            return None
        except PermissionError:
            raise self._unreadable() from None
        plans = (Plan.from_dict(raw[name]) for name in ("read", "wanted"))
        return Saved(raw["file"], raw["driver"], *plans)

    def save(self, saved: Saved) -> None:
        """Replace lab.json, so that it is whole whatever happens."""
        value = {
            "file": saved.file, "driver": saved.driver,
            "read": saved.read.as_dict(), "wanted": saved.wanted.as_dict(),
        }  # fmt: skip
        scratch = self.folder / ".lab.json"
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(fd)
        scratch.replace(self.folder / "lab.json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one command that changes the lab; LandbridgeError (lab.busy) otherwise.

        LandbridgeError (lab.gone) if another has taken it down while we waited.
        """
        lock = self.folder / "lock"
        try:
            fd = take(lock, _PATIENCE)
        except FileNotFoundError:
            raise self._gone() from None
        if fd is None:
            raise LandbridgeError(
                f"another command has worked on lab {self.name} for {_PATIENCE:.0f} s",
                id="lab.busy", retryable=True,
            )  # fmt: skip
        try:
            if not _is_at(fd, lock):
                raise self._gone()
            yield
        finally:
            os.close(fd)

    def _gone(self) -> LandbridgeError:
        return LandbridgeError(
            f"lab {self.name} was taken down meanwhile", id="lab.gone",
            remedy="Build it again: landbridge lab up FILE",
        )  # fmt: skip

    def _unreadable(self) -> LandbridgeError:
        return LandbridgeError(
            f"the lab in {self.folder} is another account's", id="lab.unreadable",
            remedy="Work as that account, or name a folder of yours in LANDBRIDGE_STATE.",
        )  # fmt: skip

    def remove(self, *, keep_data: bool) -> None:
        """Remove the folder; with `keep_data` what `lab up` needs to build the lab again stays."""
        if keep_data:
            shutil.rmtree(self.fabric, ignore_errors=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Labs:
    """All labs of one state directory."""

    def __init__(self, state: Path) -> None:
        self.root = state / "lab"

    def all(self) -> list[Store]:
        """Every lab, by name."""
        return [Store(found.parent) for found in sorted(self.root.glob("*/lab.json"))]

    def store(self, name: str) -> Store:
        """The place of a lab of that name, made or not; UsageError (lab.bad_name) for a bad one."""
        if not ID.fullmatch(name):
            raise UsageError(f"a lab cannot be called {name!r}", id="lab.bad_name", remedy=ID_RULE)
        return Store(self.root / name)

    def get(self, name: str | None) -> Store:
        """The lab of that name, or the only one; UsageError (lab.unknown) otherwise."""
        found = [store for store in self.all() if name in (None, store.name)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(store.name for store in self.all()) or "none"
        raise UsageError(
            "which lab is not clear" if found else f"there is no lab {name or ''}".rstrip(),
            id="lab.unknown",
            remedy=f"Name one with --lab; there are: {known}."
            if self.all()
            else "Make one: landbridge lab up examples/two-regions.toml",
        )


def _is_at(fd: int, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
