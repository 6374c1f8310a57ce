"""The way to the source and the account there, looked at alone: it takes a moment."""

from __future__ import annotations

from ..postgres.conninfo import Conninfo
from .assess import assess
from .facts import DestinationPlan
from .gather import gather_way
from .model import Report

#: The checks that are made of it.
WAY = (
    "connect.address", "connect.port", "connect.login", "connect.replication",
    "connect.createrole", "connect.pg_monitor",
)  # fmt: skip


def assess_way(source: Conninfo, destination: DestinationPlan) -> Report:
    """Whether the account gets through, replicates and has its rights. Changes nothing."""
    return assess(gather_way(source, destination), only=WAY)
