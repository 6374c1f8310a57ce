"""Every list that a tenant can grow has an end, and says so with the code of the one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fix_servers import majors
from landbridge.api.table import ACTIONS
from landbridge.cloud import (
    Cloud,
    CloudError,
    Secret,
    accounts,
    attachments,
    bandwidth,
    cens,
    grants,
    keys,
    quotas,
    routers,
    users,
    vpcs,
)
from landbridge.cloud.attachments import ZoneMapping
from landbridge.cloud.errors import CODES
from landbridge.cloud.instances import dbaccounts, lifecycle, whitelist
from landbridge.cloud.instances.states import Role, Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.cloud.migrations import assessments, migrations
from landbridge.cloud.migrations.source import Source
from landbridge.cloud.migrations.tables import Verdict
from landbridge.cloud.paging import numbered
from landbridge.cloud.quotas import QUOTAS, Quota
from landbridge.cloud.remedies import REMEDIES
from landbridge.postgres.distribution import find

#: The newest whose programs can copy a primary.
MAJOR = max((m for m in majors() if "pg_basebackup" in find(m).tools), default=0)
pytestmark = pytest.mark.skipif(not MAJOR, reason="no pg_basebackup")
HZ, ZONE = "cn-hangzhou", "cn-hangzhou-h"


@dataclass
class World:
    """An account that makes one thing after the other."""

    session: Any
    vault: Any
    source = Source("other", "192.0.2.1", 5432, "mover", Secret("x"))
    numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.ann, self.ben = (accounts.create(self.session, n) for n in ("ann", "ben"))
        self.home = vpcs.create_vpc(self.session, self.ann, "cn-beijing", cidr="10.0.0.0/16")
        self.place = vpcs.create_vswitch(self.session, self.home, "cn-beijing-h", "10.0.0.0/24")

    def key(self) -> Any:
        return keys.create(self.session, self.vault, self.ann)

    def disabled_key(self) -> None:
        keys.disable(self.session, self.key()[0])

    def user(self) -> Any:
        name = f"user{next(self.numbers)}"
        return users.create(self.session, self.ann, name, Secret("correct horse battery 9!"))

    def vpc(self) -> vpcs.Vpc:
        return vpcs.create_vpc(self.session, self.ann, HZ, cidr=f"10.{next(self.numbers)}.0.0/16")

    def vswitch(self, vpc: vpcs.Vpc | None = None) -> vpcs.VSwitch:
        vpc, zone = (self.home, "cn-beijing-h") if vpc is None else (vpc, ZONE)
        block = f"{vpc.cidr.rpartition('.0.0/')[0]}.{next(self.numbers)}.0/24"
        return vpcs.create_vswitch(self.session, vpc, zone, block)

    def cen(self, owner: Any = None) -> cens.Cen:
        made = cens.create(self.session, owner or self.ann)
        made.standing = made.version
        return made

    def grant(self) -> Any:
        cen = self.cen(self.ben)
        return grants.give(self.session, self.ann, self.home.id, cen.id, self.ben.uid)

    def attach(self) -> Any:
        vpc = self.vpc()
        zones = [ZoneMapping(ZONE, self.vswitch(vpc).id)]
        cen = next(iter(cens.every(self.session, self.ann)), None) or self.cen()
        for router in routers.every(self.session, self.ann):
            router.standing = router.version
        return attachments.create(
            self.session, self.ann, vpc_id=vpc.id, zones=zones, cen_id=cen.id, region=HZ
        )

    def plan(self) -> Any:
        given: Any = {"area_a": "China", "area_b": "China", "bandwidth": 5}
        return bandwidth.buy(self.session, self.ann, **given)

    def instance(self) -> Any:
        order = lifecycle.Order("cn-beijing", self.place.id, MAJOR, "pg.n2.2c.2m", 20)
        made = lifecycle.create(self.session, self.ann, order)
        made.status = Status.RUNNING
        return made

    def first(self) -> Any:
        found = lifecycle.search(self.ann, "cn-beijing", role=Role.PRIMARY)
        return next(iter(numbered(self.session, found, 1, 1).rows), None) or self.instance()

    def standby(self) -> Any:
        return lifecycle.create_read_only(
            self.session, self.vault, self.ann, self.first().id, region_id="cn-beijing",
            major=MAJOR, zone_id="cn-beijing-h", class_name="pg.n2.2c.2m", storage_gb=20,
        )  # fmt: skip

    def database_account(self) -> Any:
        name = f"app{next(self.numbers)}"
        return dbaccounts.create(self.session, self.vault, self.first(), name, "Wanderer-7")

    def assessment(self) -> Any:
        place = self.instance().id
        made = assessments.create(self.session, self.vault, self.ann, place, self.source)
        made.verdict = Verdict.SUCCESSFUL
        self.session.flush()
        lifecycle.release(self.session.get_one(DBInstance, made.instance_id))
        return made

    def migration(self) -> Any:
        passed = self.assessment()
        instance = self.session.get_one(DBInstance, passed.instance_id)
        instance.applied = instance.version
        made = migrations.create(
            self.session, self.vault, self.ann, instance.id, self.source, Path("/nothing")
        )
        made.is_active = False
        self.session.flush()
        return made

    def group(self) -> None:
        name = f"group{next(self.numbers)}"
        whitelist.modify(self.session, self.first(), ["10.9.9.9"], group=name)

    def entry(self) -> None:
        entries = [f"10.9.9.{next(self.numbers)}"]
        whitelist.modify(self.session, self.first(), entries, mode=whitelist.Mode.APPEND)


#: Quota -> what adds one more, and how many are there before.
MAKERS: dict[str, tuple[Callable[[World], Any], int]] = {
    "ACCESS_KEYS": (World.key, 0),
    "KEYS": (World.disabled_key, 0),
    "USERS": (World.user, 0),
    "VPCS": (World.vpc, 0),
    "VSWITCHES": (World.vswitch, 1),
    "GRANTS": (World.grant, 0),
    "CENS": (World.cen, 0),
    "ATTACHMENTS": (World.attach, 0),
    "PLANS": (World.plan, 0),
    "INSTANCES": (World.instance, 0),
    "READ_ONLY": (World.standby, 0),
    "DATABASE_ACCOUNTS": (World.database_account, 0),
    "ASSESSMENTS": (World.assessment, 0),
    "MIGRATIONS": (World.migration, 0),
    "WHITELIST_GROUPS": (World.group, 1),
    "WHITELIST_ENTRIES": (World.entry, 1),
}


@pytest.mark.parametrize("name", MAKERS)
def test_one_more_than_the_quota_is_refused(
    cloud: Cloud, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota: Quota = getattr(quotas, name)
    make, there = MAKERS[name]
    with cloud.database.write() as session:
        world = World(session, cloud.vault)
        monkeypatch.setattr(quotas, name, replace(quota, most=there + 2))
        for _ in range(2):
            session.expire_all()  # as in a call of its own
            make(world)
        session.expire_all()
        with pytest.raises(CloudError, match=f"at most {there + 2}") as refused:
            make(world)
        assert refused.value.code == quota.code
        assert refused.value.remedy is REMEDIES[quota.code]  # in words for pages, too


def test_every_quota_has_a_code_that_some_action_declares_and_a_test() -> None:
    declared = {code for action in ACTIONS for code in action.errors}
    for quota in QUOTAS:
        assert quota.code in CODES and quota.code in declared, quota
    assert {id(getattr(quotas, name)) for name in MAKERS} == {id(quota) for quota in QUOTAS}
