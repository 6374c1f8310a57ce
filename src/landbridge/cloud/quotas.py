"""How many of a thing there may be: the one table, and the refusal when it is full.

The numbers are the vendor's default quotas where it publishes one, the rest keep what a tenant
can grow within what one machine looks after.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import CloudError


@dataclass(frozen=True)
class Quota:
    """At most so many."""

    most: int
    what: str
    """Of what and where, like `VPCs of an account in a region`."""
    code: str
    """With which code one more is refused."""

    def require_room(self, there: int, more: int = 1) -> None:
        """CloudError with the code unless `more` can be added to what is `there`."""
        if there + more > self.most:
            said = f"{self.what}: at most {self.most}, there are {there}"
            raise CloudError(self.code, said)


ACCESS_KEYS = Quota(10, "active access keys of an account", "LimitExceeded.User.AccessKey")
KEYS = Quota(1000, "access keys of an account, disabled ones too", "LimitExceeded.User.AccessKey")
USERS = Quota(100, "console users of an account", "LimitExceeded.User")
VPCS = Quota(10, "VPCs of an account in a region", "QuotaExceeded.Vpc")
VSWITCHES = Quota(150, "vSwitches of a VPC", "QuotaExceeded.VSwitch")
GRANTS = Quota(50, "CENs that a VPC is granted to", "QuotaExceeded.Grant")
CENS = Quota(10, "CENs of an account", "QuotaExceeded.Cen")
ATTACHMENTS = Quota(
    50, "VPC attachments of a transit router", "QuotaExceeded.CenQuotaVpcAttachPerTransitRouter"
)
PLANS = Quota(20, "bandwidth plans of an account", "QuotaExceeded.BandwidthPackage")
INSTANCES = Quota(30, "instances of an account", "QuotaExceeded.DBInstance")
READ_ONLY = Quota(5, "read-only instances of a primary", "QuotaExceeded.ReadOnlyDBInstance")
DATABASE_ACCOUNTS = Quota(
    500, "database accounts of an instance that were ordered", "QuotaExceeded.Account"
)
WHITELIST_GROUPS = Quota(
    200, "whitelist groups of an instance", "InvalidSecurityIPList.QuotaExceeded"
)
WHITELIST_ENTRIES = Quota(
    1000, "whitelist entries of an instance", "InvalidSecurityIPList.QuotaExceeded"
)
ASSESSMENTS = Quota(200, "assessments of an account", "QuotaExceeded.Assessment")
MIGRATIONS = Quota(200, "migrations of an account, closed ones too", "QuotaExceeded.Migration")

QUOTAS = (
    ACCESS_KEYS, KEYS, USERS, VPCS, VSWITCHES, GRANTS, CENS, ATTACHMENTS, PLANS, INSTANCES,
    READ_ONLY, DATABASE_ACCOUNTS, WHITELIST_GROUPS, WHITELIST_ENTRIES, ASSESSMENTS, MIGRATIONS,
)  # fmt: skip
"""All of them, for docs/coverage.md."""
