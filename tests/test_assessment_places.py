"""The destination's side: directories, server programs, the canary, TLS, a standby as source."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from fix_servers import Servers, Source, fill, free_port
from fix_wire import Wire
from landbridge.assessment import DestinationPlan, Level, assess, gather
from landbridge.assessment.facts import Port
from landbridge.postgres.cluster import Cluster
from landbridge.postgres.conninfo import Conninfo
from landbridge.postgres.distribution import find
from landbridge.postgres.facts import line as line_facts
from landbridge.postgres.facts.ask import prepare_session
from landbridge.postgres.facts.collations import Order, local_orders
from landbridge.postgres.facts.directory import Occupant, look_at
from landbridge.postgres.facts.programs import read_programs
from landbridge.postgres.facts.timezones import RULES, newest_known
from landbridge.postgres.facts.tls import not_after
from landbridge.postgres.osaccount import OsAccount


@pytest.fixture(autouse=True)
def load_the_line_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_facts, "BUDGET", 0.05)


@pytest.mark.parametrize("major", (10, 15, 18))
def test_empty_cluster_is_told_from_one_with_contents(servers: Servers, major: int) -> None:
    here = OsAccount.for_servers()
    source = servers.source(major, start=False)
    found = look_at(source.data, here)
    assert (found.occupant, found.major) == (Occupant.EMPTY_CLUSTER, major)
    source.start()
    assert look_at(source.data, here).samples == ("postmaster.pid",)
    source.sql("CREATE TABLE mine (i int)")
    found = look_at(source.data, here)
    assert found.occupant is Occupant.CLUSTER
    ((identifier,),) = source.sql("SELECT system_identifier::text FROM pg_control_system()")
    assert found.system_identifier == identifier


def test_places_that_are_no_cluster(servers: Servers) -> None:
    here = OsAccount.for_servers()
    folder = servers.root / "place"
    assert look_at(folder, here).occupant is Occupant.NOTHING
    folder.mkdir()
    assert look_at(folder, here).occupant is Occupant.NOTHING
    (folder / "notes.txt").touch()
    assert look_at(folder, here).samples == ("notes.txt",)
    assert look_at(folder / "notes.txt", here).occupant is Occupant.FILES
    (folder / "landbridge.partial").touch()
    assert look_at(folder, here).occupant is Occupant.PARTIAL_COPY


def test_a_port_taken_on_another_address_is_free() -> None:
    nowhere = Conninfo.parse(f"host=127.0.0.1 port={free_port()} user=u")
    with socket.create_server(("127.0.0.2", free_port())) as elsewhere:
        plan = DestinationPlan(Path("/nonexistent"), elsewhere.getsockname()[1], None)

        def found(listen: str) -> Port:
            return gather(nowhere, replace(plan, listen=listen), sample=0).destination.port

        assert found("localhost") is Port.FREE and found("127.0.0.2") is Port.TAKEN
        assert found("*") is Port.TAKEN and found("") is Port.TAKEN


def test_tablespace_needs_a_place_of_its_own(servers: Servers) -> None:
    source = servers.source(15)
    location = servers.root / "space"
    source.account.make_dir(location)
    source.sql(f"CREATE TABLESPACE fast LOCATION '{location}'")
    source.sql("CREATE TABLE heavy TABLESPACE fast AS SELECT generate_series(1, 1000) i")
    data, port = servers.destination()
    plan = DestinationPlan(data, port, find(15))
    report = assess(gather(source.conninfo(), plan, sample=0))
    (finding,) = report.errors
    assert finding.id == "destination.tablespaces"
    assert f"--tablespace {location}=" in finding.fixes[0].lines[0]
    mapped = replace(plan, tablespaces={str(location): str(servers.root / "other")})
    assert assess(gather(source.conninfo(), mapped, sample=0)).errors == ()


@pytest.mark.parametrize("major", (10, 14, 18))
def test_programs_tell_their_sizes_and_time_zone_data(major: int) -> None:
    found = read_programs(find(major), frozenset({"$libdir/plpgsql", "nosuch"}))
    assert found.compiled["block_size"] == 8192
    assert found.libraries == {"$libdir/plpgsql": True, "nosuch": False}
    assert set(found.timezone_data) == {rule.zone for rule in RULES}
    assert newest_known(found.timezone_data) is not None


def test_canary_tells_libraries_apart_that_sort_differently() -> None:
    order = Order("i", "de")
    (old,) = local_orders(find(10), [order]).values()
    (new,) = local_orders(find(15), [order]).values()
    assert old.fingerprint is not None
    assert old.fingerprint != new.fingerprint
    assert old.version != new.version


def test_canary_knows_what_a_library_lacks() -> None:
    orders = [Order("c", "xx_XX.UTF-8"), Order("c", "C")]
    missing, there = local_orders(find(15), orders).values()
    assert missing.fingerprint is None
    assert there.fingerprint is not None
    assert read_programs(
        find(15), locales=frozenset({"xx_XX.UTF-8", "C.UTF-8"})
    ).missing_locales == ("xx_XX.UTF-8",)


def test_stalled_line_is_a_finding(
    servers: Servers, wires: type[Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_facts, "STALL", 0.3)
    source = servers.source(15)
    data, port = servers.destination()
    wire = wires(source.port)
    wire.rate = 2e6

    def cut_later() -> None:
        while wire.carried < 150_000:
            pass
        wire.cut()

    threading.Thread(target=cut_later, daemon=True).start()
    conninfo = source.conninfo().with_(port=wire.port)
    facts = gather(conninfo, DestinationPlan(data, port, find(15)))
    assert facts.source is None, "nothing more is asked over such a line"
    (finding,) = assess(facts).errors
    assert finding.id == "network.line" and "bandwidth" in finding.cause


def test_amcheck_runs_where_the_account_may(servers: Servers) -> None:
    source = servers.source(15)
    fill(source, 1000)
    source.sql("CREATE EXTENSION amcheck")
    source.sql("GRANT EXECUTE ON FUNCTION bt_index_check(regclass) TO migrator")
    data, port = servers.destination()
    facts = gather(source.conninfo(), DestinationPlan(data, port, find(15)), sample=0)
    assert facts.source is not None
    (health,) = [c.indexes for c in facts.source.contents if c.database == "postgres"]
    assert health is not None
    assert (health.installed, health.allowed, health.broken) == (True, True, ())
    assert health.checked >= 2


def test_standby_as_source_is_refused_with_the_name_of_its_primary(servers: Servers) -> None:
    primary = servers.source(15)
    data = servers.root / "standby"
    primary.account.make_dir(data)
    tool = primary.distribution.program("pg_basebackup")
    subprocess.run(
        [tool, "-D", data, "-h", primary.socket_dir, "-p", str(primary.port), "-U", "pgsql",
         "-X", "stream", "-c", "fast", "-R"],
        check=True, env=primary.distribution.environment, **primary.account.popen_arguments(),
    )  # fmt: skip
    standby = Source(data, primary.distribution, free_port())
    servers.adopt(standby)
    upstream = f"host={primary.socket_dir} port={primary.port} user=pgsql"
    standby.configure(
        {"listen_addresses": "127.0.0.1", "primary_conninfo": upstream},
        ["host all all 127.0.0.1/32 md5", "host replication all 127.0.0.1/32 md5"],
    )
    standby.start()
    place, port = servers.destination()
    report = assess(gather(standby.conninfo(), DestinationPlan(place, port, find(15)), sample=0))
    (finding,) = report.errors
    assert finding.id == "replication.primary"
    assert str(primary.port) in finding.cause


def test_certificate_is_read_and_judged(servers: Servers, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    source = servers.source(15, start=False, prepared=False)
    key, certificate = source.data / "server.key", source.data / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=elsewhere",
         "-days", "20", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    for file in (key, certificate):
        file.chmod(0o600)
        source.account.own(file)
    conf = source.data / "postgresql.conf"
    source.account.write(conf, conf.read_text() + "ssl = on\n")
    source.start()
    source.sql("CREATE ROLE migrator LOGIN CREATEROLE REPLICATION PASSWORD 'x'")
    source.sql("GRANT pg_monitor TO migrator")
    data, port = servers.destination()
    facts = gather(source.conninfo(password="x"), DestinationPlan(data, port, find(15)), sample=0)
    assert facts.source is not None
    tls = facts.source.tls
    assert tls is not None
    assert (tls.in_use, tls.offered) == (True, True)
    assert tls.problem is not None
    assert tls.expires is not None
    found = {f.id: f.level for f in assess(facts).findings if f.level is not Level.OK}
    assert found["tls.certificate"] in (Level.WARNING, Level.INFO)
    assert found["settings.tls"] is Level.WARNING


def test_broken_certificate_has_no_end() -> None:
    assert not_after(b"") is None
    assert not_after(b"\x30\x03\x02\x01\x01") is None


def test_replication_user_without_hba_line_is_seen_before_12_and_after(servers: Servers) -> None:
    for major in (10, 18):
        source = servers.source(major, hba=["host all all 127.0.0.1/32 md5"])
        data, port = servers.destination(f"to{major}")
        report = assess(
            gather(source.conninfo(), DestinationPlan(data, port, find(major)), sample=0)
        )
        (finding,) = report.errors
        assert finding.id == "connect.replication"
        hba = next(fix for fix in finding.fixes if fix.kind == "hba")
        assert hba.file == str(source.hba)
        assert hba.lines[0].startswith("host replication migrator 127.0.0.1/32 ")


def test_session_used_for_questions_cannot_write(servers: Servers) -> None:
    source: Cluster = servers.source(15)
    with source.connect() as conn:
        prepare_session(conn)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("CREATE TABLE public.t (i int)")
