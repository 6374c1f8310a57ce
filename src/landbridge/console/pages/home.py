"""Home: what needs attention, what is running, and the next step of the procedure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ..page import Page
from ..visit import Visit, url
from .instances import every

_BUSY = ("ImportingFromOthers", "INS_MAINTAINING")
#: Of so many instances the tasks and whitelists are looked at.
_LOOKED_AT = 10
_NOBODY = "127.0.0.1"


@dataclass(frozen=True)
class Step:
    """One step of the procedure, and where it is done."""

    label: str
    path: str
    is_done: bool


@dataclass(frozen=True)
class Known:
    """What the account has."""

    instances: list[dict[str, Any]]
    topology: dict[str, Any]
    migrations: list[dict[str, Any]]

    @property
    def own_cens(self) -> list[dict[str, Any]]:
        """The CENs that are the account's."""
        return [cen for cen in self.topology["Cens"] if cen["IsOwn"]]


def _show(visit: Visit) -> Response:
    known = _known(visit)
    return visit.page(
        "home.html",
        live=3,
        known=known,
        attention=list(_attention(known)),
        into=list(_into(visit, known)),
        out_of=list(_out_of(visit, known)),
    )


def _known(visit: Visit) -> Known:
    instances = every(visit)
    busy = [i for i in instances if i["DBInstanceStatus"] in _BUSY][:_LOOKED_AT]
    migrations = []
    for instance in busy:
        answer = visit.call(
            "rds.DescribeCloudMigrationResult", DBInstanceName=instance["DBInstanceId"]
        )
        for row in answer["Items"][:1]:
            full = visit.call("landbridge.DescribeMigration", TaskId=row["TaskId"])
            migrations.append(row | full)
    return Known(instances, visit.call("landbridge.DescribeTopology"), migrations)


def _attention(known: Known) -> Iterator[tuple[str, str, str]]:
    """(what, where, what to do) of everything that waits for a person."""
    for row in known.migrations:
        there = url("rds", row["DBInstanceName"], "migration", "tasks", str(row["TaskId"]))
        if row["Status"] == "ReadyToSwitch":
            yield f"{row['TaskName']} is ready to switch over", there, "Switchover"
        elif row["Error"]:
            yield f"{row['TaskName']}: {row['Error']['message']}", there, "Look at it"
    for instance in known.instances:
        there = url("rds", instance["DBInstanceId"])
        if instance["LockReason"]:
            yield f"{instance['DBInstanceId']} is locked: its storage is full", there, "Look at it"
        elif instance["DBInstanceStatus"] == "Stopped":
            yield f"{instance['DBInstanceId']} has stopped", there, "Look at it"
    for cen in known.own_cens:
        for granted in cen["GrantedVpcs"]:
            yield (
                f"{granted['VpcId']} of account {granted['VpcOwnerId']} is granted to"
                f" {cen['CenId']} and not connected yet",
                url("cen", cen["CenId"], "connect"),
                "Connect it",
            )
        for line in cen["Lines"]:
            if not line["HasBandwidth"]:
                yield (
                    f"The connection {line['RegionId']} – {line['PeerRegionId']} has no bandwidth",
                    url("cen", cen["CenId"], "connections"),
                    "Allocate bandwidth",
                )


def _into(visit: Visit, known: Known) -> Iterator[Step]:
    """The destination's side: moving a cluster into this account."""
    joined = next((c for c in known.own_cens if len(c["Attachments"]) > 1), None)
    cen = joined or next(iter(known.own_cens), None)
    at_cen = ("cen", cen["CenId"]) if cen else ("cen",)
    primary = next((i for i in known.instances if i["DBInstanceType"] == "Primary"), None)
    at_instance = ("rds", primary["DBInstanceId"], "migration") if primary else ("rds",)
    regions = {a["RegionId"] for a in joined["Attachments"]} if joined else set()
    lines = any(line["HasBandwidth"] for line in joined["Lines"]) if joined else False
    yield Step("Create an empty destination instance", url("rds"), primary is not None)
    yield Step("Create a CEN instance", url("cen"), cen is not None)
    yield Step("Connect the VPCs of source and destination", url(*at_cen), joined is not None)
    yield Step(
        "In two regions: purchase a bandwidth plan and allocate bandwidth",
        url(*at_cen),
        joined is not None and (len(regions) == 1 or lines),
    )
    assessed = any(_assessed(visit, i) for i in known.instances[:_LOOKED_AT])
    yield Step("Assess the feasibility", url(*at_instance), assessed)
    migrated = any(_migrated(visit, i) for i in known.instances[:_LOOKED_AT])
    yield Step("Migrate, and switch over", url(*at_instance), migrated)


def _assessed(visit: Visit, instance: dict[str, Any]) -> bool:
    answer = visit.call(
        "rds.DescribeCloudMigrationPrecheckResult", DBInstanceName=instance["DBInstanceId"]
    )
    return any("check success" in row["Detail"] for row in answer["Items"])


def _migrated(visit: Visit, instance: dict[str, Any]) -> bool:
    answer = visit.call("rds.DescribeCloudMigrationResult", DBInstanceName=instance["DBInstanceId"])
    return any(row["MigrateStage"] == "success" for row in answer["Items"])


def _out_of(visit: Visit, known: Known) -> Iterator[Step]:
    """The source's side: letting another account have a cluster."""
    primaries = [i for i in known.instances if i["DBInstanceType"] == "Primary"]
    first = ("rds", primaries[0]["DBInstanceId"]) if primaries else ("rds",)
    vpcs = known.topology["Vpcs"]
    at_vpc = ("vpc", primaries[0]["VpcId"]) if primaries else ("vpc",)
    open_ = any(_is_open(visit, i) for i in primaries[:_LOOKED_AT])
    yield Step("Have a source instance", url("rds"), bool(primaries))
    yield Step(
        "Grant its VPC to the other account's CEN",
        url(*at_vpc),
        any(vpc["CenId"] or vpc.get("IsGranted") for vpc in vpcs),
    )
    yield Step(
        "Add the CIDR block of the other VPC to its whitelist", url(*first, "whitelist"), open_
    )
    has_super = any(_has_super(visit, i) for i in primaries[:3])
    yield Step("Create a privileged account", url(*first, "accounts"), has_super)


def _is_open(visit: Visit, instance: dict[str, Any]) -> bool:
    answer = visit.call("rds.DescribeDBInstanceIPArrayList", DBInstanceId=instance["DBInstanceId"])
    return any(
        g["SecurityIPList"] not in ("", _NOBODY) for g in answer["Items"]["DBInstanceIPArray"]
    )


def _has_super(visit: Visit, instance: dict[str, Any]) -> bool:
    if instance["DBInstanceStatus"] != "Running":
        return False
    answer = visit.call("rds.DescribeAccounts", DBInstanceId=instance["DBInstanceId"])
    return any(a["AccountType"] == "Super" for a in answer["Accounts"]["DBInstanceAccount"])


PAGES = (Page("/", _show),)
