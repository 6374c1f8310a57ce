"""What the console's demonstration begins with: everything but the procedure itself.

Account A (Beijing) has a source instance with data and an application that writes; account B
(Hangzhou) an empty destination. Nothing joins them yet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from ....api.action import Product
from ....api.client import CallRefused, Credentials, call
from ....cloud import Cloud, Secret, accounts, keys, users
from ....errors import LandbridgeError
from ....postgres.conninfo import Conninfo
from ..check import Acknowledgement, Comparison, compare, read_acknowledgements
from ..children import WriterProcess

DATABASE = "postgres"
SOURCE = "account-a"
#: The application's own account, and who made its table.
_APPLICATION, _OWNER = "shop", "shop_owner"
#: Rows that are there before the application begins.
_ROWS = 200_000
_PATIENCE = 120.0
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Site:
    """One account's side."""

    account: str
    user: str
    password: Secret
    region: str
    cidr: str
    key: Credentials
    uid: int
    vpc: str = ""
    instance: str = ""
    address: str = ""

    @property
    def zones(self) -> tuple[str, str]:
        """Two of its region, with a vSwitch in each."""
        return f"{self.region}-h", f"{self.region}-{'f' if self.account == SOURCE else 'i'}"

    @property
    def vswitch_cidrs(self) -> tuple[str, str]:
        """Of the two zones."""
        return self.cidr.replace("0.0/16", "1.0/24"), self.cidr.replace("0.0/16", "2.0/24")


