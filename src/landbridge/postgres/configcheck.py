"""Asks the server's own program whether it would accept its configuration."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ServerFailed
from .cluster import Cluster, quote
from .distribution import Distribution

_COMPLAINT = re.compile(r'LOG:\s+(.*parameter "([^"]+)".*)')
_WHERE = re.compile(r' in file ".*" line \d+$')


def refused_settings(cluster: Cluster) -> dict[str, str]:
    """Settings of `postgresql.conf` that this server refuses: name -> its words.

    `postgres -C` reads the whole file and checks every value (locales, time zones,
    compression methods it was built with) without starting anything. Raises ServerFailed
    when the file is refused for another reason.
    """
    as_owner = cluster.account.popen_arguments()
    return _complaints(cluster.distribution, cluster.data, **as_owner)


def refused_values(distribution: Distribution, settings: Mapping[str, str]) -> dict[str, str]:
    """Those of `settings` that these programs refuse, without a cluster: name -> their words.

    Names are in lower case. Each value is judged by itself; names with a dot belong to
    libraries, which are not loaded.
    """
    refused: dict[str, str] = {}
    left = dict(settings)
    with tempfile.TemporaryDirectory(prefix="landbridge-") as folder:
        # Values are looked at once no name is unknown any more: ask until all is said.
        while left:
            lines = [f"{name} = {quote(value)}" for name, value in left.items()]
            (Path(folder) / "postgresql.conf").write_text("\n".join(lines) + "\n")
            found = _complaints(distribution, Path(folder))
            said = {name: words for name, words in found.items() if name in left}
            if not said:
                break
            refused |= {name: _WHERE.sub("", words) for name, words in said.items()}
            left = {name: value for name, value in left.items() if name not in said}
    return refused


def _complaints(distribution: Distribution, data: Path, **as_whom: Any) -> dict[str, str]:
    answer = subprocess.run(
        # Root too may ask, if -C comes first.
        [distribution.program("postgres"), "-C", "data_directory", "-D", data],
        capture_output=True, text=True, check=False,
        env={**distribution.environment, "LC_ALL": "C"},  # its words are read below
        **as_whom,
    )  # fmt: skip
    if answer.returncode == 0:
        return {}
    refused = {match[2]: match[1] for match in _COMPLAINT.finditer(answer.stderr)}
    if not refused:
        raise ServerFailed(
            f"the configuration of {data} is refused: {answer.stderr.strip()}",
            id="server.configuration_refused",
        )
    return refused
