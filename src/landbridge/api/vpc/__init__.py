"""Virtual Private Cloud."""

from . import grants, places, vpcs, vswitches

ACTIONS = (*places.ACTIONS, *vpcs.ACTIONS, *vswitches.ACTIONS, *grants.ACTIONS)
