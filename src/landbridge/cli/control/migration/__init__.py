"""`landbridge migration`: an instance moved into another, by the service."""

from . import assessments, migrations, orders
from .group import migration

__all__ = ["assessments", "migration", "migrations", "orders"]
