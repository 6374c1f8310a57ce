"""A changed file meets a lab that commands have changed.

What the file says otherwise than when it was last read is taken from the file; all else
stays as the commands left it. So the same file again changes nothing.
"""

from __future__ import annotations

from ..errors import NetworkRefused
from ..network.topology import KINDS
from .changes import drop_idle_routers
from .plan import Plan


def merge(read: Plan, file: Plan, wanted: Plan) -> tuple[Plan, list[str]]:
    """The plan that is wanted from now on, and what of the commands' had to go (sentences).

    `read` is the file as last read, `file` as it is now, `wanted` what `read` has become.
    """
    merged = Plan(file.name, file.accounts, servers=file.servers)
    gone = []
    for shelf in KINDS:
        olds, news, nows = (getattr(p.topology, shelf) for p in (read, file, wanted))
        for id in {**nows, **news}:
            changed = news.get(id) != olds.get(id)
            thing = news.get(id) if changed else nows.get(id)
            if thing is None:
                continue
            try:
                merged.topology.put(thing)
            except NetworkRefused as refused:
                if changed:
                    raise
                gone.append(f"{id} is gone: {refused.message}")
    drop_idle_routers(merged.topology)
    return merged, gone
