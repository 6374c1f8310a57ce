"""Instances of two accounts as rows, and what is assessed and migrated between them; no server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from fix_servers import majors
from landbridge.assessment.model import Level
from landbridge.cloud import Cloud, Secret, accounts, attachments, cens, grants, vpcs
from landbridge.cloud.accounts import Account
from landbridge.cloud.attachments import Attachment, ZoneMapping
from landbridge.cloud.cens import Cen
from landbridge.cloud.instances import lifecycle
from landbridge.cloud.instances.states import Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.cloud.migrations import assessments, migrations, rules, settle
from landbridge.cloud.migrations.source import Source
from landbridge.cloud.migrations.tables import Assessment, Migration

HZ = "cn-hangzhou"
PASSWORD = Secret("Kiebitz-3_ruft")


@dataclass
class World:
    """Ann has the source, Ben the destination; nothing joins them. One open transaction."""

    cloud: Cloud
    session: Session
    data: Path
    ann: Account = field(init=False)
    ben: Account = field(init=False)

    def __post_init__(self) -> None:
        self.ann = accounts.create(self.session, "ann")
        self.ben = accounts.create(self.session, "ben")
        self.source = self.instance(self.ann, "10.10")
        self.target = self.instance(self.ben, "10.20")

    def instance(self, owner: Account, block: str) -> DBInstance:
        """A running instance in a VPC of its own."""
        vpc = vpcs.create_vpc(self.session, owner, HZ, cidr=f"{block}.0.0/16")
        vswitch = vpcs.create_vswitch(self.session, vpc, "cn-hangzhou-h", f"{block}.1.0/24")
        order = lifecycle.Order(HZ, vswitch.id, max(majors()), "pg.n2.1c.1m", 20)
        made = lifecycle.create(self.session, owner, order)
        made.status, made.applied = Status.RUNNING, made.version
        self.session.flush()
        return made

    def place(self, **other: Any) -> Source:
        given = {
            "category": "aliyunRDS", "address": self.source.address, "port": 5432,
            "account": "mover", "password": PASSWORD,
        }  # fmt: skip
        return Source.checked(**{**given, **other})

    def assess(self, source: Source | None = None, *, passes: bool = True) -> Assessment:
        """An assessment that is over."""
        row = self.ask(source)
        self.settle(row, passes=passes)
        return row

    def ask(self, source: Source | None = None, name: str | None = None) -> Assessment:
        """An assessment that is under way."""
        return assessments.create(
            self.session, self.cloud.vault, self.ben, self.target.id, source or self.place(), name
        )

    def settle(self, row: Assessment, *, passes: bool = True) -> None:
        level = Level.OK if passes else Level.ERROR
        found = [rules._finding("cloud.empty", level, rules.Group.DESTINATION, "t", "c")]
        assessments.settle(self.session, self.cloud.vault, row.id, settle.report(found))

    def migrate(self, source: Source | None = None, target: DBInstance | None = None) -> Migration:
        return migrations.create(
            self.session, self.cloud.vault, self.ben, (target or self.target).id,
            source or self.place(), self.data,
        )  # fmt: skip

    def join(self) -> None:
        """Both VPCs in one CEN of Ben's."""
        cen = cens.create(self.session, self.ben, "joined")
        self._stand(Cen)
        grants.give(
            self.session, self.ann, vpc_id=self.source.vpc_id, cen_id=cen.id,
            cen_owner_uid=self.ben.uid,
        )  # fmt: skip
        for instance in (self.source, self.target):
            attachments.create(
                self.session, self.ben, vpc_id=instance.vpc_id, cen_id=cen.id, region=HZ,
                zones=[ZoneMapping(instance.zone_id, instance.vswitch_id)],
                vpc_owner_uid=instance.owner_uid,
            )  # fmt: skip
        self._stand(Attachment)

    def _stand(self, kind: type[Any]) -> None:
        from landbridge.cloud.fabric import MADE

        for each in MADE:
            for row in self.session.query(each):
                row.standing = row.version
        self.session.flush()
