"""Every action there is."""

from __future__ import annotations

from . import cbn, rds, sts, vpc

ACTIONS = (*sts.ACTIONS, *vpc.ACTIONS, *cbn.ACTIONS, *rds.ACTIONS)
