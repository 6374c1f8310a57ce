"""The network that a control plane works on, for calls that look at it."""

from __future__ import annotations

from ..network import Fabric
from ..network.daemon import FabricClient
from ..network.daemon.layout import Layout
from .control import Cloud


def fabric(cloud: Cloud) -> Fabric:
    """The fabric that the service keeps; NetworkFailed from its verbs while there is none."""
    return cloud.external or FabricClient(Layout(cloud.folder.parent / "network").socket)
