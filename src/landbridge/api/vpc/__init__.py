"""Virtual Private Cloud."""

from . import places, vpcs, vswitches

ACTIONS = (*places.ACTIONS, *vpcs.ACTIONS, *vswitches.ACTIONS)
