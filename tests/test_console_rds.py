"""The console's pages of RDS instances, over a real one."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fix_api import Running
from fix_console import Member, Reply, Surfer, member
from fix_html import Plain
from fix_party import HZ, Party
from landbridge.api.action import Product
from landbridge.cloud import Cloud
from landbridge.cloud.migrations.mover import tasks_of
from landbridge.cloud.migrations.tables import Assessment, Migration, Verdict
from landbridge.console.table import PAGES
from landbridge.migration.states import State
from landbridge.migration.task import Task
from landbridge.postgres.process import wait_until

PASSWORD = "Wanderer-7_path"
#: Names that could stand in an address besides those of things.
_ODD = ("pgm-of-nobody", "%00", "..%2f..%2fetc", "1", "%f0%9f%90%98", "'\"><script>", "a" * 300)
_ERROR = '<div class="error" id="field-{}-error">'


@dataclass
class Owner:
    """Somebody signed in, and their instance."""

    service: Running
    member: Member
    surfer: Surfer
    vpc: str
    cen: str
    id: str

    @property
    def at(self) -> str:
        return f"/console/rds/{self.id}"

    def text(self, page: str = "") -> str:
        reply = self.surfer.get(f"{self.at}{page}")
        assert reply.status == 200, reply.text
        return unescape(reply.text)

    def send(self, page: str, **fields: str) -> Any:
        return self.surfer.send(f"{self.at}{page}", fields)

    def refused(self, field: str, page: str, **fields: str) -> str:
        """What is said beside a field, of a form that is refused."""
        reply = self.send(page, **fields)
        assert reply.status == 422, (reply.status, reply.text)
        assert _ERROR.format(field) in reply.text, reply.text
        return unescape(reply.text.partition(_ERROR.format(field))[2].partition("<")[0])

    def parameter(self, name: str) -> str:
        """The row of a parameter."""
        return self.text("/parameters").partition(f">{name}<")[2].partition("</tr>")[0]

    def sessions(self, **more: str) -> list[dict[str, Any]]:
        asked = {"DBInstanceId": self.id, **more}
        found = self.member.tenant.call(Product.LANDBRIDGE, "DescribeSessions", **asked)
        return [each for each in found["Sessions"] if not each["IsService"]]

    def connect(self) -> psycopg.Connection[Any]:
        """A session over its public endpoint."""
        port = re.search(
            r"Public Port</dt><dd><span class=\"mono\">(\d+)", self.text("/connection")
        )
        assert port is not None
        return psycopg.connect(
            host="127.0.0.1", port=int(port[1]), user="mover", password=PASSWORD,
            dbname="postgres", connect_timeout=30, autocommit=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    """An account with a VPC, a CEN and an instance, ordered by its form."""
    state = Path(tempfile.mkdtemp(prefix="lb-rds-"))
    state.chmod(0o755)  # the server's account passes through
    service = Running(state)
    try:
        who = member(service, "ann")
        surfer = Surfer(service.endpoint)
        assert surfer.sign_in(who).status == 303
        party = Party(who.tenant)
        assert "An instance lives in a VPC" in surfer.get("/console/rds").text
        cen, (vpc, mapping) = party.cen(), party.network(HZ, "10.1")
        asked = surfer.get("/console/rds/create").text
        version = re.search(r'<option value="([\d.]+)" selected', asked)
        assert version is not None
        form = {
            "EngineVersion": version[1], "VSwitchId": mapping[0].v_switch_id,
            "DBInstanceClass": "pg.n2.1c.1m", "DBInstanceStorageType": "cloud_essd",
            "DBInstanceStorage": "20", "DBInstanceDescription": "shop <1>",
        }  # fmt: skip
        _refused_orders(surfer, form)
        made = surfer.send("/console/rds/create", form)
        assert made.status == 303, made.text
        owner = Owner(service, who, surfer, vpc, cen, made.location.rpartition("/")[2])
        assert wait_until(lambda: 'good">Running' in owner.text(), 60)
        mover = {"AccountName": "mover", "AccountType": "Super", "AccountPassword": PASSWORD}
        who.tenant.call(Product.RDS, "CreateAccount", DBInstanceId=owner.id, **mover)
        assert wait_until(lambda: 'good">Active' in owner.text("/accounts"), 30)
        yield owner
    finally:
        service.kill()
        service.clean()
        shutil.rmtree(state, ignore_errors=True)


def _refused_orders(surfer: Surfer, form: dict[str, str]) -> None:
    for field, wrong in (
        ("VSwitchId", ""), ("VSwitchId", "vsw-of-nobody"), ("DBInstanceStorage", "7"),
        ("DBInstanceStorage", "many"), ("DBInstanceDescription", "1"), ("EngineVersion", "9.6"),
        ("DBInstanceClass", "pg.huge"), ("PrivateIpAddress", "192.168.0.1"),
        ("PrivateIpAddress", "nowhere"), ("DBInstanceStorageType", "tape"),
    ):  # fmt: skip
        reply = surfer.send("/console/rds/create", {**form, field: wrong})
        assert reply.status == 422 and _ERROR.format(field) in reply.text, (field, wrong)
    assert "No instance yet. A migration needs two" in surfer.get("/console/rds").text


def test_an_instance_is_ordered_and_shown(owner: Owner) -> None:
    listed = owner.surfer.get("/console/rds").text
    assert owner.id in listed and "shop &lt;1&gt;" in listed and "shop <1>" not in listed
    page = owner.text()
    assert "1 core, 1 GB" in page and "of 20 GB used" in page and "Primary instance" in page
    page = owner.text("/connection")
    assert "VPC CIDR block: " in page and "10.1.0.0/16" in page and owner.vpc in page
    owner.refused("DBInstanceDescription", "/rename", DBInstanceDescription="1")
    assert owner.send("/rename", DBInstanceDescription="shop").status == 303
    assert "<h1>shop</h1>" in owner.text()


def test_whitelists_and_accounts_are_made_and_changed(owner: Owner) -> None:
    said = owner.refused(
        "SecurityIps", "/whitelist/edit", DBInstanceIPArrayName="office", SecurityIps="10.0.0.300"
    )
    assert "10.0.0.300" in said
    owner.refused(
        "DBInstanceIPArrayName",
        "/whitelist/edit",
        DBInstanceIPArrayName="O",
        SecurityIps="10.0.0.1",
    )
    owner.refused("SecurityIps", "/whitelist/edit", DBInstanceIPArrayName="office", SecurityIps="")
    made = owner.send(
        "/whitelist/edit", DBInstanceIPArrayName="office", SecurityIps="10.1.0.0/16\n 10.2.0.1"
    )
    assert made.status == 303
    assert "10.1.0.0/16, 10.2.0.1" in owner.text("/whitelist")
    assert "10.1.0.0/16\n10.2.0.1</textarea>" in owner.text("/whitelist/edit?group=office")
    owner.send("/whitelist/edit?group=office", SecurityIps="10.1.0.0/16",
               seen="10.1.0.0/16,10.2.0.1")  # fmt: skip
    assert "10.2.0.1" not in owner.text("/whitelist")

    form = {"AccountName": "clerk", "AccountType": "Super", "AccountPassword": PASSWORD,
            "again": PASSWORD, "AccountDescription": ""}  # fmt: skip
    for field, wrong in (
        ("AccountName", "Clerk"), ("AccountName", "pg_clerk"), ("AccountPassword", "short"),
        ("again", "Another-8"), ("AccountDescription", "1"), ("AccountType", "God"),
    ):  # fmt: skip
        said = owner.refused(field, "/accounts/create", **{**form, field: wrong, "again": wrong}
                             if field == "AccountPassword" else {**form, field: wrong})  # fmt: skip
        assert PASSWORD not in said
    refused = owner.send("/accounts/create", **{**form, "again": "Another-8"})
    assert PASSWORD not in refused.text and "Another-8" not in refused.text
    assert owner.send("/accounts/create", **form).status == 303
    assert wait_until(lambda: owner.text("/accounts").count('good">Active') == 2, 30)
    page = owner.text("/accounts")
    assert "Privileged Account" in page and "CREATEROLE, CREATEDB, REPLICATION" in page
    owner.refused("AccountName", "/accounts/create", **form)  # there is one
    owner.refused("AccountPassword", "/accounts/clerk/password", AccountPassword="x", again="x")
    reset = owner.send("/accounts/clerk/password", AccountPassword=PASSWORD, again=PASSWORD)
    assert reset.status == 303
    owner.refused("confirm", "/accounts/clerk/delete", confirm="cler")
    for nobody in ("accounts/none/delete", "accounts/none/password", "migration/tasks/abc"):
        assert owner.surfer.get(f"{owner.at}/{nobody}").status == 404, nobody


def test_parameters_have_their_bounds(owner: Owner) -> None:
    page = owner.text("/parameters")
    assert page.index("rds_force_trans_ro_non_sup") < page.index("autovacuum")
    form = owner.text("/parameters/log_min_duration_statement")
    assert 'min="-1" max="2147483647"' in form and 'value="-1"' in form
    at = "/parameters/log_min_duration_statement"
    for wrong in ("-2", "2147483648", "much", ""):
        owner.refused("value", at, value=wrong)
    assert owner.send(at, value="250").status == 303
    assert wait_until(lambda: "<b>250</b>" in owner.parameter("log_min_duration_statement"), 10)
    assert owner.send(at, value="-1").status == 303

    form = owner.text("/parameters/log_statement")
    assert form.count('type="radio"') == 4
    owner.refused("value", "/parameters/log_statement", value="some")
    form = owner.text("/parameters/max_prepared_transactions")
    assert "It takes effect with the next restart." in form and 'name="restart"' in form
    assert owner.send("/parameters/max_prepared_transactions", value="7").status == 303
    row = owner.parameter("max_prepared_transactions")
    assert "needs a restart" in row and re.search(r'restart" class="mono">7', row), row
    assert owner.surfer.get(f"{owner.at}/parameters/fsync").status == 404


def test_an_instance_that_has_moved_away_says_so_and_asks_before_it_is_writable(
    owner: Owner,
) -> None:
    assert wait_until(lambda: 'good">Running' in owner.text(), 60)
    off, name = {"value": "off"}, "/parameters/rds_force_trans_ro_non_sup"
    with _moved(owner):
        for page in (owner.text(), unescape(owner.surfer.get("/console/").text)):
            assert "another instance has taken over" in page and owner.id in page
        assert "two writable clusters" in owner.text(name)
        assert owner.refused("confirm", name, **off).startswith(f"Type {owner.id} to go on")
        assert owner.send(name, **off, confirm=owner.id).status == 303
    assert "taken over" not in owner.text() and "confirm" not in owner.text(name)


@contextmanager
def _moved(owner: Owner) -> Iterator[None]:
    """A migration out of the owner's instance that has been finished."""
    cloud = Cloud.open(owner.service.state)
    whither = {"owner_uid": owner.member.uid, "instance_id": "pgm-elsewhere", "name": "away",
               "category": "aliyunRDS", "address": "10.1.1.1", "port": 5432,
               "account": "mover", "source_id": owner.id}  # fmt: skip
    folder = tasks_of(cloud).root / "tasks" / "m-away"
    folder.mkdir(parents=True)
    Task(folder).journal.enter(State.PROMOTED)
    rows = (
        Assessment(id="111111111", verdict=Verdict.SUCCESSFUL, **whither),
        Migration(id="222222222", assessment_id="111111111", task="m-away", is_active=False,
                  **whither),
    )  # fmt: skip
    for row in rows:
        with cloud.database.write() as session:
            session.add(row)
    try:
        yield
    finally:
        for kind, id in ((Migration, "222222222"), (Assessment, "111111111")):
            with cloud.database.write() as session:
                session.delete(session.get_one(kind, id))
        cloud.close()


