"""A source that is reached over TLS: the server's account gets the files it needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fix_following import copied, sample_until
from fix_servers import Servers, Source
from landbridge.migration.follow import Follower
from landbridge.migration.standby import connection, start_standby


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    cert, key = folder / "server.crt", folder / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def switch_tls_on(source: Source, cert: Path, key: Path) -> None:
    for path, name in ((cert, "server.crt"), (key, "server.key")):
        source.account.write(source.data / name, path.read_text())
    source.sql("ALTER SYSTEM SET ssl = on")
    source.reload()


@pytest.mark.parametrize("major", [10, 15])
def test_stream_is_encrypted_and_the_server_verified(
    servers: Servers, state_dir: Path, tmp_path: Path, major: int
) -> None:
    source = servers.source(major)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    cert, key = certificate(private)
    switch_tls_on(source, cert, key)
    conninfo = source.conninfo().with_(sslmode="verify-full", sslrootcert=str(cert))
    task = copied(servers, source, state_dir, conninfo=conninfo)
    start_standby(task)
    follower = Follower(task)
    sample_until(follower, lambda s: s.caught_up)
    follower.close()
    assert source.sql(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)"
        f" WHERE application_name = '{task.slot}'"
    ) == [(True,)]
    copy = task.cluster().side / "primary.sslrootcert"
    assert copy.stat().st_mode & 0o777 == 0o600
    connection.remove_files(task.cluster())
    assert not copy.exists()
