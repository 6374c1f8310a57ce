"""Incremental synchronization: what the lag is, what our slot costs the source, who repairs what.

::

    sample.py      what a person sees: lag, state, WAL kept, transactions in the way
    measure.py     one sample out of both views and what went before
    source.py      what the source says, in one round trip
    local.py       what the standby says
    wal.py         the budget of WAL that our slot may keep on the source, watched in every state
    supervisor.py  the standby restarted when it died, its parameters raised
    slot.py        the slot made again while its WAL is there
    follower.py    the loop over all of them
"""

from __future__ import annotations

from .follower import Follower
from .sample import Sample
from .wal import guard_slot, refuse_spent

__all__ = ["Follower", "Sample", "guard_slot", "refuse_spent"]