def test_sessions_are_seen_and_terminated_and_the_log_tells(owner: Owner) -> None:
    assert owner.send("/connection").status == 303
    page = owner.text("/connection")
    address = re.search(r'Internal Endpoint</dt><dd><span class="mono">([\d.]+)', page)
    assert address is not None
    owner.send("/whitelist/edit", DBInstanceIPArrayName="me", SecurityIps=address[1])
    assert wait_until(lambda: "Public Port" in owner.text("/connection"), 20)
    found: list[psycopg.Connection[Any]] = []

    def is_in() -> bool:
        try:
            found.append(owner.connect())
        except psycopg.OperationalError:
            return False
        return True

    assert wait_until(is_in, 20)
    conn = found[0]
    with pytest.raises(psycopg.errors.DivisionByZero):
        conn.execute('SELECT 1/0 AS "<i>lost</i>"')
    page = owner.text("/sessions")
    (row,) = owner.sessions()
    assert str(row["ProcessId"]) in page and "mover" in page
    begun = row["BackendStart"]
    late = owner.send("/sessions", pid=str(row["ProcessId"]), begun="2020-01-01T00:00:00.000000Z")
    assert late.status == 404  # the number is another session's now
    conn.execute("SELECT 1")
    assert owner.send("/sessions", pid=str(row["ProcessId"]), begun=begun).status == 303
    with pytest.raises(psycopg.OperationalError):
        conn.execute("SELECT 1")
    assert wait_until(lambda: "No client is connected." in owner.text("/sessions"), 10)
    assert owner.send("/sessions", pid="x", begun="y").status in (400, 404)

    with owner.connect() as conn:
        owner.text("/sessions/terminate")
        assert owner.send("/sessions/terminate", confirm="all").status == 422
        conn.execute("SELECT 1")
        assert owner.send("/sessions/terminate", confirm=owner.id).status == 303
        assert "1 session ended." in owner.text("/sessions")
        with pytest.raises(psycopg.OperationalError):
            conn.execute("SELECT 1")
    log = owner.surfer.get(f"{owner.at}/logs?hours=1").text
    assert "division by zero" in log and "&lt;i&gt;lost" in log and "<i>lost" not in log
    for odd in ("?hours=x&page=x", "?page=0", "?page=999999999999", "?hours=168&page=2",
                "?until=0001-01-01T00:00:00Z", "?until=x"):  # fmt: skip
        assert owner.surfer.get(f"{owner.at}/logs{odd}").status == 200, odd
    _older_pages_stay_while_the_log_grows(owner)
    assert owner.send("/connection/release").status == 422
    assert owner.send("/connection/release", confirm=owner.id).status == 303
    assert owner.surfer.get(f"{owner.at}/connection/release").status == 404


