"""Instances themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from ..api import Api
from ..tables import facts, table
from ..verbs import InstanceArgument, Region, Wait, Yes, argument, verb
from ..vpc import VSWITCHES
from ..waiting import until, until_gone
from .group import DETAILS, INSTANCES, NETWORK, instance


def _option(
    name: str, metavar: str, help: str, default: str | bool = True
) -> typer.models.OptionInfo:
    made: typer.models.OptionInfo = typer.Option(
        name, metavar=metavar, help=help, show_default=default
    )
    return made


@verb(instance)
def create(
    api: Api,
    place: Annotated[
        str, argument("VPC|VSWITCH", "In which VPC, in its first vSwitch, or in which vSwitch.")
    ],
    version: Annotated[int, _option("--version", "MAJOR", "Major version of PostgreSQL.")] = 15,
    class_: Annotated[str, _option("--class", "CLASS", "Processors and memory.")] = "pg.n2.1c.1m",
    storage: Annotated[int, _option("--storage", "GB", "Its storage.")] = 20,
    storage_type: Annotated[
        str | None, _option("--storage-type", "TYPE", "Kind of disk.", "cloud_essd")
    ] = None,
    whitelist: Annotated[
        list[str] | None, _option("--whitelist", "CIDR", "Clients; may be repeated.", "nobody")
    ] = None,
    description: Annotated[
        str | None, _option("--description", "TEXT", "Its name in lists.", False)
    ] = None,
    address: Annotated[
        str | None, _option("--address", "IP", "Private address.", "a free one")
    ] = None,
    port: Annotated[int | None, _option("--port", "N", "Port.", "5432")] = None,
    wait: Wait = False,
) -> None:  # fmt: skip
    """Create a primary instance and print its id."""
    key = "VpcId" if place.startswith("vpc-") else "VSwitchId"
    where = api.find(VSWITCHES, f"vSwitch in {place}", **{key: place})
    answer = api.call(
        "rds", "CreateDBInstance", RegionId=where["RegionId"], ZoneId=where["ZoneId"],
        VPCId=where["VpcId"], VSwitchId=where["VSwitchId"], Engine="PostgreSQL",
        EngineVersion=version,
        DBInstanceClass=class_, DBInstanceStorage=storage, DBInstanceStorageType=storage_type,
        DBInstanceNetType="Intranet", InstanceNetworkType="VPC", PayType="Postpaid",
        SecurityIPList=",".join(whitelist or ["127.0.0.1"]), DBInstanceDescription=description,
        PrivateIpAddress=address, Port=port,
    )  # fmt: skip
    if wait:
        _until_running(api, answer["DBInstanceId"])
    api.done(answer, answer["DBInstanceId"])


@verb(instance, "list")
def list_(api: Api, region: Region = None) -> None:
    """List the account's instances."""
    api.show(INSTANCES, api.everywhere(INSTANCES, region))


@verb(instance)
def show(api: Api, instance: InstanceArgument) -> None:
    """Show one instance: status, endpoints, the CIDR block of its VPC."""
    row = api.one(DETAILS, f"instance {instance}", DBInstanceId=instance)
    endpoints = api.rows(NETWORK, DBInstanceId=instance)
    api.done(
        {"instance": row, "endpoints": endpoints},
        facts(DETAILS.columns, row), table(NETWORK.columns, endpoints),
    )  # fmt: skip


@verb(instance)
def restart(api: Api, instance: InstanceArgument, wait: Wait = False) -> None:
    """Restart the server of an instance; its sessions end."""
    answer = api.call("rds", "RestartDBInstance", DBInstanceId=instance)
    if wait:
        _until_running(api, instance)
    api.done(answer, f"{instance} is {'' if wait else 'being '}restarted.")


@verb(instance)
def resize(
    api: Api,
    instance: InstanceArgument,
    class_: Annotated[
        str | None, _option("--class", "CLASS", "Another class; its server restarts.", False)
    ] = None,
    storage: Annotated[int | None, _option("--storage", "GB", "Another storage.", False)] = None,
    wait: Wait = False,
) -> None:
    """Give an instance another class or storage."""
    answer = api.call(
        "rds", "ModifyDBInstanceSpec", DBInstanceId=instance, DBInstanceClass=class_,
        DBInstanceStorage=storage,
    )  # fmt: skip
    if wait:
        _until_running(api, instance)
    api.done(answer, f"{instance} is {'' if wait else 'being '}resized.")


@verb(instance)
def delete(api: Api, instance: InstanceArgument, yes: Yes = False, wait: Wait = False) -> None:
    """Delete an instance with all its data."""
    from ...questions import agreed

    if not agreed(api.out, f"{instance} is deleted with all its data.", "delete", yes=yes):
        return
    answer = api.call("rds", "DeleteDBInstance", DBInstanceId=instance)
    if wait:
        until_gone(api, instance, DETAILS, {"DBInstanceId": instance}, status="DBInstanceStatus")
    api.done(answer, f"{instance} is {'' if wait else 'being '}deleted.")


@verb(instance)
def publish(api: Api, instance: InstanceArgument) -> None:
    """Let the machine of the service reach an instance; `instance show` says at which port.

    Its clients come from the instance's own private address, which must be on its whitelist.
    """
    answer = api.call(
        "rds", "AllocateInstancePublicConnection", DBInstanceId=instance,
        ConnectionStringPrefix=instance, Port=5432,
    )  # fmt: skip
    api.done(answer, f"{instance} gets a public endpoint.")


@verb(instance)
def unpublish(api: Api, instance: InstanceArgument) -> None:
    """Take the public endpoint of an instance away."""
    rows = api.rows(NETWORK, DBInstanceId=instance)
    public = [row["ConnectionString"] for row in rows if row["IPType"] == "Public"]
    answer = api.call(
        "rds", "ReleaseInstancePublicConnection", DBInstanceId=instance,
        CurrentConnectionString=next(iter(public), "none"),
    )  # fmt: skip
    api.done(answer, f"{instance} has no public endpoint any more.")


def _until_running(api: Api, id: str) -> None:
    where = {"DBInstanceId": id}
    until(api, id, DETAILS, where, "Running", status="DBInstanceStatus", trouble="Trouble")
