"""Why an instance is not as it is wanted, in words that its owner may read.

What went wrong in full names folders and processes of this machine; it goes to the log.
"""

from __future__ import annotations

from ...errors import LandbridgeError

_WORDS = {
    "server.start_failed": "its server did not start",
    "server.start_timeout": "its server did not get ready in time",
    "server.no_connection": "its server does not answer",
    "server.not_ours": "another program answers in its server's place",
    "server.processes_left": "programs that its server has started do not end",
    "server.not_removed": "its files could not be removed",
    "server.initdb_failed": "its server could not be made",
    "network.failed": "its network is not ready",
    "instance.waits": "it waits for what it stands on",
}
_OTHERWISE = "it could not be brought to what is wanted"
#: Characters of what a server said.
_MOST = 300


def words(problem: Exception) -> str:
    """An id that stays, and what it means."""
    id = problem.id if isinstance(problem, LandbridgeError) else "instance.failed"
    if id.startswith("network."):
        return f"{id}: {_WORDS['network.failed']}; it is tried again"
    return f"{id}: {_WORDS.get(id, _OTHERWISE)}; it is tried again"


def cut(text: str) -> str:
    """What a server said, in one short line."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST else f"{line[:_MOST]}..."