def _fail(owner: Owner, count: int) -> None:
    with owner.connect() as conn:
        for n in range(count):
            with pytest.raises(psycopg.errors.UndefinedTable):
                conn.execute(f"SELECT * FROM lost_{n}")


def _older_pages_stay_while_the_log_grows(owner: Owner) -> None:
    _fail(owner, 130)
    first = owner.surfer.get(f"{owner.at}/logs?hours=1")
    assert " data-live" in first.text
    older = re.search(r'<a href="([^"]+)" rel="next">Older', first.text)
    assert older is not None
    second = owner.surfer.get(unescape(older[1]))
    assert " data-live" not in second.text and _rows(second)
    time.sleep(1 - time.time() % 1)  # what is written in the same second may be on it
    _fail(owner, 20)
    assert _rows(owner.surfer.get(unescape(older[1]))) == _rows(second)
    newer = re.search(r'<a href="([^"]+)" rel="prev">Newer', second.text)
    assert newer is not None and "lost_19" in owner.surfer.get(unescape(newer[1])).text


def _rows(reply: Reply) -> list[str]:
    return re.findall(r'data-label="Message"[^>]*>([^<]*)', reply.text)


def _addresses(owner: Owner) -> Iterator[str]:
    """Every page there is, with the names of the owner's things in it."""
    names = {"{user}": "ann", "{key}": owner.member.tenant.key_id, "{name}": "mover",
             "{task}": "1", "{order}": "cancel"}  # fmt: skip
    for page in PAGES:
        first = page.path.strip("/").partition("/")[0]
        id = {"rds": owner.id, "vpc": owner.vpc, "cen": owner.cen}.get(first, "1")
        path = page.path.replace("{id}", id)
        for name, text in names.items():
            path = path.replace(name, text)
        yield f"/console{re.sub(r'{[^}]*}', 'x', path)}"


