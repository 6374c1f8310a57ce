"""What a migration has brought becomes a server of the service."""

from __future__ import annotations

from pathlib import Path

from fix_following import promoted, started
from fix_servers import Servers
from landbridge.cloud.migrations.handover import take_over


def test_no_superuser_comes_along_also_where_the_first_is_called_like_ours(
    servers: Servers, state_dir: Path
) -> None:
    source = servers.source(15)
    assert source.superuser == "pgsql"
    source.sql("CREATE ROLE mallory LOGIN SUPERUSER")
    task = started(servers, source, state_dir)
    promoted(task)
    take_over(task)
    with task.cluster().connect() as conn:
        found = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles WHERE rolsuper")}
    assert found == {"pgsql", "aurora"}
