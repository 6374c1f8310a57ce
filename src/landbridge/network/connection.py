"""The fabric of a control plane's state folder: a daemon's, or the external network."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import NetworkRefused
from . import daemon
from .choose import Network
from .external import ExternalDriver
from .fabric import Fabric


class Connection:
    """The way to the fabric of a folder; which kind it is, is decided once for the folder.

    NetworkRefused (network.other_driver) if another kind is asked for.
    """

    def __init__(self, folder: Path, network: Network = Network.AUTO) -> None:
        self._folder = folder
        self._network = network
        mark = folder / "external"
        is_external = mark.exists() if folder.exists() else network is Network.EXTERNAL
        if network is not Network.AUTO and is_external != (network is Network.EXTERNAL):
            there = "is external" if is_external else "is one that we build"
            raise NetworkRefused(
                f"the network in {folder} {there}",
                id="network.other_driver",
                remedy="Begin another state directory, or remove this one's service:"
                " landbridge service remove",
            )
        self.external = ExternalDriver() if is_external else None
        """The driver, where the network is somebody else's."""
        if is_external:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.touch()

    def __call__(self) -> Fabric:
        """The fabric. NetworkFailed and NetworkRefused as `daemon.start`."""
        return self.external or daemon.start(self._folder, self._network.value)

    def remove(self) -> None:
        """Take down everything that was built, and the folder with it."""
        if self.external is None:
            daemon.remove(self._folder)
        elif self._folder.exists():
            shutil.rmtree(self._folder)
