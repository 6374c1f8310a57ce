"""Starts a server at its place in a fabric.

    python -m landbridge.servers.starter JSON

Run through `Fabric.command`, so that the server lives in its instance's network; JSON is a
`Start`. Ends 0 when the server accepts connections or stands by; otherwise 1, with the error
as JSON on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import LandbridgeError
from ..postgres.cluster import Cluster
from ..postgres.distribution import find
from ..postgres.osaccount import OsAccount


@dataclass(frozen=True)
class Start:
    """What is started, and as whom."""

    data: str
    major: int
    port: int
    name: str
    uid: int
    gid: int
    switch: bool
    through: tuple[str, ...]
    """The command that shuts it in; empty: it is not."""

    @classmethod
    def of(cls, cluster: Cluster, through: Sequence[str]) -> Start:
        return cls(
            str(cluster.data), cluster.distribution.major, cluster.port,
            **asdict(cluster.account), through=tuple(through),
        )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    start = Start(**json.loads(arguments[0]))
    account = OsAccount(start.name, start.uid, start.gid, start.switch)
    try:
        Cluster(
            Path(start.data), find(start.major), start.port, account=account, through=start.through
        ).start()
    except LandbridgeError as error:
        print(json.dumps(error.as_dict()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
