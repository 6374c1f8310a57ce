"""What the vendor's API lacks, under a version of our own."""

from . import (
    account,
    assessments,
    billing,
    everywhere,
    migrations,
    network,
    outgoing,
    sessions,
    trying,
    users,
)

ACTIONS = (
    *account.ACTIONS,
    *users.ACTIONS,
    *everywhere.ACTIONS,
    *assessments.ACTIONS,
    *migrations.ACTIONS,
    *outgoing.ACTIONS,
    *trying.ACTIONS,
    *network.ACTIONS,
    *sessions.ACTIONS,
    *billing.ACTIONS,
)
