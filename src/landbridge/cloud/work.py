"""What makes the rows real, all at work at once: networks, servers, migrations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..network import Fabric
from . import fabric
from .control import Cloud
from .instances import public, reconciler
from .migrations import mover


@contextmanager
def running(cloud: Cloud, connect: Callable[[], Fabric]) -> Iterator[None]:
    """Bring networks and servers to what the rows want, in threads of their own.

    There may be one at a time for a control plane. At the end what is being done is
    finished; networks and servers stay, and the next one finds them.
    """
    with (
        fabric.running(cloud, connect),
        reconciler.running(cloud, connect),
        public.running(cloud, connect),
        mover.running(cloud, connect),
    ):
        yield
