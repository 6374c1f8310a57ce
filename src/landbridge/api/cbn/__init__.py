"""Cloud Enterprise Network."""

from . import attachments, cens, grants, peers, places, plans, routers

ACTIONS = (
    *places.ACTIONS,
    *cens.ACTIONS,
    *grants.ACTIONS,
    *routers.ACTIONS,
    *attachments.ACTIONS,
    *plans.ACTIONS,
    *peers.ACTIONS,
)
