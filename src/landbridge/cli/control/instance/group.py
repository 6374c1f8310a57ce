"""The group, and the lists of its commands."""

from __future__ import annotations

from ..tables import Column, Listing, Row
from ..verbs import group

instance = group(
    "instance",
    "PostgreSQL servers in VPCs, their database accounts and parameters.",
    "Begin with: landbridge instance create VPC --wait",
)


def _version(row: Row) -> str:
    return f"{row['Engine']} {str(row['EngineVersion']).removesuffix('.0')}"


#: Of lists and details alike.
FACTS = (
    Column("Instance", "DBInstanceId"),
    Column("Status", lambda row: row.get("DBInstanceStatusLabel") or row["DBInstanceStatus"]),
    Column("Version", _version),
    Column("Region", "RegionId"),
    Column("VPC", "VpcId"),
    Column("Address", "ConnectionString"),
    Column("Description", "DBInstanceDescription"),
)
INSTANCES = Listing("instances", "rds", "DescribeDBInstances", "Items.DBInstance", FACTS)
DETAILS = Listing(
    "instance", "rds", "DescribeDBInstanceAttribute", "Items.DBInstanceAttribute",
    (
        *FACTS,
        Column("Port", "Port"),
        Column("Type", "DBInstanceType"),
        Column("Class", "DBInstanceClass"),
        Column("Storage", lambda row: f"{row['DBInstanceStorage']} GB"),
        Column("Used", lambda row: f"{int(row['DBInstanceDiskUsed']) / 1024**2:.0f} MB"),
        Column("Locked", "LockReason"),
        Column("Server", "CurrentKernelVersion"),
        Column("Trouble", "Trouble"),
    ),
)  # fmt: skip
NETWORK = Listing(
    "endpoints", "rds", "DescribeDBInstanceNetInfo", "DBInstanceNetInfos.DBInstanceNetInfo",
    (
        Column("Endpoint", "IPType"),
        Column("Address", "ConnectionString"),
        Column("Port", "Port"),
        Column("CIDR of its VPC", "VPCCidrBlock"),
    ),
)  # fmt: skip
