"""`landbridge cen`: networks of several regions and accounts, joined."""

from . import cens, members, plans, regions
from .group import cen

__all__ = ["cen", "cens", "members", "plans", "regions"]
