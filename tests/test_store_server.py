"""The tables on a PostgreSQL server: their versions, what is refused, one service at a time."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select, text

from fix_api import Serve, Tenant
from fix_cli import Cli
from fix_cloud import KEEPER_PASSWORD, Databases, databases
from fix_servers import Servers, contents, majors
from landbridge.api.action import Product
from landbridge.api.client import CallRefused
from landbridge.cloud import Cloud, accounts
from landbridge.cloud.accounts import Account
from landbridge.errors import StoreFailed
from landbridge.postgres.process import wait_until
from landbridge.store import Database, schema

_COMMAND = (sys.executable, "-m", "landbridge.cli", "serve", "--listen", "127.0.0.1:0")


def _schema_tool() -> Any:
    path = Path(__file__).parent.parent / "tools/schema.py"
    spec = importlib.util.spec_from_file_location("schema_tool", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_versions_make_the_declared_tables_there_too(new_url: str) -> None:
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(Database(new_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(opened) == 3, "starts at the same moment upgrade once"
        found, code = _schema_tool().differences(opened[0])
        assert found.is_empty(), code
    finally:
        for each in opened:
            each.close()


def test_an_older_one_is_upgraded_and_a_newer_one_refused(
    new_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = schema._run
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_run", lambda connection, known: full(connection, known, "0001"))
        first = Database(new_url)
    with first.engine.begin() as connection:
        connection.execute(text("INSERT INTO account VALUES (1, 'ann', now())"))
    upgraded = Database(new_url)
    with upgraded.read() as session:
        assert session.scalar(select(Account.name)) == "ann"
    with upgraded.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreFailed) as refused:
        Database(new_url)
    assert refused.value.id == "store.newer"
    first.close()
    upgraded.close()


def _refusal(url: str, password: str | None = None) -> StoreFailed:
    with pytest.raises(StoreFailed) as refused:
        Database(url, password)
    assert "päss" not in f"{refused.value} {refused.value.remedy}"
    assert refused.value.remedy or refused.value.retryable
    return refused.value


def test_what_stands_in_the_way_has_an_id(shared_databases: Databases, new_url: str) -> None:
    there = shared_databases
    assert _refusal(there.url("nowhere")).id == "store.no_database"
    assert _refusal(there.url("postgres", password=False)).id == "store.login"
    assert _refusal(there.url("postgres", password=False), "wr0ng-päss").id == "store.login"
    there.make("latin", "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    assert "LATIN1" in str(_refusal(there.url("latin")))
    assert _refusal(there.url("latin")).id == "store.unfit"
    foreign = f"{new_url.split('?')[0].rsplit('/', 1)[1]}_foreign"
    there.server.sql(f"CREATE DATABASE {foreign}")
    rights = _refusal(there.url(foreign))
    assert rights.id == "store.rights" and "OWNER" in (rights.remedy or "")
    Database(new_url.split("?")[0], KEEPER_PASSWORD).close()


def test_a_server_that_is_too_old_is_refused(servers: Servers) -> None:
    old = [major for major in majors() if major < 14]
    if not old:
        pytest.skip("no old PostgreSQL here")
    there = databases(servers, max(old))
    refused = _refusal(there.make("landbridge"))
    assert refused.id == "store.unfit" and str(max(old)) in refused.message


def test_a_claim_is_lost_with_the_servers_sessions_and_nobody_writes_without(
    db: Database, shared_databases: Databases
) -> None:
    other = Database(db.public_url)
    with db.claimed() as keep:
        with pytest.raises(StoreFailed) as taken, other.claimed():
            pass
        assert taken.value.id == "store.taken"
        if db.file is None:
            shared_databases.server.sql(
                "SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'"
            )
            with pytest.raises(StoreFailed) as lost, db.write():
                pass
            assert (lost.value.id, lost.value.retryable) == ("store.unclaimed", True)
        keep()
        with db.write() as session:
            accounts.create(session, "ann")
        with other.write() as session:  # no service: what works on the state directory
            accounts.create(session, "ben")
    with other.claimed():
        pass
    other.close()


def test_a_state_directory_keeps_to_its_database(tmp_path: Path, new_url: str) -> None:
    Cloud.open(tmp_path).close()  # nothing is in the file yet
    secret = quote(KEEPER_PASSWORD)
    for given in (new_url.replace("@", f":{secret}@"), None):
        cloud = Cloud.open(tmp_path, given)
        assert cloud.database.file is None
        cloud.close()
    assert secret not in (tmp_path / "cloud/database").read_text()
    with pytest.raises(StoreFailed) as other:
        Cloud.open(tmp_path, f"sqlite:///{tmp_path}/other.sqlite")
    assert other.value.id == "state.other_database"


def test_a_service_outlives_a_restart_of_its_database(
    serve: Serve, servers: Servers, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = databases(servers, 15)
    url = there.make("landbridge")
    monkeypatch.setenv("LANDBRIDGE_STATE", str(tmp_path))
    running = serve(tmp_path, "--database", url)
    made = cli("account", "create", "ann", "--json").object
    key = made["access_key"]
    ann = Tenant(running.endpoint, made["account"]["uid"], key["id"], key["secret"])

    def create() -> str:
        return str(ann.call(Product.VPC, "CreateVpc", RegionId="cn-hangzhou")["VpcId"])

    first = create()
    there.server.stop("immediate")
    with pytest.raises(CallRefused) as away:
        create()
    assert (away.value.id, away.value.retryable) == ("ServiceUnavailable", True)
    there.server.start()

    def again() -> bool:
        try:
            return bool(create())
        except CallRefused as refused:
            assert refused.id == "ServiceUnavailable"
            return False

    assert wait_until(again, 20, 0.2)
    found = ann.call(Product.VPC, "DescribeVpcs", RegionId="cn-hangzhou")
    assert first in [vpc["VpcId"] for vpc in found["Vpcs"]["Vpc"]]
    (tmp_path / "other/cloud").mkdir(parents=True)
    shutil.copy2(tmp_path / "cloud/keyring", tmp_path / "other/cloud")
    second = subprocess.run(
        [*_COMMAND, "--state", tmp_path / "other", "--database", url],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (second.returncode, second.stdout) == (1, "")
    assert "[store.taken]" in second.stderr
    assert running.end() == 0


def test_a_service_whose_database_another_one_took_ends(
    serve: Serve, tmp_path: Path, new_url: str, shared_databases: Databases
) -> None:
    running = serve(tmp_path, "--database", new_url)
    other = Database(new_url)
    running.process.send_signal(signal.SIGSTOP)
    shared_databases.server.sql(
        "SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'"
    )
    with other.claimed():
        running.process.send_signal(signal.SIGCONT)
        assert running.process.wait(30) == 1
    other.close()
    assert "[store.taken]" in running.log.read_text()


def test_the_password_is_in_no_argument_no_log_and_no_childs_environment(
    serve: Serve, tmp_path: Path, new_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = new_url.split("?")[0]
    said = subprocess.run(
        [*_COMMAND, "--state", tmp_path, "--database", plain.replace("@", ":hidden@")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (said.returncode, "[database.password]" in said.stderr) == (2, True)
    assert "hidden" not in said.stdout + said.stderr
    monkeypatch.setenv("PGPASSWORD", KEEPER_PASSWORD)
    running = serve(tmp_path, "--database", plain)
    running.end()
    for file, content in contents(tmp_path):
        assert KEEPER_PASSWORD.encode() not in content, file
