"""What lies where in the state folder of a network.

::

    STATE/             mode 0700, of the account that the daemon runs as
    ├── daemon.sock    mode 0600
    ├── key            mode 0600: the word that whoever asks has to begin with
    ├── daemon.lock    held (flock) by the one daemon
    ├── daemon.log
    ├── installation   the random word that marks whatever we make on this machine
    ├── choice.json    the driver that was taken, and why: decided once
    ├── holder.json    of an ordinary user: the process that keeps the user namespace
    └── run/           the driver's own: pinned namespaces, or what the relay remembers
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
from dataclasses import dataclass
from pathlib import Path

from ...errors import NetworkRefused
from ..choose import Choice, Wanted
from .protocol import SOCKET


@dataclass(frozen=True)
class Layout:
    """The paths of one state folder (absolute)."""

    state: Path

    @property
    def socket(self) -> Path:
        return self.state / SOCKET

    @property
    def lock(self) -> Path:
        return self.state / "daemon.lock"

    @property
    def log(self) -> Path:
        return self.state / "daemon.log"

    @property
    def run(self) -> Path:
        return self.state / "run"

    def make(self, user: str) -> str:
        """Make the folder for an account of this host ("": ourselves); whose it is, or "".

        As root a folder that is somebody's already stays that account's. What is in it is
        made by the daemon, as that account: root follows no link of another's.
        """
        self.state.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.state.mkdir(mode=0o700)
        except FileExistsError:
            owner = self.state.lstat().st_uid
            return pwd.getpwuid(owner).pw_name if os.geteuid() == 0 and owner != 0 else user
        if user:
            entry = pwd.getpwnam(user)
            os.chown(self.state, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
        return user

    def open_log(self) -> None:
        """Let this process, the daemon, print into its log."""
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)

    def installation(self) -> str:
        """The word that marks what is ours; made when first asked for."""
        path = self.state / "installation"
        if not path.exists():
            _write(path, secrets.token_hex(6))
        return path.read_text()

    def remembered(self, wanted: Wanted) -> Choice | None:
        """The driver that was taken earlier, if any.

        NetworkRefused (network.other_driver) if another one is wanted now.
        """
        try:
            raw = json.loads((self.state / "choice.json").read_text())
        except FileNotFoundError:
            return None
        choice = Choice(Wanted(raw["driver"]), tuple(raw["reasons"]))
        if wanted not in (Wanted.AUTO, choice.driver):
            raise NetworkRefused(
                f"the network in {self.state} is built by driver {choice.driver.value},"
                f" not {wanted.value}",
                id="network.other_driver",
                remedy="Take the network down first.",
            )
        return choice

    def remember(self, choice: Choice) -> None:
        raw = {"driver": choice.driver.value, "reasons": choice.reasons}
        _write(self.state / "choice.json", json.dumps(raw))


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text)
    scratch.replace(path)
