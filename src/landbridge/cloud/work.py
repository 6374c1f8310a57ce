"""What makes the rows real, all at work at once: networks, servers, migrations; and removes what is
old."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .. import lock
from ..errors import NetworkFailed
from ..network import Fabric
from . import fabric, retention
from .control import Cloud
from .instances import logs, public, reconciler
from .migrations import mover


@contextmanager
def running(cloud: Cloud, connect: Callable[[], Fabric]) -> Iterator[None]:
    """Bring networks and servers to what the rows want, in threads of their own.

    There may be one at a time for a control plane. At the end what is being done is
    finished; networks and servers stay, and the next one finds them. A control plane whose
    folder was removed has no network any more: NetworkFailed (network.no_folder).
    """
    is_there = lock.staying(cloud.folder)

    def network() -> Fabric:
        if not is_there():
            raise NetworkFailed(f"the folder {cloud.folder} was removed", id="network.no_folder")
        return connect()

    with (
        fabric.running(cloud, network),
        reconciler.running(cloud, network),
        public.running(cloud, network),
        logs.running(cloud),
        mover.running(cloud, network),
        retention.running(cloud),
    ):
        yield
