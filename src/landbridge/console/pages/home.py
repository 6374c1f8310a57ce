"""Home: what needs attention, what is running, and the next step of the procedure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any

from starlette.responses import Response

from ..page import Page
from ..visit import Visit, url
from .assessing import assessments
from .instance import outgoing
from .instances import every
from .migrating import migrations

#: Of so many instances the whitelist and the accounts are looked at.
_LOOKED_AT = 10
_NOBODY = "127.0.0.1"


@dataclass(frozen=True)
class Step:
    """One step of the procedure, and where it is done."""

    label: str
    path: str
    is_done: bool


@dataclass(frozen=True)
class Side:
    """One side of the procedure."""

    title: str
    words: str
    steps: list[Step]
    is_begun: bool


@dataclass(frozen=True)
class Known:
    """What the account has."""

    instances: list[dict[str, Any]]
    topology: dict[str, Any]
    given: set[str]
    """Its VPCs that CENs of other accounts may attach."""
    tasks: list[dict[str, Any]]
    """Its assessments and migrations, newest first, each with its address."""

    @property
    def active(self) -> list[dict[str, Any]]:
        """The tasks that are not over."""
        return [task for task in self.tasks if task["Active"]]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The tasks that came to nothing, if they are the latest into their instance."""
        latest = {task["DBInstanceName"]: task for task in reversed(self.tasks)}
        there = [latest[i["DBInstanceId"]] for i in self.instances if i["DBInstanceId"] in latest]
        return [
            task for task in there
            if task["Status"] == "Failed" and not task["Active"] and not task["Closed"]
        ]  # fmt: skip

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
        sides=_sides(visit, known),
        moved=[each for each in outgoing(visit) if each["Moved"]],
    )


def _sides(visit: Visit, known: Known) -> list[Side]:
    """Both sides of the procedure; the one that has been begun comes first."""
    into = Side(
        "Move a cluster into this account",
        "As the destination: account B of the procedure.",
        list(_into(known)),
        bool(known.own_cens),
    )
    out_of = Side(
        "Let another account have a cluster",
        "As the source: account A of the procedure.",
        list(_out_of(visit, known)),
        bool(known.given),
    )
    return sorted((into, out_of), key=lambda side: not side.is_begun)


def _known(visit: Visit) -> Known:
    topology = visit.call("landbridge.DescribeTopology")
    given = {vpc["VpcId"] for vpc in topology["Vpcs"] if vpc["IsGranted"]}
    return Known(every(visit), topology, given, _tasks(visit))


def _tasks(visit: Visit) -> list[dict[str, Any]]:
    found = [_at(row, "tasks") | _MIGRATION for row in migrations(visit)]  # of one second: later
    found += [_at(row, "assessments") | _ASSESSMENT for row in assessments(visit)]
    return sorted(found, key=lambda task: str(task["Created"]), reverse=True)


def _at(row: dict[str, Any], kind: str) -> dict[str, Any]:
    there = url("rds", row["DBInstanceName"], "migration", kind, str(row["TaskId"]))
    return row | {"Address": there}


_MIGRATION = {"Kind": "Migration"}
#: What an assessment has in common with a migration.
_ASSESSMENT = {
    "Kind": "Feasibility assessment", "Label": "Feasibility assessment", "Closed": False,
    "Error": None,
}  # fmt: skip


def _attention(known: Known) -> Iterator[tuple[str, str, str]]:
    """(what, where, what to do) of everything that waits for a person."""
    for task in known.active:
        name, there = task["TaskName"], task["Address"]
        if task["Status"] == "ReadyToSwitch":
            yield f"{name} is ready to switch over", there, "Switchover"
        elif task.get("Trouble"):
            yield f"{name}: {task['Trouble']}", there, "Look at it"
        elif task["Error"]:
            yield f"{name}: {task['Error']['message']}", there, "Look at it"
    for task in known.failed:
        why = f": {task['Error']['message']}" if task["Error"] else ""
        yield f"{task['Kind']} {task['TaskName']} failed{why}", task["Address"], "Look at it"
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
                url(
                    "cen",
                    cen["CenId"],
                    "connect",
                    RegionId=granted["RegionId"],
                    Ownership="cross",
                    VpcOwnerId=granted["VpcOwnerId"],
                    VpcId=granted["VpcId"],
                ),
                "Connect it",
            )
        for line in cen["Lines"]:
            if not line["HasBandwidth"]:
                yield (
                    f"The connection {line['RegionId']} – {line['PeerRegionId']} has no bandwidth",
                    url("cen", cen["CenId"], "connections"),
                    "Allocate bandwidth",
                )


def _into(known: Known) -> Iterator[Step]:
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
    outcomes = {task["Status"] for task in known.tasks}
    yield Step("Assess the feasibility", url(*at_instance), "Successful" in outcomes)
    yield Step("Migrate, and switch over", url(*at_instance), "Finished" in outcomes)


def _out_of(visit: Visit, known: Known) -> Iterator[Step]:
    """The source's side: letting another account have a cluster."""
    primaries = [i for i in known.instances if i["DBInstanceType"] == "Primary"][:_LOOKED_AT]
    # The instance whose VPC another account may attach is the source.
    source = next((i for i in primaries if i["VpcId"] in known.given), None)
    shown = source or (primaries[0] if primaries else None)
    first = ("rds", shown["DBInstanceId"]) if shown else ("rds",)
    at_vpc = ("vpc", shown["VpcId"], "authorization") if shown else ("vpc",)
    yield Step("Have a source instance", url("rds"), shown is not None)
    yield Step("Grant its VPC to the other account's CEN", url(*at_vpc), bool(known.given))
    yield Step(
        "Add the CIDR block of the other VPC to its whitelist",
        url(*first, "whitelist"),
        source is not None and _is_open(visit, source),
    )
    yield Step(
        "Have a privileged account, and tell its name and password",
        url(*first, "accounts"),
        shown is not None and _has_super(visit, shown),
    )


def _is_open(visit: Visit, instance: dict[str, Any]) -> bool:
    """Whether somebody outside the instance's own VPC is on its whitelist."""
    id = instance["DBInstanceId"]
    net = visit.call("rds.DescribeDBInstanceNetInfo", DBInstanceId=id)
    own = IPv4Network(net["DBInstanceNetInfos"]["DBInstanceNetInfo"][0]["VPCCidrBlock"])
    answer = visit.call("rds.DescribeDBInstanceIPArrayList", DBInstanceId=id)
    groups = [g["SecurityIPList"].split(",") for g in answer["Items"]["DBInstanceIPArray"]]
    return any(_is_outside(e, own) for group in groups for e in group if e and e != _NOBODY)


def _is_outside(entry: str, own: IPv4Network) -> bool:
    network = ip_network(entry, strict=False)
    return not (isinstance(network, IPv4Network) and network.subnet_of(own))


def _has_super(visit: Visit, instance: dict[str, Any]) -> bool:
    if instance["DBInstanceStatus"] != "Running":
        return False
    answer = visit.call("rds.DescribeAccounts", DBInstanceId=instance["DBInstanceId"])
    return any(a["AccountType"] == "Super" for a in answer["Accounts"]["DBInstanceAccount"])


PAGES = (Page("/", _show),)
