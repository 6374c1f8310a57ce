"""RDS actions on real servers, through the vendor's SDK and its typed models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fix_api import Running, Tenant
from fix_instances import psql_program
from fix_servers import majors
from landbridge.api.action import Product
from landbridge.errors import LandbridgeError
from landbridge.network.daemon import FabricClient
from landbridge.network.daemon.layout import Layout
from landbridge.postgres.distribution import find
from landbridge.postgres.process import wait_until

#: The newest whose programs can copy a primary.
MAJOR = max((m for m in majors() if "pg_basebackup" in find(m).tools), default=0)
pytestmark = pytest.mark.skipif(not MAJOR, reason="no pg_basebackup")
PASSWORD = "Wanderer-7_path"
ENVIRONMENT = {"PGPASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}


def _models() -> Any:
    from alibabacloud_rds20140815 import models

    return models


class World:
    """A service, two of its accounts, and what one of them has."""

    def __init__(self, state: Path) -> None:
        self.running = Running(state)
        self.tenant, self.stranger = self.running.tenant("ann"), self.running.tenant("ben")
        self.vpc, self.vswitch = _network(self.tenant)

    def call(self, name: str, tenant: Tenant | None = None, **arguments: Any) -> Any:
        """One call through a client of its own; the answer's typed body."""
        models = _models()
        request = getattr(models, f"{name}Request")(**arguments)
        client = (tenant or self.tenant).rds()
        return getattr(client, _snake(name))(request).body

    def refused(self, code: str, name: str, tenant: Tenant | None = None, **arguments: Any) -> None:
        from darabonba.exceptions import DaraException

        with pytest.raises(DaraException) as refusal:
            self.call(name, tenant, **arguments)
        assert refusal.value.code == code

    def order(self, **more: Any) -> dict[str, Any]:
        """The arguments of a CreateDBInstance that succeeds."""
        return {
            "region_id": "cn-hangzhou", "engine": "PostgreSQL", "engine_version": f"{MAJOR}.0",
            "dbinstance_class": "pg.n2.1c.1m", "dbinstance_storage": 20,
            "dbinstance_net_type": "Intranet", "security_iplist": "127.0.0.1",
            "pay_type": "Postpaid", "vpcid": self.vpc, "v_switch_id": self.vswitch,
            "zone_id": "cn-hangzhou-h", "dbinstance_storage_type": "cloud_essd", **more,
        }  # fmt: skip

    def attribute(self, id: str) -> Any:
        body = self.call("DescribeDBInstanceAttribute", dbinstance_id=id)
        (row,) = body.items.dbinstance_attribute
        return row

    def until_running(self, id: str) -> Any:
        def is_running() -> bool:
            return bool(self.attribute(id).dbinstance_status == "Running")

        assert wait_until(is_running, 180, 0.1), self.attribute(id).to_map()
        return self.attribute(id)

    def until(self, condition: Callable[[], bool]) -> None:
        assert wait_until(condition, 60, 0.1), self.running.log.read_text()[-3000:]

    def account(self, id: str, name: str) -> Any:
        """One account as DescribeAccounts has it, or None."""
        body = self.call("DescribeAccounts", dbinstance_id=id, account_name=name)
        return next(iter(body.accounts.dbinstance_account), None)

    def ours(self, action: str, tenant: Tenant | None = None, **arguments: str) -> dict[str, Any]:
        """One call of our own version."""
        return (tenant or self.tenant).call(Product.LANDBRIDGE, action, **arguments)

    def psql(self, place: str, id: str, statement: str) -> subprocess.CompletedProcess[str]:
        """A statement from the place of one instance, over the network, as `mover`."""
        return subprocess.run(
            self.psql_command(place, id, statement), capture_output=True, text=True,
            env=ENVIRONMENT, check=False, timeout=120,
        )  # fmt: skip

    def psql_command(self, place: str, id: str, statement: str) -> list[str]:
        body = self.call("DescribeDBInstanceNetInfo", dbinstance_id=id)
        info = body.dbinstance_net_infos.dbinstance_net_info[0]
        fabric = FabricClient(Layout(self.running.state / "network").socket)
        host = fabric.path(place, id).hostaddr
        text = f"host={host} port={info.port} user=mover dbname=postgres"
        return fabric.command(place, [str(psql_program()), "-XAtq", "-d", text, "-c", statement])


def _snake(name: str) -> str:
    """DescribeDBInstanceIPArrayList -> describe_dbinstance_iparray_list."""
    text = name.replace("DBInstance", "Dbinstance").replace("IPArray", "Iparray")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in text).lstrip("_")


