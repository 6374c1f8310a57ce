"""The one small process that may change this machine's network; everybody else asks it.

::

    landbridge (ordinary user)  ── line-JSON over a Unix socket ──  daemon: a driver, NET_ADMIN,
        FabricClient                                                        SYS_ADMIN, no more
        inside (becomes a server) ── asks for its namespaces ──

As root the daemon works in the machine's own user namespace. As an ordinary user it works
in one that a holder process keeps (`userns`). `layout` says which files there are.
"""

from .client import FabricClient
from .start import check_driver, remove, start, stop

__all__ = ["FabricClient", "check_driver", "remove", "start", "stop"]
