"""Just enough of PostgreSQL's wire protocol to ask whether a server answers, and to say no."""

from .asking import Dial, probe, probe_replication
from .refusing import Refusal, Refused, no_route, not_whitelisted, refuse

__all__ = [
    "Dial", "Refusal", "Refused", "no_route", "not_whitelisted", "probe", "probe_replication",
    "refuse",
]  # fmt: skip
