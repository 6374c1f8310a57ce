"""Proof that source and destination hold the same, at one position of the WAL.

::

    run.py       the whole of it, and what `landbridge verify` calls
    moment.py    both sides at rest after the switchover
    point.py     one common point before it, under load: the standby stops at an LSN
    budget.py    ends it before the WAL kept meanwhile becomes too much for the source
    commits.py   in which order transactions committed, from the WAL received
    snapshot.py  whether both sides show the same transactions
    sides.py     the two servers; a moment of a database that many connections share
    tables.py    what there is to compare, and the hash
    compare.py   tables, several at a time, both sides at once
    where.py     in which blocks and rows a differing table differs
    objects.py   roles, databases, settings, definitions, large objects
    sequences.py sequences, which belong to no transaction
    examine.py   the destination alone: pages and indexes
    pages.py     page checksums of the destination
    indexes.py   index and heap structure of the destination (amcheck)
    result.py    what was found
"""

from .examine import examine_destination
from .result import ObjectResult, TableResult, Verification
from .run import verify

__all__ = [
    "ObjectResult",
    "TableResult",
    "Verification",
    "examine_destination",
    "verify",
]
