"""Virtual Private Cloud."""

from . import grants, places, routes, vpcs, vswitches

ACTIONS = (*places.ACTIONS, *vpcs.ACTIONS, *vswitches.ACTIONS, *routes.ACTIONS, *grants.ACTIONS)
