"""`landbridge instance`: PostgreSQL servers in VPCs."""

from . import accounts, instances, parameters
from .group import instance

__all__ = ["accounts", "instance", "instances", "parameters"]
