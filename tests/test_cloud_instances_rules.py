"""The rules of instances, without a server: whitelists, accounts, parameters, classes."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from landbridge.cloud import Cloud, CloudError, accounts, vpcs
from landbridge.cloud.instances import (
    classes,
    dbaccounts,
    lifecycle,
    parameters,
    public,
    wanted,
    whitelist,
)
from landbridge.cloud.instances.reconciler import Reconciler
from landbridge.cloud.instances.states import AccountState, AccountType, Role, Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.network.fabric import Fabric
from landbridge.postgres.distribution import discover
from landbridge.postgres.process import wait_until
from landbridge.store.secrets import SealedSecret

MAJOR = max(d.major for d in discover())


def _instance(session: Any, name: str = "ann", **more: Any) -> DBInstance:
    account = accounts.create(session, name)
    vpc = vpcs.create_vpc(session, account, "cn-hangzhou", cidr="10.10.0.0/16")
    vswitch = vpcs.create_vswitch(session, vpc, "cn-hangzhou-h", "10.10.1.0/29")
    order = lifecycle.Order("cn-hangzhou", vswitch.id, MAJOR, "pg.n2.2c.2m", 20, **more)
    return lifecycle.create(session, account, order)


def _refused(code: str, call: Any, *arguments: Any, **more: Any) -> None:
    with pytest.raises(CloudError) as refusal:
        call(*arguments, **more)
    assert refusal.value.code == code


def test_addresses_of_a_vswitch_are_given_out_once_and_run_out(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        first = _instance(session)
        account = accounts.find(session, "ann")
        order = lifecycle.Order("cn-hangzhou", first.vswitch_id, MAJOR, "pg.n2.2c.2m", 20)
        places = [first.address]
        places += [lifecycle.create(session, account, order).address for _ in range(3)]
        assert places == ["10.10.1.1", "10.10.1.2", "10.10.1.3", "10.10.1.4"]
        _refused("InsufficientIpAddr.vsw", lifecycle.create, session, account, order)


def test_the_vpc_of_an_instance_cannot_be_deleted_from_under_it(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        account = accounts.find(session, "ann")
        _refused("DependencyViolation", vpcs.delete_vswitch, session, account, instance.vswitch_id)


def test_another_accounts_instance_is_not_found(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        other = accounts.create(session, "ben")
        _refused("InvalidDBInstanceId.NotFound", lifecycle.find, session, other, instance.id)


def test_groups_of_a_whitelist_are_covered_appended_deleted_and_merged(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        assert [str(block) for block in instance.whitelist] == ["127.0.0.1/32"]
        change = whitelist.modify
        change(session, instance, ["10.20.0.0/17"])
        change(session, instance, ["10.20.128.0/17", "192.168.0.9"], group="app")
        assert [str(b) for b in instance.whitelist] == ["10.20.0.0/16", "192.168.0.9/32"]
        append, delete = whitelist.Mode.APPEND, whitelist.Mode.DELETE
        change(session, instance, ["192.168.0.8"], group="app", mode=append)
        change(session, instance, ["10.20.128.0/17"], group="app", mode=delete)
        app = next(group for group in instance.groups if group.name == "app")
        assert app.entries == ["192.168.0.9", "192.168.0.8"]
        last = app.entries
        bad = "InvalidSecurityIPList.Format"
        _refused(bad, change, session, instance, ["10.20.0.0/17"], mode=delete)  # the default group
        _refused(bad, change, session, instance, ["10.0.0.300"])
        _refused(bad, change, session, instance, ["0.0.0.0/00"])
        _refused(bad, change, session, instance, ["10.1.1.1/255.255.255.0"])
        doubled = "InvalidSecurityIPList.Duplicate"
        _refused(doubled, change, session, instance, last, group="app", mode=append)
        change(session, instance, last, group="app", mode=delete)
        assert [group.name for group in instance.groups] == ["default"]
        many = [f"10.{n // 256}.{n % 256}.1" for n in range(1001)]
        _refused("InvalidSecurityIPList.QuotaExceeded", change, session, instance, many)


def test_a_password_of_a_database_account_is_never_kept(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        dbaccounts.create(
            session, cloud.vault, instance, "mover", "Wanderer-7", type=AccountType.SUPER
        )
        row = instance.accounts[0]
        assert row.verifier_id is not None
        kept = cloud.vault.reveal(session, row.verifier_id)
        assert kept.startswith("SCRAM-SHA-256$4096:") and "Wanderer" not in kept
        before = session.query(SealedSecret).count()
        dbaccounts.settle(session, cloud.vault, instance.id, "mover", row.order)
        assert row.state is AccountState.DONE and row.verifier_id is None
        assert session.query(SealedSecret).count() == before - 1


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("Mover", "Wanderer-7", "InvalidAccountName.Malformed"),
        ("pgsql", "Wanderer-7", "InvalidAccountName.Malformed"),
        ("pg_own", "Wanderer-7", "InvalidAccountName.Malformed"),
        ("user", "Wanderer-7", "InvalidAccountName.Malformed"),
        ("mover", "wanderer", "InvalidAccountPassword.Malformed"),
        ("mover", "Wand-7", "InvalidAccountPassword.Malformed"),
        ("mover", "Wänderer-7", "InvalidAccountPassword.Malformed"),
        ("mover", "Wanderer-7'", "InvalidAccountPassword.Malformed"),
    ],
)
def test_names_and_passwords_of_accounts_follow_the_vendors_rules(
    cloud: Cloud, name: str, password: str, code: str
) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        _refused(code, dbaccounts.create, session, cloud.vault, instance, name, password)


def test_a_later_order_about_an_account_is_not_taken_for_done(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        dbaccounts.create(session, cloud.vault, instance, "app", "Wanderer-7")
        seen = instance.accounts[0].order
        dbaccounts.reset(session, cloud.vault, instance, "app", "Wanderer-8")
        dbaccounts.settle(session, cloud.vault, instance.id, "app", seen)
        assert instance.accounts[0].state is AccountState.CREATE


def test_parameters_are_held_against_their_bounds(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        change = parameters.modify
        assert not change(session, instance, {"work_mem": "8192", parameters.FORCE_READ_ONLY: "ON"})
        assert change(session, instance, {"max_connections": "120"})
        settings = parameters.settings(instance)
        assert settings["work_mem"] == "8192" and parameters.FORCE_READ_ONLY not in settings
        assert instance.parameter(parameters.FORCE_READ_ONLY) == "on"
        for bad in ({"work_mem": "1"}, {"work_mem": "8MB"}, {"fsync": "off"}, {"autovacuum": "x"}):
            _refused("InvalidParameter", change, session, instance, bad)


def test_a_class_says_connections_and_memory() -> None:
    found = classes.find("pg.n2.2c.2m")
    assert (found.cpus, found.memory_mb, found.max_connections) == (2, 2048, 200)
    assert classes.find("pg.n2.small.1").cpus == 1
    assert classes.find("pg.n4.64c.512m").settings["max_connections"] == 1000
    _refused("InvalidDBInstanceClass.NotFound", classes.find, "mysql.n2.2c.2m")


def test_an_instance_that_a_migration_has_is_left_alone(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        _refused("IncorrectDBInstanceState", lifecycle.occupy, instance, Status.IMPORTING)
        instance.status = Status.RUNNING
        lifecycle.occupy(instance, Status.IMPORTING)
        assert (instance.status.value, instance.status.label) == (
            "ImportingFromOthers", "Migrating Data In",
        )  # fmt: skip
        for call in (lifecycle.restart, lifecycle.delete, lifecycle.require_kept):
            _refused("IncorrectDBInstanceState", call, instance)
        lifecycle.release(instance)
        assert instance.status is Status.RUNNING


def test_an_instance_gets_another_class_and_storage_within_the_rules(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        _refused("IncorrectDBInstanceState", lifecycle.resize, instance, storage_gb=40)
        instance.status = Status.RUNNING
        instance.used_bytes = 20 << 30
        _refused("MissingParameter", lifecycle.resize, instance)
        for gb in (0, 21, 64005, 20):  # the last has room for the data, but for no tenth more
            _refused("InvalidParameter", lifecycle.resize, instance, storage_gb=gb)
        lifecycle.resize(instance, storage_gb=25)
        assert (instance.storage_gb, instance.status) == (25, Status.RUNNING)
        _refused("InvalidDBInstanceClass.NotFound", lifecycle.resize, instance, "rubbish")
        before = instance.version
        lifecycle.resize(instance, "pg.n2.2c.2m")
        assert (instance.version, instance.status) == (before, Status.RUNNING)  # as it was
        lifecycle.resize(instance, "pg.n2.4c.8m")
        assert (instance.status.value, instance.version) == ("DBInstanceClassChanging", before + 1)
        _refused("IncorrectDBInstanceState", lifecycle.resize, instance, storage_gb=40)


def test_a_primary_and_its_standby_are_resized_to_fit_each_other(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        primary = _instance(session)
        replica = DBInstance(
            id="pgr-1", owner_uid=primary.owner_uid, number=99, region_id=primary.region_id,
            zone_id=primary.zone_id, vpc_id=primary.vpc_id, vswitch_id=primary.vswitch_id,
            address="10.10.1.4", port=5432, major=MAJOR, class_name=primary.class_name,
            storage_gb=20, storage_type=primary.storage_type, category="Basic",
            pay_type="Postpaid", role=Role.READ_ONLY, primary=primary, description="",
        )  # fmt: skip
        session.add(replica)
        session.flush()
        primary.status = replica.status = Status.RUNNING
        _refused("InvalidParameter", lifecycle.resize, primary, storage_gb=25)
        lifecycle.resize(replica, storage_gb=30)
        lifecycle.resize(primary, storage_gb=25)
        _refused("InvalidParameter", lifecycle.resize, replica, storage_gb=20)
        lifecycle.resize(primary, "pg.n2.1c.1m")  # the standby has more than enough
        assert (primary.status, replica.status) == (Status.RESIZING, Status.RUNNING)
        primary.status = Status.RUNNING
        lifecycle.resize(primary, "pg.n2.4c.8m")
        assert (primary.status, replica.status) == (Status.RESIZING, Status.RESIZING)
        settings = wanted.read(session, cloud.vault, replica).settings
        assert settings["max_connections"] == 800


def test_a_public_endpoint_is_ordered_once_and_released_under_its_name(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        instance = _instance(session)
        _refused("IncorrectDBInstanceState", public.allocate, session, instance)
        instance.status = Status.RUNNING
        gone = "InvalidCurrentConnectionString.NotFound"
        _refused(gone, public.release, session, instance, public.HOST)
        public.allocate(session, instance)
        session.flush()
        _refused("InvalidOperation.NetTypeExists", public.allocate, session, instance)
        assert public.endpoint(session, instance) is None  # nothing listens yet
        _refused(gone, public.release, session, instance, "elsewhere")
        public.release(session, instance, public.HOST)
        _refused(gone, public.release, session, instance, public.HOST)
        public.allocate(session, instance)


def test_servers_that_keep_the_service_waiting_are_not_all_that_it_works_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cloud.database.write() as session:
        *anns, bobs = (_instance(session, f"account{n}") for n in range(7))
        for each in anns:
            each.owner_uid = anns[0].owner_uid
        answering = bobs.id
    seen: list[str] = []
    answers, stop = threading.Event(), threading.Event()

    def work(_: Reconciler, id: str) -> None:
        seen.append(id)
        if id != answering:
            answers.wait(20)

    monkeypatch.setattr(Reconciler, "_job", work)
    at_work = threading.Thread(
        target=Reconciler(cloud, lambda: cast(Fabric, None)).run, args=(stop,)
    )
    at_work.start()
    try:
        assert wait_until(lambda: seen.count(answering) > 1, 20)
        assert len(set(seen)) == 1 + 4
    finally:
        stop.set()
        answers.set()
        at_work.join(20)
