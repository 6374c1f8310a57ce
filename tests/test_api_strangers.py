"""Every action of the table with another account's ids: as if those things were not there."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from fix_servers import majors
from landbridge.api.action import Action, Kind, Param
from landbridge.api.dispatch import Ask, Service
from landbridge.api.logs import logger
from landbridge.api.table import ACTIONS
from landbridge.assessment.model import Report
from landbridge.cloud import Cloud, CloudError, Secret, accounts, keys, users
from landbridge.cloud.accounts import Account
from landbridge.cloud.errors import GATEWAY
from landbridge.cloud.fabric import MADE
from landbridge.cloud.instances.states import Status
from landbridge.cloud.instances.tables import DBInstance
from landbridge.cloud.migrations.tables import Assessment, Migration, Verdict

HZ, BJ = "cn-hangzhou", "cn-beijing"
WORD = "Kranich-7_fliegt"


@dataclass
class Owner:
    """An account with one of everything, in a service without process, network and servers."""

    service: Service
    uid: int
    block: str

    def call(self, label: str, **given: object) -> dict[str, Any]:
        arguments = {name.replace("__", "."): str(value) for name, value in given.items()}
        return self.service.perform(Ask(self.uid, None, label, arguments, "192.0.2.1", "here"))

    def make(self) -> dict[str, list[str]]:
        """One of everything; values by the parameters that name them."""
        vpc = self.call("vpc.CreateVpc", RegionId=HZ, CidrBlock=f"{self.block}.0.0/16")
        vswitch = self.call(
            "vpc.CreateVSwitch", VpcId=vpc["VpcId"], ZoneId=f"{HZ}-h",
            CidrBlock=f"{self.block}.1.0/24",
        )["VSwitchId"]  # fmt: skip
        cen = self.call("cbn.CreateCen", Name="joined")["CenId"]
        self._stand()
        routers = [
            self.call("cbn.CreateTransitRouter", CenId=cen, RegionId=region)["TransitRouterId"]
            for region in (HZ, BJ)
        ]
        self._stand()
        attachment = self.call(
            "cbn.CreateTransitRouterVpcAttachment", CenId=cen, RegionId=HZ, VpcId=vpc["VpcId"],
            ZoneMappings__1__ZoneId=f"{HZ}-h", ZoneMappings__1__VSwitchId=vswitch,
        )["TransitRouterAttachmentId"]  # fmt: skip
        line = self.call(
            "cbn.CreateTransitRouterPeerAttachment", TransitRouterId=routers[0],
            PeerTransitRouterId=routers[1], Bandwidth=5, BandwidthType="DataTransfer",
        )["TransitRouterAttachmentId"]  # fmt: skip
        plan = self.call(
            "cbn.CreateCenBandwidthPackage", Bandwidth=20, GeographicRegionAId="China",
            GeographicRegionBId="China",
        )["CenBandwidthPackageId"]  # fmt: skip
        instance = self.call(
            "rds.CreateDBInstance", RegionId=HZ, Engine="PostgreSQL",
            EngineVersion=f"{max(majors())}.0", DBInstanceClass="pg.n2.1c.1m", DBInstanceStorage=20,
            DBInstanceNetType="Intranet", SecurityIPList="127.0.0.1", PayType="Postpaid",
            VPCId=vpc["VpcId"], VSwitchId=vswitch, ZoneId=f"{HZ}-h",
            DBInstanceStorageType="cloud_essd",
        )["DBInstanceId"]  # fmt: skip
        self._stand()
        self.call(
            "rds.CreateAccount", DBInstanceId=instance, AccountName="mover", AccountPassword=WORD
        )
        with self.service.cloud.database.write() as session:
            address = session.get_one(DBInstance, instance).address
            tasks, names = self._tasks(session, instance, address), self._who(session)
        self._stand()
        tables = [router.replace("tr-", "vtb-") for router in routers]
        return {
            "CenId": [cen], "TransitRouterId": routers[:1], "PeerTransitRouterId": routers[1:],
            "TransitRouterAttachmentId": [attachment, line], "CenBandwidthPackageId": [plan],
            "VpcId": [vpc["VpcId"]], "VPCId": [vpc["VpcId"]], "InstanceId": [vpc["VpcId"]],
            "ResourceId": [vpc["VpcId"]], "ChildInstanceId": [vpc["VpcId"]],
            "TransitRouterAttachmentResourceId": [vpc["VpcId"]], "VSwitchId": [vswitch],
            "ZoneMappings": [json.dumps([{"ZoneId": f"{HZ}-h", "VSwitchId": vswitch}])],
            "TransitRouterRouteTableId": tables[:1],
            "TransitRouterRouteTableIds": [json.dumps(tables[:1])],
            "RouterId": [vpc["VRouterId"]], "VRouterId": [vpc["VRouterId"]],
            "RouteTableId": [vpc["RouteTableId"]], "DBInstanceId": [instance],
            "DBInstanceName": [instance], "SourceId": [instance, vpc["VpcId"]],
            "DestinationId": [instance, vpc["VpcId"]], "SourceIpAddress": [address],
            "PrivateIpAddress": [address], "ConnectionString": [address],
            "NextHopId": [attachment], "TransitRouterRouteEntryNextHopId": [attachment],
            "TransitRouterRouteEntryNextHopResourceId": [vpc["VpcId"]],
            "TransitRouterRouteEntryOriginResourceId": [vpc["VpcId"]], "TaskId": tasks, **names,
        }  # fmt: skip

    def _stand(self) -> None:
        """What was ordered is there."""
        with self.service.cloud.database.write() as session:
            for kind in MADE:
                for row in session.query(kind):
                    row.standing = row.version
            for row in session.query(DBInstance):
                row.status, row.applied = Status.RUNNING, row.version

    def _tasks(self, session: Session, instance: str, address: str) -> list[str]:
        common: dict[str, Any] = {
            "owner_uid": self.uid, "instance_id": instance, "name": "n", "category": "other",
            "address": address, "port": 5432, "account": "mover",
        }  # fmt: skip
        first = str(100_000_000 + int(self.block.partition(".")[2]))
        second = str(int(first) + 1000)
        report = Report((), (), "", "", {}, {}).as_dict()
        session.add(Assessment(id=first, verdict=Verdict.FAILED, report=report, **common))
        session.flush()
        session.add(Migration(id=second, assessment_id=first, is_active=False, **common))
        return [first, second]

    def _who(self, session: Session) -> dict[str, list[str]]:
        account = session.get_one(Account, self.uid)
        key, _ = keys.create(session, self.service.cloud.vault, account)
        name = f"user{self.block}"
        users.create(session, account, name, Secret(WORD))
        return {"UserAccessKeyId": [key.id], "UserName": [name]}


#: Parameters that name nothing of an account, where a value of their kind is not enough.
PLAIN = {
    "RegionId": HZ, "ZoneId": f"{HZ}-h", "ChildInstanceRegionId": HZ, "LocalRegionId": HZ,
    "OppositeRegionId": BJ, "GeographicRegionAId": "China", "GeographicRegionBId": "China",
    "GeographicRegionId": "China", "GeographicSpanId": "China_China",
    "PeerTransitRouterRegionId": BJ, "TrRegionId": HZ, "Bandwidth": "8", "BandwidthLimit": "8",
    "CidrBlock": "10.250.0.0/16", "EngineVersion": f"{max(majors())}.0", "AccountName": "spy",
    "DBInstanceClass": "pg.n2.2c.2m", "DBInstanceStorage": "25", "SecurityIPList": "10.9.0.0/16",
    "SecurityIps": "10.9.0.0/16", "AccountPassword": WORD, "Password": WORD, "Name": "spied",
    "DBInstanceDescription": "spied", "Parameters": '{"work_mem": "128"}', "PayType": "Postpaid",
    "StartTime": "2026-01-01T00:00Z", "EndTime": "2026-01-02T00:00Z", "SourcePort": "5432",
    "SourceAccount": "mover", "SourcePassword": WORD, "AdminAccount": "spy", "AdminPassword": WORD,
    "FindingId": "wal.level", "BackendStart": "2026-01-01T00:00:00Z", "ProcessId": "1",
    "SourceCategory": "other", "CurrentConnectionString": "nowhere", "Category": "Basic",
    "DBInstanceNetType": "Intranet",
}  # fmt: skip
#: Of names that end like those of things: what is no thing of an account.
NO_THING = {
    "RouteEntryId", "TransitRouterRouteEntryIds", "FindingIds", "ClientToken",
    "VSwitchOwnerId", "VpcOwnerId",
}  # fmt: skip


def nothing(name: str, id: str) -> str:
    """What looks like a thing's id, or address, and is none's."""
    if name == "ZoneMappings":
        return json.dumps([{"ZoneId": f"{HZ}-h", "VSwitchId": "vsw-nothing"}])
    if name == "TransitRouterRouteTableIds":
        return '["vtb-nothing"]'
    if name in ("SourceIpAddress", "PrivateIpAddress", "ConnectionString"):
        return "10.77.7.7"
    return "999999999" if id.isdigit() else f"{id.partition('-')[0]}-nothing"


def plain(param: Param) -> str | None:
    """A value that is no account's; None where it may be left out."""
    if param.name in PLAIN:
        return PLAIN[param.name]
    if not param.required:
        return None
    if param.choices:
        return param.choices[0]
    least = str(max(param.least or 1, 1))
    return {Kind.BOOLEAN: "true", Kind.INTEGER: least}.get(param.kind, "text")


