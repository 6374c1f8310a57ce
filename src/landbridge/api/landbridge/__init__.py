"""What the vendor's API lacks, under a version of our own."""

from . import assessments, migrations, sessions

ACTIONS = (*assessments.ACTIONS, *migrations.ACTIONS, *sessions.ACTIONS)