def _network(tenant: Tenant) -> tuple[str, str]:
    from alibabacloud_vpc20160428 import models

    client = tenant.vpc()
    vpc = client.create_vpc(
        models.CreateVpcRequest(region_id="cn-hangzhou", cidr_block="10.10.0.0/16")
    ).body.vpc_id
    vswitch = client.create_vswitch(
        models.CreateVSwitchRequest(
            region_id="cn-hangzhou", vpc_id=vpc, zone_id="cn-hangzhou-h", cidr_block="10.10.1.0/24"
        )
    ).body.v_switch_id
    return vpc, vswitch


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A service whose servers' accounts can get to its folder."""
    if os.environ.get("HTTP_PROXY") or os.environ.get("http_proxy"):
        pytest.skip("the SDKs would send calls to this machine to a proxy")
    state = Path(tempfile.mkdtemp(prefix="lb-rds-"))
    state.chmod(0o755)
    world = World(state)
    try:
        yield world
    finally:
        world.running.kill()
        world.running.clean()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def ids(world: World) -> tuple[str, str]:
    """Two running instances."""
    made = [
        world.call("CreateDBInstance", **world.order(dbinstance_description=f"Shop {n}"))
        for n in (1, 2)
    ]
    first, second = (body.dbinstance_id for body in made)
    assert (made[0].port, made[0].connection_string) == ("5432", "10.10.1.1")
    assert world.attribute(first).dbinstance_status == "Creating"
    world.until_running(first)
    world.until_running(second)
    return first, second


@pytest.fixture(scope="module")
def opened(world: World, ids: tuple[str, str]) -> tuple[str, str]:
    """The two instances, the first with the account `mover`, whom its whitelist admits."""
    first, second = ids
    world.call(
        "CreateAccount", dbinstance_id=first, account_name="mover", account_password=PASSWORD,
        account_type="Super", account_description="For the migration",
    )  # fmt: skip
    world.until(lambda: world.account(first, "mover").account_status == "Available")
    assert "no pg_hba.conf entry" in world.psql(second, first, "SELECT 1").stderr
    world.call(
        "ModifySecurityIps", dbinstance_id=first, security_ips="10.10.0.0/16",
        dbinstance_iparray_name="migration",
    )  # fmt: skip
    world.until(lambda: world.psql(second, first, "SELECT 1").stdout == "1\n")
    return ids


def test_an_instance_comes_up_and_says_what_it_is(world: World, ids: tuple[str, str]) -> None:
    first, _ = ids
    row = world.attribute(first)
    assert (row.engine, row.engine_version) == ("PostgreSQL", f"{MAJOR}.0")
    assert (row.dbinstance_type, row.lock_mode, row.category) == ("Primary", "Unlock", "Basic")
    assert (row.dbinstance_storage, row.max_connections, row.port) == (20, 100, "5432")
    assert row.current_kernel_version.startswith(f"{MAJOR}.")
    body = world.call("DescribeDBInstanceNetInfo", dbinstance_id=first)
    (info,) = body.dbinstance_net_infos.dbinstance_net_info
    from alibabacloud_vpc20160428 import models

    listed = world.tenant.vpc().describe_vswitches(
        models.DescribeVSwitchesRequest(vpc_id=world.vpc)
    )
    assert listed.body.v_switches.v_switch[0].available_ip_address_count == 252 - len(ids)
    assert (info.ipaddress, info.iptype, info.vpcid) == ("10.10.1.1", "Private", world.vpc)
    (group,) = info.security_ipgroups.security_ipgroup
    assert (group.security_ipgroup_name, group.security_ips) == ("default", "127.0.0.1")


def test_instances_are_listed_filtered_and_paged(world: World, ids: tuple[str, str]) -> None:
    def listed(**filters: Any) -> list[str]:
        body = world.call("DescribeDBInstances", region_id="cn-hangzhou", **filters)
        return [row.dbinstance_id for row in body.items.dbinstance]

    assert set(ids) <= set(listed())
    assert listed(search_key="Shop 2") == [ids[1]] and listed(search_key="%") == []
    assert listed(dbinstance_type="Readonly") == []
    assert listed(dbinstance_id=ids[0], dbinstance_status="Running") == [ids[0]]
    first = world.call("DescribeDBInstances", region_id="cn-hangzhou", max_results=1)
    rest = listed(max_results=1, next_token=first.next_token)
    assert first.items.dbinstance[0].dbinstance_id != rest[0]
    row = world.call(
        "DescribeDBInstances", region_id="cn-hangzhou", dbinstance_id=ids[0], instance_level=1
    ).items.dbinstance[0]
    assert (row.dbinstance_cpu, row.dbinstance_memory, row.vpc_id) == ("1", 1024, world.vpc)
    assert row.deletion_protection is False