#: Ids, what is drawn by lot for a new task, and this second.
_MADE = re.compile(
    r'\b[a-z-]+-(nothing|\w{12,})|(?<="TaskId": )\d+|(?<="TaskName": ")\w+|[\d-]{10}T[\d:]{5,8}Z'
)


class Walk:
    """Eve makes calls; what each does is taken back."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.service = Service(cloud, ACTIONS, logger(io.StringIO()))
        with cloud.database.write() as session:
            uids = [accounts.create(session, name).uid for name in ("ann", "eve")]
        ann, self.eve = (Owner(self.service, uid, f"10.{n}") for n, uid in enumerate(uids, 1))
        self.ann = ann.uid
        self.anns, self.own = ann.make(), self.eve.make()
        self._file = sqlite3.connect(cloud.folder / "landbridge.sqlite")
        self._before = sqlite3.connect(":memory:")
        self._file.backup(self._before)
        self.rows = self._rows(self._before)

    def given(self, action: Action) -> dict[str, str]:
        """The arguments of a call about Eve's own things; to list, what is needed alone."""
        lists = action.name.startswith(("Describe", "List"))
        found = {}
        for param in (p for p in action.parameters if p.required or not lists):
            if param.name in self.own:
                found[param.name] = self.own[param.name][0]
            elif (value := plain(param)) is not None:
                found[param.name] = value
        if "CenOwnerId" in found:
            found["CenOwnerId"] = str(self.eve.uid)
        return found

    def owners(self, action: Action) -> list[dict[str, str]]:
        """Whose a thing is said to be, where that can be said; and without."""
        names = {param.name for param in action.parameters}
        said = {name: str(self.ann) for name in names & {"VpcOwnerId", "ChildInstanceOwnerId"}}
        return [said, {}] if said else [{}]

    def ask(self, action: Action, given: dict[str, str]) -> str:
        """What is answered, without the ids that were named."""
        try:
            answer: Any = self.eve.call(action.label, **given)
        except CloudError as refusal:
            declared = {*action.errors, *GATEWAY} - {"InternalError"}
            assert refusal.code in declared, (action.label, given)
            answer = [refusal.code, refusal.message]
        text = json.dumps(answer, default=str)
        for value in sorted(given.values(), key=len, reverse=True):
            text = text.replace(value, "it")
        if action.writes or action.acts:
            gone = [row for row in self.rows - self._rows(self._file) if self._is_anns(row)]
            assert gone == [], (action.label, given)
            self._before.backup(self._file)
        return _MADE.sub("it", text)

    def changed(self) -> set[str]:
        """The tables that are not as they were; they are now."""
        found = {row[0] for row in self.rows ^ self._rows(self._file)}
        self._before.backup(self._file)
        return found

    def _is_anns(self, row: tuple[str, ...]) -> bool:
        names = {str(self.ann), *(one for many in self.anns.values() for one in many)}
        return not names.isdisjoint(row)

    def _rows(self, db: sqlite3.Connection) -> set[tuple[str, ...]]:
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            (table, *map(str, row))
            for (table,) in tables
            for row in db.execute(f'SELECT * FROM "{table}"').fetchall()
        }


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    cloud = Cloud.open(Path(tmp_path_factory.mktemp("strangers")))
    yield Walk(cloud)
    cloud.close()


