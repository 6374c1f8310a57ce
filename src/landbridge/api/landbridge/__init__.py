"""What the vendor's API lacks, under a version of our own."""

from . import account, assessments, migrations, sessions, users

ACTIONS = (
    *account.ACTIONS,
    *users.ACTIONS,
    *assessments.ACTIONS,
    *migrations.ACTIONS,
    *sessions.ACTIONS,
)
