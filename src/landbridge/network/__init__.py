"""Networks that are real: VPCs, transit routers, attachments and lines with bandwidth.

`topology` says what is wanted and whether a packet may pass; a `fabric` makes it so.
"""

from .fabric import Fabric, Outcome
from .topology import Topology
from .verdict import Verdict

__all__ = ["Fabric", "Outcome", "Topology", "Verdict"]
