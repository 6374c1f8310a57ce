"""RDS instances: the list, and ordering one."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError, regions
from ...postgres.units import count
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from .asking import Asked

_CODES = {
    "InvalidDBInstanceDescription.Malformed": "DBInstanceDescription",
    "InvalidEngineVersion": "EngineVersion",
    "InvalidPrivateIpAddress": "PrivateIpAddress",
    "InvalidVSwitchId.NotFound": "VSwitchId",
    "InsufficientIpAddr.vsw": "VSwitchId",
    "InvalidDBInstanceClass.NotFound": "DBInstanceClass",
}


def every(visit: Visit) -> list[dict[str, Any]]:
    """The account's instances, of all regions, newest first."""
    return visit.every("landbridge.ListDBInstances", lambda answer: answer["Items"])


def _list(visit: Visit) -> Response:
    found = every(visit)
    vpcs = visit.call("landbridge.ListVpcs", PageSize=1)["TotalCount"]
    return visit.page("instances.html", live=2, instances=found, has_vpc=bool(vpcs))


def _order(visit: Visit) -> Form:
    """The form of an order, with what there is to choose from."""
    offer = visit.call("landbridge.DescribeOffer")
    versions = tuple(
        Option(version, f"PostgreSQL {version.partition('.')[0]}")
        for version in reversed(offer["EngineVersions"])
    )
    classes = tuple(
        Option(each["DBInstanceClass"], each["DBInstanceClass"],
               f"{count(each['Cores'], 'core')}, {each['MemoryMB'] // 1024} GB")
        for each in offer["Classes"]
    )  # fmt: skip
    return Form(
        (
            Field("EngineVersion", "Engine version", Kind.CHOICE, options=versions, required=True,
                  default=versions[0].value if versions else "",
                  help="A migration needs the same major version on both sides."),
            Field("VSwitchId", "VPC and vSwitch", Kind.CHOICE, options=tuple(_places(visit)),
                  required=True, help="Where the instance gets its private address."),
            Field("DBInstanceClass", "Instance class", Kind.CHOICE, options=classes,
                  required=True, default=classes[0].value),
            Field("DBInstanceStorageType", "Storage type", Kind.CHOICE, required=True,
                  options=tuple(Option(s, s) for s in offer["StorageTypes"]), default="cloud_essd",
                  help="The destination of a migration needs cloud disks: not local_ssd."),
            Field("DBInstanceStorage", "Storage", Kind.NUMBER, required=True, default="20",
                  least=5, most=64000, unit="GB", rule="5 to 64,000 GB, in steps of 5.",
                  help="A destination needs as much as the source's data take, or more."),
            Field("PrivateIpAddress", "Private address", placeholder="The next free one",
                  pattern=r"\d{1,3}(\.\d{1,3}){3}", rule="An address of the vSwitch; or empty."),
            Field("DBInstanceDescription", "Name", least=2, most=255,
                  rule="2 to 255 characters, a letter first; or empty."),
        ),
        codes=_CODES,
    )  # fmt: skip


def _places(visit: Visit) -> list[Option]:
    """Every vSwitch of the account."""
    found = []
    vpcs = visit.every("landbridge.ListVpcs", lambda answer: answer["Vpcs"])
    for id, region in {vpc["VpcId"]: vpc["RegionId"] for vpc in vpcs}.items():
        rows = visit.every(
            "vpc.DescribeVSwitches", lambda answer: answer["VSwitches"]["VSwitch"],
            RegionId=region, VpcId=id,
        )  # fmt: skip
        where = regions.region(region)
        found += [
            Option(row["VSwitchId"], f"{where.zone_name(row['ZoneId'])} · {row['CidrBlock']}",
                   f"{id}, {row['VSwitchId']}")
            for row in rows
        ]  # fmt: skip
    return found


def _form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    asked = Asked(
        "Create Instance", "Create", url("rds"), [(url("rds"), "RDS instances")],
        "A PostgreSQL server with a private address in a VPC. Nobody may connect to it until its"
        " whitelist says so.",
    )  # fmt: skip
    return asked.page(visit, form or _order(visit), status)


def _create(visit: Visit) -> Response:
    form = _order(visit).filled(visit.form)
    vswitch = form.values["VSwitchId"]
    try:
        region = _region_of(visit, vswitch)
        made = visit.call(
            "rds.CreateDBInstance",
            RegionId=region,
            Engine="PostgreSQL",
            DBInstanceNetType="Intranet",
            SecurityIPList="127.0.0.1",
            PayType="Postpaid",
            **form.arguments(),
        )
    except CloudError as problem:
        return _form(visit, form, form.refuse(problem))
    return visit.go(url("rds", made["DBInstanceId"]), f"{made['DBInstanceId']} is being created.")


def _region_of(visit: Visit, vswitch: str) -> str:
    for vpc in visit.every("landbridge.ListVpcs", lambda answer: answer["Vpcs"]):
        if vswitch in vpc["VSwitchIds"]["VSwitchId"]:
            return str(vpc["RegionId"])
    raise CloudError("InvalidVSwitchId.NotFound", "Choose a vSwitch.")


PAGES = (Page("/rds", _list), Page("/rds/create", _form, _create))
