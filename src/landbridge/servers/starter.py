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

from ..errors import LandbridgeError, ServerFailed
from ..postgres.cluster import Cluster
from ..postgres.distribution import find
from ..postgres.osaccount import OsAccount
from . import sandbox


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
    is_shut_in: bool
    """Whether it gets nothing but its own folder to write to."""

    @classmethod
    def of(cls, cluster: Cluster, *, shut_in: bool) -> Start:
        return cls(
            str(cluster.data), cluster.distribution.major, cluster.port,
            **asdict(cluster.account), is_shut_in=shut_in,
        )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    start = Start(**json.loads(arguments[0]))
    account = OsAccount(start.name, start.uid, start.gid, start.switch)
    try:
        cluster = Cluster(Path(start.data), find(start.major), start.port, account=account)
        if start.is_shut_in:
            _shut_in(cluster)
        cluster.start()
    except LandbridgeError as error:
        print(json.dumps(error.as_dict()))
        return 1
    return 0


def _shut_in(cluster: Cluster) -> None:
    """Shut ourselves in, and so the server: it inherits all of it."""
    own = {cluster.data.parent, cluster.socket_dir}
    cluster.socket_dir.mkdir(mode=0o700, exist_ok=True)
    cluster.account.own(cluster.socket_dir)
    try:
        sandbox.enter(own, [cluster.distribution.root])
    except OSError as problem:
        raise ServerFailed(
            f"the server on {cluster.data} cannot be shut in: {problem}", id="server.sandbox"
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
