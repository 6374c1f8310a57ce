"""Incremental synchronization: what the lag is, what our slot costs the source, who repairs what.

::

    sample.py      what a person sees: lag, state, WAL kept, transactions in the way
    source.py      what the source says, in one round trip
    local.py       what the standby says
    wal.py         the budget of WAL that our slot may keep on the source
    supervisor.py  the standby restarted when it died, its parameters raised
    slot.py        the slot made again, or given up, when it is gone
    follower.py    the loop over all of them
"""

from __future__ import annotations

from .follower import Follower
from .sample import Sample

__all__ = ["Follower", "Sample"]