def test_no_page_of_another_account_is_found(owner: Owner) -> None:
    """Neither shown nor changed, of all pages there are."""
    bob = Surfer(owner.service.endpoint)
    assert bob.sign_in(member(owner.service, "bob")).status == 303
    mine = (owner.id, owner.vpc, owner.cen)
    asked = [path for path in _addresses(owner) if any(id in path for id in mine)]
    assert len(asked) > 40
    before = owner.service.trail(owner.member.tenant)
    has = owner.text("/whitelist").count("<tr")
    for path in asked:
        for reply in (bob.get(path), bob.send(path, {"confirm": path.split("/")[3]})):
            assert reply.status in (400, 404, 405, 422), (path, reply.status)
            assert "shop" not in reply.text and "10.1.1." not in reply.text, path
    assert owner.service.trail(owner.member.tenant) == before
    assert "<h1>shop" in owner.text() and owner.text("/whitelist").count("<tr") == has > 1


def test_whatever_is_sent_to_a_page_is_answered(owner: Owner) -> None:
    """Odd names, missing and unknown fields, HEAD: never an error inside."""
    bob = Surfer(owner.service.endpoint)
    assert bob.sign_in(member(owner.service, "bob")).status == 303
    odd = {"DBInstanceId": "x", "Name": "\x00", "confirm": "é" * 50, "step": "9", "page": "-1",
           "RegionId": "nowhere", "1.ZoneId": "x", "value": "[]", "source": "<", "form_look": "1",
           "assessment": "x", "test": "true", "SourcePort": "x", "pid": "x"}  # fmt: skip
    query = "?RegionId=nowhere&step=99&page=x&group=%00&from=x&to=y&OrderTime=x&hours=-1&VpcId=1"
    own = list(_addresses(owner))
    for n, (page, path) in enumerate(zip(PAGES, own, strict=True)):
        name = _ODD[n % len(_ODD)]
        strange = f"/console{re.sub(r'{[^}]*}', name, page.path)}"
        replies = {
            "head": owner.surfer.ask("HEAD", path),
            "query": owner.surfer.get(path + query),
            "strange": bob.get(strange),
            "empty": bob.send(strange, {}),
            "odd": bob.send(strange, odd),
        }
        if "release" not in path and "terminate" not in path:
            replies["own, odd"] = owner.surfer.send(path, odd)
        for kind, reply in replies.items():
            assert reply.status < 500, (kind, path, owner.service.log.read_text()[-3000:])
            assert "InternalError" not in reply.text, (kind, path)
            assert "<script>" not in reply.text.replace("<script>alert", ""), (kind, path)


