"""A data directory and its server, on every major of this machine."""

from __future__ import annotations

import pytest

from fix_servers import Servers, majors


@pytest.mark.parametrize("major", majors())
def test_cluster_lives_and_ends(servers: Servers, major: int) -> None:
    source = servers.source(major)
    assert source.process() is not None
    ((version,),) = source.sql("SHOW server_version_num")
    assert int(version) // 10000 == major
    with source.conninfo().connect() as conn:
        assert conn.execute("SELECT current_user").fetchone() == ("migrator",)
    source.stop()
    assert source.process() is None
