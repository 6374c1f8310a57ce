"""What a migration has brought becomes a server of the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_following import promoted, started
from fix_servers import Servers
from landbridge.cloud.migrations.handover import take_over


@pytest.mark.parametrize("major", [11, 17])
def test_no_superuser_comes_along_also_where_the_first_is_called_like_ours(
    servers: Servers, state_dir: Path, major: int
) -> None:
    source = servers.source(major)
    assert source.superuser == "pgsql"
    source.sql("CREATE ROLE mallory LOGIN SUPERUSER")
    source.sql("CREATE ROLE oscar LOGIN")
    source.sql("GRANT pgsql TO oscar WITH ADMIN OPTION")
    task = started(servers, source, state_dir)
    promoted(task)
    take_over(task)
    with task.cluster().connect() as conn:
        found = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles WHERE rolsuper")}
        members = conn.execute(
            "SELECT member::regrole::text FROM pg_auth_members m JOIN pg_roles r"
            " ON r.oid = m.roleid WHERE r.rolsuper"
        ).fetchall()
    assert (found, members) == ({"pgsql", "aurora"}, [])
