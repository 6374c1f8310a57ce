"""Cloud Enterprise Network."""

from . import attachments, cens, children, grants, limits, peers, places, plans, routers, routes

ACTIONS = (
    *places.ACTIONS,
    *cens.ACTIONS,
    *grants.ACTIONS,
    *routers.ACTIONS,
    *attachments.ACTIONS,
    *children.ACTIONS,
    *routes.ACTIONS,
    *plans.ACTIONS,
    *peers.ACTIONS,
    *limits.ACTIONS,
)
