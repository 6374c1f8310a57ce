"""What the vendor's API lacks, under a version of our own."""

from . import (
    account,
    assessments,
    billing,
    everywhere,
    migrations,
    network,
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
    *trying.ACTIONS,
    *network.ACTIONS,
    *sessions.ACTIONS,
    *billing.ACTIONS,
)