def test_another_account_sees_nothing_of_it(world: World, ids: tuple[str, str]) -> None:
    body = world.call("DescribeDBInstances", world.stranger, region_id="cn-hangzhou")
    assert body.items.dbinstance == [] and body.total_record_count == 0
    for name, more in (
        ("DescribeDBInstanceAttribute", {}),
        ("DescribeAccounts", {}),
        ("DeleteDBInstance", {}),
        ("ModifySecurityIps", {"security_ips": "0.0.0.0/0"}),
        ("CreateAccount", {"account_name": "spy", "account_password": PASSWORD}),
    ):
        world.refused(
            "InvalidDBInstanceId.NotFound", name, world.stranger, dbinstance_id=ids[0], **more
        )


def test_whitelist_and_privileged_account_open_the_way(
    world: World, opened: tuple[str, str]
) -> None:
    first, _ = opened
    account = world.account(first, "mover")
    assert (account.account_type, account.create_role, account.replication) == ("Super", "t", "t")
    assert (account.bypass_rls, account.account_description) == ("f", "For the migration")
    body = world.call("DescribeDBInstanceIPArrayList", dbinstance_id=first)
    listed = {r.dbinstance_iparray_name: r.security_iplist for r in body.items.dbinstance_iparray}
    assert listed == {"default": "127.0.0.1", "migration": "10.10.0.0/16"}
    _close_sessions(world, opened)
    again = {"account_name": "mover", "account_password": PASSWORD}
    world.refused("InvalidAccountName.Duplicate", "CreateAccount", dbinstance_id=first, **again)
    weak = {"account_name": "other", "account_password": "weak"}
    world.refused("InvalidAccountPassword.Malformed", "CreateAccount", dbinstance_id=first, **weak)


def test_sessions_are_seen_and_one_is_ended(world: World, opened: tuple[str, str]) -> None:
    first, second = opened
    where = {"DBInstanceId": first}

    def asleep() -> dict[str, Any] | None:
        listed = world.ours("DescribeSessions", **where)["Sessions"]
        return next((s for s in listed if "pg_sleep" in s["Query"]), None)

    sleep = "BEGIN; SELECT 1 AS \"x password 'hunter2'\", pg_sleep(60)"
    child = subprocess.Popen(
        world.psql_command(second, first, sleep), env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        world.until(lambda: asleep() is not None)
        found = asleep()
        assert found is not None
        assert (found["ClientAddress"], found["UserName"]) == ("10.10.1.2", "mover")
        assert (found["State"], found["IsService"]) == ("active", False)
        assert found["TransactionSeconds"] >= 0 and found["WaitEvent"] == "Timeout: PgSleep"
        assert "hunter2" not in found["Query"]
        one = {**where, "ProcessId": str(found["ProcessId"])}
        for code, begun, tenant in (
            ("InvalidProcessId.NotFound", "2020-01-01T00:00:00.000000Z", world.tenant),
            ("InvalidProcessId.NotFound", "2020-13-41T00:00:00.000000Z", world.tenant),
            ("InvalidParameter", "now", world.tenant),
            ("InvalidDBInstanceId.NotFound", found["BackendStart"], world.stranger),
        ):
            with pytest.raises(LandbridgeError) as refused:
                world.ours("TerminateSession", tenant, **one, BackendStart=begun)
            assert refused.value.id == code
        world.ours("TerminateSession", **one, BackendStart=found["BackendStart"])
        assert "administrator command" in child.communicate(timeout=20)[1]
        world.until(lambda: asleep() is None)
    finally:
        child.kill()
        child.communicate()
    done = world.running.trail(world.tenant)[0]
    assert (done["action"], done["resource"]) == ("landbridge.TerminateSession", first)


def test_the_log_is_told_by_time_newest_first(world: World, opened: tuple[str, str]) -> None:
    first, second = opened
    hidden = "CREATE ROLE x PASSWORD 'hunter2' CREATE NOTHING"
    for statement in ("SELECT 'early'/0", *["SELECT 1/0"] * 30, hidden):
        assert world.psql(second, first, statement).returncode == 1
    now = datetime.now(UTC)
    span = {
        "dbinstance_id": first, "start_time": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%MZ}",
        "end_time": f"{now + timedelta(minutes=2):%Y-%m-%dT%H:%MZ}",
    }  # fmt: skip
    body = world.call("DescribeErrorLogs", **span)
    rows = body.items.error_log
    assert (len(rows), body.page_record_count) == (30, 30)
    assert body.total_record_count > 31
    assert (rows[0].user, rows[0].database) == ("mover", "postgres")
    assert "syntax error" in rows[0].error_info
    assert "STATEMENT:  CREATE ROLE x PASSWORD ********" in rows[0].error_info
    assert "division by zero" in rows[1].error_info and "SELECT 1/0" in rows[1].error_info
    later = world.call("DescribeErrorLogs", **span, page_number=2, page_size=30).items.error_log
    assert "'early'" in later[1].error_info
    every = "".join(row.error_info for row in (*rows, *later))
    assert "hunter2" not in every and str(world.running.state) not in every
    old = {**span, "end_time": f"{now - timedelta(minutes=59):%Y-%m-%dT%H:%MZ}"}
    assert world.call("DescribeErrorLogs", **old).total_record_count == 0
    world.refused("InvalidDBInstanceId.NotFound", "DescribeErrorLogs", world.stranger, **span)
    world.refused(
        "InvalidParameter", "DescribeErrorLogs", **{**span, "end_time": span["start_time"]}
    )


