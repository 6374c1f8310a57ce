"""What a tenant has planted in the catalogs is not run by the superusers that move it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_servers import Servers, Source
from fix_standby import synchronizing_task, wait_streaming
from fix_writers import prepare
from landbridge.migration.finish import finish
from landbridge.migration.switchover import switch_over

#: Each fits better than PostgreSQL's own what is asked on the source or on the destination.
TRAPS = (
    ("substr(text, smallint) RETURNS text", "''::text"),
    ("oid_is(oid, integer) RETURNS boolean", "true"),
    ("pg_is_in_recovery() RETURNS boolean", "pg_catalog.pg_is_in_recovery()"),
    ("current_database() RETURNS name", "pg_catalog.current_database()"),
    ("pg_collation_actual_version(oid) RETURNS text", "NULL::text"),
)


def plant(source: Source, dbname: str, settings: str) -> None:
    """Traps in the schema public, as whoever may create something in it."""
    with source.connect(dbname) as conn:
        conn.execute("GRANT CREATE ON SCHEMA public TO mallory")
        conn.execute("SET ROLE mallory")
        for function, answer in TRAPS:
            conn.execute(
                f"CREATE FUNCTION public.{function} LANGUAGE plpgsql AS $$ BEGIN"
                f" RAISE LOG 'caught %', session_user; RETURN {answer}; END $$".encode()
            )
        conn.execute(
            "CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = integer, PROCEDURE = oid_is)"
        )
        if settings:
            conn.execute(f"ALTER DATABASE {dbname} SET {settings}".encode())


@pytest.mark.parametrize("major", [10, 15])
def test_functions_and_operators_of_a_tenant_are_not_run_as_the_superuser(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    prepare(source)
    source.sql("CREATE ROLE mallory")
    source.sql("CREATE DATABASE shop OWNER mallory")
    plant(source, "postgres", "")
    plant(source, "shop", "search_path = public, pg_catalog")
    task = synchronizing_task(servers, state_dir, source, fence="lockout")
    wait_streaming(source, task)
    finish(task, switch_over(task))
    said = [log.read_text() for log in (source.log, task.cluster().log)]
    caught = [line for text in said for line in text.splitlines() if "caught" in line]
    assert caught == []
