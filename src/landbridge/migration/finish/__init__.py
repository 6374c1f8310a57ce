"""After the promotion: the destination put in order, nothing of ours left on either side.

::

    parts.py       the parts in their order, each journalled, so that a crash resumes
    catalog.py     subscriptions held still, read-only defaults that were a fence
    collations.py  collation versions against this host's, the indexes that depend on them
"""

from __future__ import annotations

from .parts import FinishResult, finish

__all__ = ["FinishResult", "finish"]