@dataclass
class Stage:
    """A service with two accounts; its folder goes with it."""

    network: str = "auto"
    major: int | None = None
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lb-console-")))
    url: str = ""
    sites: dict[str, Site] = field(default_factory=dict)
    _service: subprocess.Popen[str] | None = None
    _writer: WriterProcess | None = None
    _ports: list[int] = field(default_factory=list)
    _password: str = field(default_factory=lambda: users.new_password().reveal() + "+Aa1")

    @property
    def source(self) -> Site:
        return self.sites["a"]

    @property
    def destination(self) -> Site:
        return self.sites["b"]

    def start_service(self, listen: str) -> None:
        """Start `landbridge serve`; LandbridgeError (demo.service) with its last words."""
        self.folder.chmod(0o711)  # the servers' accounts pass through
        log = self.folder / "serve.log"
        with log.open("w") as file:
            self._service = subprocess.Popen(
                [sys.executable, "-P", "-m", "landbridge.cli", "serve", "--listen", listen,
                 "--state", self.state, "--network", self.network],
                stdout=subprocess.PIPE, stderr=file, text=True, start_new_session=True,
            )  # fmt: skip
        assert self._service.stdout is not None
        line = self._service.stdout.readline()
        if not line.startswith("landbridge: ready on "):
            words = log.read_text().rpartition("landbridge: ")[2].split()
            raise LandbridgeError(
                f"the service did not start: {' '.join(words) or 'it said nothing'}",
                id="demo.service",
            )
        self.url = line.split()[-1]

    @property
    def state(self) -> Path:
        """The service's state directory."""
        return self.folder / "state"

    def add_accounts(self) -> None:
        """Two accounts, each with one user and a key."""
        places = {"a": ("cn-beijing", "10.10.0.0/16"), "b": ("cn-hangzhou", "10.20.0.0/16")}
        cloud = Cloud.open(self.state)
        try:
            for name, (region, cidr) in places.items():
                password = users.new_password()
                with cloud.database.write() as session:
                    owner = accounts.create(session, f"account-{name}")
                    users.create(session, owner, name, password)
                    key, secret = keys.create(session, cloud.vault, owner)
                    self.sites[name] = Site(
                        owner.name, name, password, region, cidr, Credentials(key.id, secret),
                        owner.uid,
                    )  # fmt: skip
        finally:
            cloud.close()

    def build(self, name: str) -> None:
        """The VPC of an account with vSwitches in two zones, and an instance in it."""
        site = self.sites[name]
        vpc = self._call(site, "vpc.CreateVpc", RegionId=site.region, CidrBlock=site.cidr,
                         VpcName=f"vpc-of-{site.account}")["VpcId"]  # fmt: skip
        vswitches = [
            self._call(site, "vpc.CreateVSwitch", RegionId=site.region, VpcId=vpc,
                       ZoneId=zone, CidrBlock=cidr)["VSwitchId"]
            for zone, cidr in zip(site.zones, site.vswitch_cidrs, strict=True)
        ]  # fmt: skip
        made = self._call(
            site, "rds.CreateDBInstance", RegionId=site.region, Engine="PostgreSQL",
            EngineVersion=f"{self._version(site)}", DBInstanceClass="pg.n2.1c.1m",
            DBInstanceStorage="20", DBInstanceNetType="Intranet", SecurityIPList="127.0.0.1",
            PayType="Postpaid", VSwitchId=vswitches[0],
            DBInstanceDescription="shop source" if name == "a" else "shop destination",
        )  # fmt: skip
        self.sites[name] = Site(
            site.account, site.user, site.password, site.region, site.cidr, site.key, site.uid,
            vpc, made["DBInstanceId"], made["ConnectionString"],
        )  # fmt: skip

    def _version(self, site: Site) -> str:
        offered = self._call(site, "landbridge.DescribeOffer")["EngineVersions"]
        wanted = f"{self.major}.0"
        if self.major is not None and wanted not in offered:
            raise LandbridgeError(
                f"this machine has no PostgreSQL {self.major}", id="demo.major",
                remedy="See: landbridge engines",
            )  # fmt: skip
        return wanted if self.major is not None else str(offered[-1])

    def await_instances(self) -> None:
        """Wait until both servers run."""
        for site in self.sites.values():
            self._until(f"{site.instance} to run", lambda site=site: self._runs(site))  # type: ignore[misc]

    def _runs(self, site: Site) -> bool:
        answer = self._call(site, "rds.DescribeDBInstanceAttribute", DBInstanceId=site.instance)
        return bool(answer["Items"]["DBInstanceAttribute"][0]["DBInstanceStatus"] == "Running")

    def start_application(self) -> None:
        """Data at the source, and a writer that finds whichever side accepts writes."""
        source = self.source
        for name, kind in ((_OWNER, "Super"), (_APPLICATION, "Normal")):
            self._call(source, "rds.CreateAccount", DBInstanceId=source.instance, AccountName=name,
                       AccountPassword=self._password, AccountType=kind)  # fmt: skip
        ports = []
        for site in (self.source, self.destination):
            self._call(site, "rds.ModifySecurityIps", DBInstanceId=site.instance,
                       SecurityIps=site.address, DBInstanceIPArrayName="application")  # fmt: skip
            self._call(site, "rds.AllocateInstancePublicConnection", DBInstanceId=site.instance)
            ports.append(self._until("a public endpoint", lambda s=site: self._port(s)))  # type: ignore[misc]
        with self._until("a login", lambda: self._login(_OWNER, ports[0])) as conn:
            # No unique constraint: a row written twice must show, not be refused.
            conn.execute("CREATE TABLE ledger (n bigint NOT NULL, payload text NOT NULL)")
            conn.execute("CREATE INDEX ledger_n ON ledger (n)")
            conn.execute(
                "CREATE TABLE orders AS SELECT g AS id, md5(g::text) || repeat(' ', 200) AS note"
                " FROM generate_series(1, %s) g", [_ROWS],
            )  # fmt: skip
            conn.execute(f"GRANT SELECT, INSERT ON ledger TO {_APPLICATION}")
        self._ports = ports
        passwords = self.folder / "application.pgpass"
        passwords.touch(0o600)
        passwords.write_text(f"127.0.0.1:*:{DATABASE}:{_APPLICATION}:{self._password}\n")
        self._writer = WriterProcess(
            Conninfo.parse(
                f"host=127.0.0.1,127.0.0.1 port={ports[0]},{ports[1]} dbname={DATABASE}"
                f" user={_APPLICATION} passfile={passwords}",
            ).with_(target_session_attrs="read-write"),
            self.folder, 200,
        )  # fmt: skip
        self._writer.start()

    def _port(self, site: Site) -> int | None:
        answer = self._call(site, "rds.DescribeDBInstanceNetInfo", DBInstanceId=site.instance)
        found = [
            int(row["Port"])
            for row in answer["DBInstanceNetInfos"]["DBInstanceNetInfo"]
            if row["IPType"] == "Public"
        ]
        return found[0] if found else None

    def _login(self, user: str, port: int) -> psycopg.Connection[Any] | None:
        try:
            return psycopg.connect(
                host="127.0.0.1", port=port, user=user, password=self._password, dbname=DATABASE,
                connect_timeout=5, autocommit=True,
            )  # fmt: skip
        except psycopg.OperationalError:
            return None

    def acknowledged(self) -> Acknowledgement | None:
        """The latest row that the application was told is safe."""
        return self._writer.last() if self._writer else None

    @property
    def has_moved(self) -> bool:
        """Whether the application writes to the destination."""
        last = self.acknowledged()
        return last is not None and last.port == self._ports[1]

    def stop_application(self) -> None:
        """Let it end the row that it is at."""
        if self._writer:
            self._writer.stop()

    def prove(self) -> Comparison:
        """Every acknowledged row against the rows of the destination."""
        assert self._writer is not None
        self._writer.stop()
        written = read_acknowledgements(self._writer.acknowledged_file)
        with self._until("the destination", lambda: self._login(_OWNER, self._ports[1])) as conn:
            return compare(written, conn)

    @property
    def acknowledged_file(self) -> Path:
        """Where the application notes what it was told is safe."""
        assert self._writer is not None
        return self._writer.acknowledged_file

    def remove(self) -> None:
        """End all of it, and remove its folder. LandbridgeError (demo.remains) if it stays."""
        self.stop_application()
        if self._service is not None:
            self._give_up()
            self._service.send_signal(signal.SIGTERM)
            try:
                self._service.wait(20)
            except subprocess.TimeoutExpired:
                self._service.kill()
            with self._service:  # its pipe is closed, whoever else has it
                self._service.wait()
        if (self.state / "cloud").exists():
            done = subprocess.run(
                [sys.executable, "-P", "-m", "landbridge.cli", "service", "remove", "--state",
                 self.state, "--yes"],
                check=False, capture_output=True, env=os.environ | {"NO_COLOR": "1"},
            )  # fmt: skip
            if done.returncode:
                raise LandbridgeError(
                    f"servers and networks of the demonstration in {self.folder} remain",
                    id="demo.remains",
                    remedy=f"landbridge service remove --state {self.state}",
                )
        shutil.rmtree(self.folder, ignore_errors=True)

    def _give_up(self) -> None:
        """Cancel a migration that is under way; nothing is removed before."""
        site = self.sites.get("b")
        if site is None or not site.instance:
            return
        with contextlib.suppress(LandbridgeError, OSError):
            rows = self._call(site, "rds.DescribeCloudMigrationResult", PageNumber=1, PageSize=30,
                              DBInstanceName=site.instance)["Items"]  # fmt: skip
            for row in rows:
                with contextlib.suppress(CallRefused):  # it is over, or too far
                    self._call(site, "landbridge.CancelMigration", TaskId=row["TaskId"])
            if rows:
                self._until("the migration to end", lambda: self._runs(site))

    def _call(self, site: Site, action: str, **parameters: object) -> dict[str, Any]:
        product, _, name = action.partition(".")
        texts = {key: str(value) for key, value in parameters.items()}
        return call(self.url, site.key, Product[product.upper()].value, name, texts)

    def _until(self, what: str, look: Callable[[], _Found | None]) -> _Found:
        """Ask until there is something; LandbridgeError (demo.patience)."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                if found := look():
                    return found
            except CallRefused as refusal:
                if not refusal.retryable:
                    raise
            if time.monotonic() > end:
                raise LandbridgeError(f"gave up waiting for {what}", id="demo.patience")
            time.sleep(0.2)
