"""Feasibility assessments and cloud migrations of a destination instance.

::

    assessments   a call orders and finds assessments, and which one a migration goes by
    migrations    a call orders, finds, switches over, cancels, closes, deletes migrations
    ├── rules         what the procedure requires of source and destination
    └── guards        what it forbids meanwhile, refused where the instance is ours
    tables        the rows: what was asked for, and what came of it
    mover         does it: assessments, workers, orders; hands the destination back
    └── place         what runs at the destination's place in the network
    progress      what a migration's own record says of it, in the vendor's terms
    ├── detail        the text of Detail
    └── replication   the JSON of ReplicationInfo
"""
