"""Asks the server's own program whether it would accept its configuration file."""

from __future__ import annotations

import re
import subprocess

from ..errors import ServerFailed
from .cluster import Cluster

_COMPLAINT = re.compile(r'LOG:\s+(.*parameter "([^"]+)".*)')


def refused_settings(cluster: Cluster) -> dict[str, str]:
    """Settings of `postgresql.conf` that this server refuses: name -> its words.

    `postgres -C` reads the whole file and checks every value (locales, time zones,
    compression methods it was built with) without starting anything. Raises ServerFailed
    when the file is refused for another reason.
    """
    answer = subprocess.run(
        [cluster.distribution.program("postgres"), "-D", cluster.data, "-C", "data_directory"],
        capture_output=True, text=True, env=cluster.distribution.environment, check=False,
        **cluster.account.popen_arguments(),
    )  # fmt: skip
    if answer.returncode == 0:
        return {}
    refused = {match[2]: match[1] for match in _COMPLAINT.finditer(answer.stderr)}
    if not refused:
        raise ServerFailed(
            f"the configuration of {cluster.data} is refused: {answer.stderr.strip()}",
            id="server.configuration_refused",
        )
    return refused
