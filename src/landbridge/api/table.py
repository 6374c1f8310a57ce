"""Every action there is."""

from __future__ import annotations

from . import cbn, landbridge, rds, sts, vpc

ACTIONS = (*sts.ACTIONS, *vpc.ACTIONS, *cbn.ACTIONS, *rds.ACTIONS, *landbridge.ACTIONS)
