"""Sessions of instances."""

from __future__ import annotations

from typing import Any

from ...cloud.instances import lifecycle, whitelist
from ..action import Action, Call, Product
from ..rds.common import BAD_STATE, ID, NOT_FOUND, find


def _close_foreign(call: Call) -> dict[str, Any]:
    instance = find(call)
    lifecycle.require_kept(instance)
    whitelist.close_strangers(instance)
    return {}


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "CloseForeignSessions",
        "End the sessions of clients that the whitelists of an instance do not admit any more.",
        _close_foreign,
        (ID,),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, BAD_STATE),
    ),
)
