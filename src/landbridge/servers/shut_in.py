"""Becomes a program that is shut in, as an account that it cannot leave.

    python -m landbridge.servers.shut_in JSON PROGRAM ARGUMENT...

JSON is a `Room`. What it prints where that fails reads like a server's own last words.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..postgres.cluster import Cluster
from . import sandbox


@dataclass(frozen=True)
class Room:
    """What a program may do."""

    writable: tuple[str, ...]
    """Folders that are its own."""
    readable: tuple[str, ...]
    """What it may read and execute besides what every program needs."""
    account: tuple[int, int] | None
    """User and group that it runs as; None: ours."""

    @classmethod
    def of(cls, cluster: Cluster) -> Room:
        """A server's: its own folder, its socket, its programs."""
        account = cluster.account
        return cls(
            tuple(map(str, (cluster.data.parent, cluster.socket_dir))),
            (str(cluster.distribution.root),),
            (account.uid, account.gid) if account.switch else None,
        )

    def enter(self) -> None:
        """Shut this process in, for good. Raises OSError."""
        sandbox.enter(map(Path, self.writable), map(Path, self.readable))
        if self.account is not None:
            uid, gid = self.account
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)


def command(cluster: Cluster) -> list[str]:
    """What starts a server shut in; see `Cluster`."""
    room = json.dumps(asdict(Room.of(cluster)))
    return [sys.executable, "-P", "-m", "landbridge.servers.shut_in", room]


def main(arguments: Sequence[str]) -> None:
    room, *program = arguments
    try:
        Room(**json.loads(room)).enter()
        os.execv(program[0], program)
    except OSError as problem:
        sys.exit(f"FATAL:  the server cannot be shut in: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