def _close_sessions(world: World, ids: tuple[str, str]) -> None:
    """A session stays when the whitelist stops admitting it, unless CloseSessions ends it."""
    first, second = ids

    def admit(block: str, **more: str) -> None:
        group = {"DBInstanceIPArrayName": "migration", "SecurityIps": block, **more}
        world.tenant.call(Product.RDS, "ModifySecurityIps", DBInstanceId=first, **group)

    command = world.psql_command(second, first, "SELECT pg_sleep(60)")
    with subprocess.Popen(command, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE) as held:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(60)'"
        world.until(lambda: world.psql(second, first, counted).stdout == "1\n")
        admit("127.0.0.1")
        world.until(lambda: "no pg_hba" in world.psql(second, first, "SELECT 1").stderr)
        assert held.poll() is None
        admit("10.99.0.0/16", CloseSessions="true")
        world.until(lambda: held.poll() is not None)
        assert "terminating connection" in held.communicate()[1]
    admit("10.10.0.0/16")
    world.until(lambda: world.psql(second, first, "SELECT 1").stdout == "1\n")


def test_an_account_is_reset_and_deleted(world: World, ids: tuple[str, str]) -> None:
    _, second = ids
    where = {"dbinstance_id": second, "account_name": "app"}
    world.call("CreateAccount", **where, account_password=PASSWORD)
    world.until(lambda: world.account(second, "app").account_status == "Available")
    for name in ("ResetAccountPassword", "ResetAccount"):
        world.call(name, **where, account_password="An0ther-secret")
    world.call("DeleteAccount", **where)
    world.until(lambda: world.account(second, "app") is None)
    world.refused("InvalidAccountName.NotFound", "DeleteAccount", **where)


def test_parameters_are_set_and_say_what_waits(world: World, ids: tuple[str, str]) -> None:
    _, second = ids

    def values(kind: str) -> dict[str, str]:
        body = world.call("DescribeParameters", dbinstance_id=second)
        rows = getattr(body, kind).dbinstance_parameter
        return {row.parameter_name: row.parameter_value for row in rows}

    wanted = {"work_mem": "8192", "max_wal_senders": "12", "rds_force_trans_ro_non_sup": "on"}
    world.call("ModifyParameter", dbinstance_id=second, parameters=json.dumps(wanted))
    world.until(lambda: values("running_parameters")["work_mem"] == "8192")
    assert values("config_parameters") == {"max_wal_senders": "12"}
    assert values("running_parameters")["rds_force_trans_ro_non_sup"] == "on"
    more = json.dumps({"max_wal_senders": "14"})
    world.call("ModifyParameter", dbinstance_id=second, parameters=more, forcerestart=True)
    world.until_running(second)
    assert values("config_parameters") == {}
    assert values("running_parameters")["max_wal_senders"] == "14"
    bad = {"dbinstance_id": second, "parameters": '{"fsync": "off"}'}
    world.refused("InvalidParameter", "ModifyParameter", **bad)
    body = world.call(
        "DescribeParameterTemplates", engine="PostgreSQL", engine_version=f"{MAJOR}.0"
    )
    names = {row.parameter_name for row in body.parameters.template_record}
    assert {"rds_force_trans_ro_non_sup", "wal_level"} <= names


