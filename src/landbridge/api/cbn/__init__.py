"""Cloud Enterprise Network."""

from .places import ACTIONS

__all__ = ["ACTIONS"]