def test_anothers_things_are_as_if_they_were_not(walk: Walk) -> None:
    """Each parameter that can name a thing, of each action, with Ann's and with nobody's."""
    reached, quiet = 0, []
    for action in ACTIONS:
        given = walk.given(action)
        for name in (p.name for p in action.parameters if p.name in walk.own):
            for theirs, mine in zip(walk.anns[name], walk.own[name], strict=True):
                for said in walk.owners(action):
                    none = walk.ask(action, {**given, **said, name: nothing(name, mine)})
                    seen = walk.ask(action, {**given, **said, name: theirs})
                    assert seen == none, (action.label, name)
                is_told = walk.ask(action, {**given, name: mine}) != none
                reached += is_told
                quiet += [] if is_told else [(action.label, name)]
    assert reached > 155, quiet


def test_every_parameter_that_may_name_a_thing_is_walked(walk: Walk) -> None:
    names = {
        param.name
        for action in ACTIONS
        for whole in action.parameters
        for param in (whole, *whole.parts)
        if param.name.endswith(("Id", "Ids", "InstanceName", "Address", "ConnectionString"))
    }
    owners = {"CenOwnerId", "ChildInstanceOwnerId"}
    assert names - set(walk.own) - set(PLAIN) - NO_THING - owners == set()


def test_what_a_parameter_is_refused_with_is_declared() -> None:
    for action in ACTIONS:
        codes = {param.code for param in action.parameters}
        assert codes <= {*action.errors, *GATEWAY}, action.label


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59Z"]
)
def test_no_moment_of_the_calendar_is_a_failure_of_ours(walk: Walk, moment: str) -> None:
    asked = 0
    for action in ACTIONS:
        for name in {p.name for p in action.parameters} & {"StartTime", "EndTime", "BackendStart"}:
            with pytest.raises(CloudError) as refused:
                walk.eve.call(action.label, **{**walk.given(action), name: moment})
            assert refused.value.code in {*action.errors, *GATEWAY} - {"InternalError"}, (
                action.label
            )
            asked += 1
    assert asked >= 7


def test_a_dry_run_changes_nothing_whatever_it_finds(walk: Walk) -> None:
    dry = [action for action in ACTIONS if action.dry_run]
    found = set()
    for action in dry:
        with pytest.raises(CloudError) as refused:
            walk.eve.call(action.label, **walk.given(action), DryRun="true")
        found.add(refused.value.code)
        assert walk.changed() <= {"audit_entry"}, action.label
    assert "DryRunOperation" in found and len(dry) > 10