def test_a_dry_run_and_a_bad_order_make_nothing(world: World, ids: tuple[str, str]) -> None:
    def count() -> int:
        found = world.call("DescribeDBInstances", region_id="cn-hangzhou")
        return int(found.total_record_count)

    before = count()
    for code, more in (
        ("DryRunOperation", {"dry_run": True}),
        ("InvalidEngineVersion", {"engine_version": "9.6"}),
        ("InvalidVSwitchId.NotFound", {"v_switch_id": "vsw-nowhere"}),
        ("InvalidZoneId.NotFound", {"zone_id": "cn-hangzhou-i"}),
        ("InvalidPrivateIpAddress", {"private_ip_address": "10.10.1.1"}),
        ("InvalidDBInstanceClass.NotFound", {"dbinstance_class": "rubbish"}),
        ("InvalidSecurityIPList.Format", {"security_iplist": "somebody"}),
        ("InvalidParameter", {"engine": "MySQL"}),
    ):
        world.refused(code, "CreateDBInstance", **world.order(**more))
    assert count() == before


def test_a_killed_service_finishes_what_it_began_and_adopts_its_servers(
    world: World, ids: tuple[str, str]
) -> None:
    third = world.call("CreateDBInstance", **world.order(client_token="once")).dbinstance_id
    home = world.running.state / "instances" / third
    world.until(home.exists)
    state = world.running.state
    world.running.kill()
    before = (state / "instances" / ids[0] / "data/postmaster.pid").read_text()
    tenant = world.tenant
    world.running = Running(state)
    world.tenant = Tenant(world.running.endpoint, tenant.uid, tenant.key_id, tenant.secret)
    again = world.call("CreateDBInstance", **world.order(client_token="once")).dbinstance_id
    assert again == third
    world.until_running(third)
    world.until_running(ids[0])
    assert (state / "instances" / ids[0] / "data/postmaster.pid").read_text() == before

    replica = world.call(
        "CreateReadOnlyDBInstance", region_id="cn-hangzhou", zone_id="cn-hangzhou-h",
        dbinstance_id=third, engine_version=f"{MAJOR}.0", dbinstance_class="pg.n2.1c.1m",
        dbinstance_storage=20, pay_type="Postpaid", category="Basic",
    ).dbinstance_id  # fmt: skip
    assert world.until_running(replica).master_instance_id == third
    world.refused("DependencyViolation", "DeleteDBInstance", dbinstance_id=third)
    _resize(world, third, replica)
    for id in (replica, third):
        world.call("ModifyDBInstanceDescription", dbinstance_id=id, dbinstance_description="Bye")
        world.call("RestartDBInstance", dbinstance_id=id)
        world.until_running(id)
        assert world.call("DeleteDBInstance", dbinstance_id=id).region_id == "cn-hangzhou"
        world.until(
            lambda id=id: not (state / "instances" / id).exists() and not _listed(world, id)
        )


def _resize(world: World, primary: str, replica: str) -> None:
    def connections(id: str) -> str:
        rows = world.call("DescribeParameters", dbinstance_id=id).running_parameters
        values = {r.parameter_name: r.parameter_value for r in rows.dbinstance_parameter}
        return str(values["max_connections"])

    assert connections(primary) == connections(replica) == "100"
    where = {"dbinstance_id": primary, "dbinstance_class": "pg.n2.2c.2m"}
    world.refused("InvalidParameter", "ModifyDBInstanceSpec", **where, zone_id="cn-hangzhou-i")
    world.refused("InvalidParameter", "ModifyDBInstanceSpec", **where, dbinstance_storage=25)
    answer = world.call("ModifyDBInstanceSpec", **where, pay_type="Postpaid")
    assert answer.dbinstance_id == primary and int(answer.order_id)
    for id in (primary, replica):
        row = world.until_running(id)
        assert connections(id) == "200"
    assert (row.dbinstance_class, row.dbinstance_storage) == ("pg.n2.1c.1m", 20)
    for id in (replica, primary):
        world.call("ModifyDBInstanceSpec", dbinstance_id=id, dbinstance_storage=25)
        assert world.attribute(id).dbinstance_storage == 25


def _listed(world: World, id: str) -> bool:
    body = world.call("DescribeDBInstances", region_id="cn-hangzhou", dbinstance_id=id)
    return bool(body.items.dbinstance)


def test_no_password_is_in_the_log_or_the_database(world: World, opened: tuple[str, str]) -> None:
    state = world.running.state
    files = [world.running.log, *(state / "cloud").iterdir()]
    files += [state / "instances" / id / "data.landbridge/server.log" for id in opened]
    for file in files:
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes(), file