def test_every_page_is_read_and_used_without_scripts(owner: Owner) -> None:
    """All pages there are and all that their links lead to; no link leads nowhere."""
    ways, seen = dict.fromkeys(_addresses(owner), ""), set[str]()
    while ways:
        path, page = ways.popitem()
        kind = re.sub("=[^&]*", "", path)  # one of each kind of question
        if kind in seen:
            continue
        seen.add(kind)
        reply = owner.surfer.get(path)
        assert reply.status in (200, 303) or not page, f"{page} leads to {path}"
        if reply.status == 200 and "text/html" in reply.headers["Content-Type"]:
            read = Plain(reply.text)
            assert read.troubles == [], path
            ways |= {link: path for link in read.links if link.startswith("/console/")}
    assert len(seen) > len(PAGES)


def test_what_cannot_be_undone_asks_for_the_name(owner: Owner) -> None:
    for page in ("/restart", "/release"):
        said = owner.refused("confirm", page, confirm="shop")
        assert said == f"Type {owner.id} to go on; nothing was changed."
    assert owner.send("/parameters/max_prepared_transactions", value="8").status == 303
    assert owner.send("/restart", confirm=owner.id).status == 303
    assert wait_until(lambda: 'good">Running' in owner.text(), 60)
    assert wait_until(lambda: "<b>8</b>" in owner.parameter("max_prepared_transactions"), 30)
    assert owner.send("/release", confirm=owner.id).status == 303
    listed = "/console/rds"
    assert wait_until(lambda: owner.id not in owner.surfer.get(listed).text, 60)
    assert owner.surfer.get(owner.at).status == 404
