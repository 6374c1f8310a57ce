"""Assessing real servers, with the account of the migration and with less."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_servers import MIGRATOR, MIGRATOR_PASSWORD, OWNER_PASSWORD, Servers, Source, fill
from fix_wire import Wire
from landbridge.assessment import (
    DestinationPlan,
    Level,
    Report,
    apply_each,
    apply_fixes,
    assess,
    gather,
)
from landbridge.assessment.fixes import Outcome
from landbridge.assessment.html import render_html
from landbridge.assessment.terminal import render_terminal
from landbridge.errors import LandbridgeError, UsageError
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.distribution import Distribution, find
from landbridge.postgres.facts import line as line_facts
from landbridge.postgres.refusal import Refusal

#: Short enough for tests; the write rate is not what they are about.
SAMPLE = 0.02
MAJORS = (10, 12, 15, 18)
EXTENSION = "pg_trgm"


@pytest.fixture(autouse=True)
def load_the_line_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_facts, "BUDGET", 0.05)


class Poor(Distribution):
    """Server programs without one contrib module."""

    @property
    def extensions(self) -> dict[str, str]:
        return {n: v for n, v in super().extensions.items() if n != EXTENSION}

    def has_library(self, name: str) -> bool:
        return EXTENSION not in name and super().has_library(name)


def plan_for(servers: Servers, major: int, *, poor: bool = False) -> DestinationPlan:
    data, port = servers.destination()
    programs = find(major)
    if poor:
        programs = Poor(programs.version, programs.bin, programs.origin)
    return DestinationPlan(data, port, programs)


def examine(source: Source, plan: DestinationPlan, **more: Conninfo) -> Report:
    return assess(gather(source.conninfo(), plan, sample=SAMPLE, **more))


def causes(report: Report, *levels: Level) -> dict[str, str]:
    return {f.id: f.cause for f in report.of(*levels)}


@pytest.mark.parametrize("major", MAJORS)
def test_prepared_source_passes_with_the_migration_account(servers: Servers, major: int) -> None:
    source = servers.source(major)
    fill(source, 1000)
    plan = plan_for(servers, major)
    facts = gather(source.conninfo(), plan, fence_as=source.admin(), sample=SAMPLE)
    assert facts.source is not None
    assert set(facts.source.unseen) == {"hba"}, "pg_monitor sees all but pg_hba.conf"
    report = assess(facts)
    assert causes(report, Level.ERROR, Level.WARNING) == {}
    assert {s.id for s in report.skipped} == {"network.cidr"}
    assert facts.reached.line is not None
    assert (facts.reached.line.rate or 0) > 10e6
    assert not plan.data.exists()


@pytest.mark.parametrize("major", (10, 15, 18))
def test_contents_of_all_databases_are_found(servers: Servers, major: int) -> None:
    source = servers.source(
        major, settings={"wal_level": "logical", "max_prepared_transactions": 5}
    )
    source.sql("CREATE DATABASE second")
    source.sql("CREATE DATABASE closed")
    source.sql(
        "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    source.sql("CREATE UNLOGGED TABLE ascii AS SELECT 1", "bytes")
    source.sql("REVOKE CONNECT ON DATABASE closed FROM public")
    for statement in (
        "CREATE UNLOGGED TABLE cache AS SELECT generate_series(1, 1000) i",
        f"CREATE EXTENSION {EXTENSION}",
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER home FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost')",
        "CREATE TABLE names (n text)",
        'CREATE INDEX names_german ON names (n COLLATE "de-x-icu")',
        "CREATE PUBLICATION news FOR TABLE names",
        "SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')",
        "ALTER ROLE boss SET default_transaction_read_only = off",
    ):
        source.sql(statement, "second")
    with source.connect("second") as conn:
        conn.execute("BEGIN")
        conn.execute("INSERT INTO names VALUES ('x')")
        conn.execute("PREPARE TRANSACTION 'two''phase'")
    report = examine(source, plan_for(servers, major, poor=True))
    found = causes(report, Level.ERROR, Level.WARNING, Level.INFO)
    assert "second.public.cache" in found["content.unlogged"]
    assert "bytes.public.ascii" in found["content.unlogged"]
    assert f"{EXTENSION} is installed in second" in found["extension.missing"]
    assert f"$libdir/{EXTENSION}" in found["library.functions"]
    assert "home in second" in found["content.foreign_servers"]
    assert "news in second" in found["replication.publications"]
    assert "cdc (second)" in found["replication.slots"]
    assert "closed" in found["connect.databases"]
    assert 'ROLE "boss"' in found["fence.overrides"]
    assert "two'phase of pgsql in second" in found["transactions.prepared"]
    # Same distribution on both sides: the canary was run and sees no difference.
    (order,) = [f for f in report.findings if f.id == "collation.order"]
    assert order.level is Level.OK
    assert order.cause.startswith("1 of 1")


@pytest.mark.parametrize("major", (10, 15, 18))
def test_account_without_any_right_sees_less_and_says_so(servers: Servers, major: int) -> None:
    source = servers.source(major, prepared=False)
    source.sql(f"CREATE ROLE plain LOGIN PASSWORD '{OWNER_PASSWORD}'")
    conninfo = source.conninfo("plain", OWNER_PASSWORD)
    report = assess(gather(conninfo, plan_for(servers, major), sample=SAMPLE))
    assert set(causes(report, Level.ERROR)) == {
        "connect.replication", "connect.createrole", "connect.pg_monitor",
    }  # fmt: skip


@pytest.mark.parametrize("major", (12, 18))
def test_badly_prepared_source_is_repaired_by_the_lines_of_its_report(
    servers: Servers, major: int
) -> None:
    source = servers.source(
        major,
        prepared=False,
        settings={"wal_level": "minimal", "max_wal_senders": 0, "max_prepared_transactions": 5},
        hba=["host all all 127.0.0.1/32 md5"],
    )
    password = MIGRATOR_PASSWORD.replace("'", "''")
    source.sql(f"CREATE ROLE {MIGRATOR} LOGIN PASSWORD '{password}'")
    source.sql(f"CREATE EXTENSION {EXTENSION}")
    source.sql("CREATE TABLE t (i int)")
    with source.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (1)")
        conn.execute("PREPARE TRANSACTION 'left over'")
    plan = plan_for(servers, major, poor=True)
    report = examine(source, plan)
    assert {
        "connect.replication", "connect.createrole", "connect.pg_monitor", "wal.level",
        "wal.senders", "extension.missing", "transactions.prepared",
    } <= set(causes(report, Level.ERROR))  # fmt: skip
    for finding in report.errors:
        assert any(f.lines for f in finding.fixes), finding.id
    type_in(source, report)
    assert causes(examine(source, plan), Level.ERROR) == {}


def type_in(source: Source, report: Report) -> None:
    """Do what a person would: every line for the source, then a restart."""
    for finding in report.errors:
        for fix in finding.fixes:
            if fix.where != "source":
                continue
            if fix.kind == "hba":
                with source.hba.open("a") as file:
                    file.write("\n".join(fix.lines) + "\n")
            for line in fix.lines if fix.kind == "sql" else ():
                source.sql(line, fix.database or "postgres")
    source.restart()


def test_applied_fixes_can_be_taken_back(servers: Servers) -> None:
    source = servers.source(15, prepared=False, settings={"wal_sender_timeout": 0})
    for name, rights in ((MIGRATOR, ""), ("boss", "SUPERUSER")):
        secret = (MIGRATOR_PASSWORD if name == MIGRATOR else OWNER_PASSWORD).replace("'", "''")
        source.sql(f"CREATE ROLE {name} LOGIN {rights} PASSWORD '{secret}'")
    source.sql("ALTER ROLE boss SET default_transaction_read_only = off")
    plan = plan_for(servers, 15)
    before = examine(source, plan)
    applied = apply_fixes(before, source.admin())
    assert {entry["id"] for entry in applied} == {
        "connect.replication", "connect.createrole", "connect.pg_monitor", "wal.sender_timeout",
        "fence.overrides",
    }  # fmt: skip
    after = examine(source, plan)
    assert causes(after, Level.ERROR, Level.WARNING) == {}
    for entry in reversed(applied):
        for line in entry["undo"]:
            source.sql(line)
    again = examine(source, plan)
    assert set(causes(again, Level.ERROR, Level.WARNING)) == set(
        causes(before, Level.ERROR, Level.WARNING)
    )


def test_fix_that_the_source_refuses_is_an_error_with_a_remedy(servers: Servers) -> None:
    source = servers.source(15, prepared=False)
    source.sql(f"CREATE ROLE plain LOGIN PASSWORD '{OWNER_PASSWORD}'")
    plain = source.conninfo("plain", OWNER_PASSWORD)
    report = assess(gather(plain, plan_for(servers, 15), sample=SAMPLE))
    assert apply_fixes(report, None) == []
    with pytest.raises(LandbridgeError, match="refuses the fix for connect") as caught:
        apply_fixes(report, plain)
    assert caught.value.id == "assessment.fix_refused"

    source.sql("CREATE DATABASE closed")
    source.sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    source.sql("GRANT pg_monitor TO plain")
    source.sql(f"CREATE ROLE boss SUPERUSER LOGIN PASSWORD '{OWNER_PASSWORD}'")
    report = assess(gather(plain, plan_for(servers, 15), sample=SAMPLE))
    for admin, outcome in ((plain, Outcome.REFUSED), (source.admin(), Outcome.APPLIED)):
        (done,) = apply_each(report, admin, ["connect.databases"])
        assert done.outcome is outcome and ("no privileges" in done.why) == (admin is plain)


@pytest.mark.parametrize(
    ("hba", "user", "refusal", "line"),
    [
        ([], MIGRATOR, Refusal.NO_HBA_LINE, "host all migrator 127.0.0.1/32 md5"),
        (None, "nobody", Refusal.PASSWORD, '\\password "nobody"'),
    ],
)
def test_refused_login_is_told_apart(
    servers: Servers, hba: list[str] | None, user: str, refusal: Refusal, line: str
) -> None:
    source = servers.source(15, hba=hba)
    facts = gather(source.conninfo(user), plan_for(servers, 15), sample=SAMPLE)
    assert facts.reached.login is not None
    assert facts.reached.login.refusal is refusal
    assert facts.reached.seen_as == "127.0.0.1"
    report = assess(facts)
    (finding,) = [f for f in report.errors if f.id == "connect.login"]
    assert line in [text for fix in finding.fixes for text in fix.lines]
    assert "wal.level" in {s.id for s in report.skipped}


def test_closed_port_and_unknown_host_are_told_apart(servers: Servers) -> None:
    plan = plan_for(servers, 15)
    closed = Conninfo.parse(f"host=127.0.0.1 port={plan.port} user=x dbname=postgres")
    assert set(causes(assess(gather(closed, plan)), Level.ERROR)) == {"connect.port"}
    unknown = Conninfo.parse("host=nowhere.invalid user=x dbname=postgres")
    assert set(causes(assess(gather(unknown, plan)), Level.ERROR)) == {"connect.address"}


def test_address_from_the_environment_is_probed(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.source(15)
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(source.port))
    bare = Conninfo.parse(f"user={MIGRATOR} dbname=postgres").with_password(MIGRATOR_PASSWORD)
    facts = gather(bare, plan_for(servers, 15), sample=0)
    assert facts.address == f"127.0.0.1:{source.port}"
    assert facts.source is not None


def test_several_hosts_are_a_wrong_call(servers: Servers) -> None:
    several = Conninfo.parse("host=a,b port=5432,5433 user=x dbname=postgres")
    with pytest.raises(UsageError, match="several servers"):
        gather(several, plan_for(servers, 15))


def test_slow_line_is_measured(servers: Servers, wires: type[Wire]) -> None:
    source = servers.source(15)
    wire = wires(source.port)
    wire.rate = 4e6
    conninfo = source.conninfo().with_(port=wire.port)
    facts = gather(conninfo, plan_for(servers, 15), sample=SAMPLE)
    assert facts.source is not None
    assert facts.reached.line is not None
    assert 1e6 < (facts.reached.line.rate or 0) < 8e6
    assert "wal.compression" in causes(assess(facts), Level.INFO)


def test_nothing_of_the_report_holds_a_password(servers: Servers) -> None:
    secret = "archive-t0ken"
    source = servers.source(
        15, settings={"archive_mode": "on", "archive_command": f"upload --token {secret} %p"}
    )
    facts = gather(source.conninfo(), plan_for(servers, 15), fence_as=source.admin(), sample=0.0)
    report = assess(facts)
    assert "wal.archive" in causes(report, Level.WARNING)
    from rich.console import Console

    console = Console(record=True, width=200, quiet=True)
    console.print(render_terminal(report, all=True))
    shown = (render_html(report), str(report.as_dict()), console.export_text())
    for text in shown:
        for password in (MIGRATOR_PASSWORD, OWNER_PASSWORD, secret):
            assert password not in text
    for password in (MIGRATOR_PASSWORD, OWNER_PASSWORD):
        assert password not in repr(facts)


def test_html_report_stands_alone_and_is_escaped(servers: Servers, tmp_path: Path) -> None:
    source = servers.source(15)
    source.sql('CREATE DATABASE "<b>&"')
    source.sql('REVOKE CONNECT ON DATABASE "<b>&" FROM public')
    page = render_html(examine(source, plan_for(servers, 15)))
    for outside in ("http://", "https://", "<script", "<link", "@import", "url(", 'src="'):
        assert outside not in page
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page
    assert page.lstrip().startswith("<!doctype html>")
