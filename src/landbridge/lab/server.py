"""Starts the server of an instance, at the instance's place.

    python -m landbridge.lab.server DATA MAJOR PORT

Run through `Fabric.command`, so that the server lives in the instance's network. Ends 0 when
the server accepts connections; otherwise 1, with the error as JSON on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import LandbridgeError
from ..postgres.cluster import Cluster
from ..postgres.distribution import find


def main(arguments: Sequence[str]) -> int:
    data, major, port = arguments
    try:
        Cluster(Path(data), find(int(major)), int(port)).start()
    except LandbridgeError as error:
        print(json.dumps(error.as_dict()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
