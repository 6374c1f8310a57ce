"""Connection strings never give their password away."""

from __future__ import annotations

import doctest
import pickle
from pathlib import Path

import pytest

from landbridge.errors import LandbridgeError, UsageError
from landbridge.postgres import cluster, conninfo, lsn
from landbridge.postgres.conninfo import Conninfo

PASSWORD = "s3cr3t:with\\odd'signs @/"


@pytest.mark.parametrize("module", [conninfo, lsn, cluster], ids=lambda m: m.__name__)
def test_examples_in_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_no_text_form_reveals_the_password() -> None:
    made = Conninfo.parse("host=h user=u dbname=d").with_password(PASSWORD)
    texts = (str(made), repr(made), f"{made}", str(made.public()), made.render(), str([made]))
    assert not any("s3cr3t" in text for text in texts)


def test_password_hidden_in_uri_parameters_is_found() -> None:
    made = Conninfo.parse("postgresql://u@h/d?password=s3cr3t")
    assert made.password is not None
    assert made.password.reveal() == "s3cr3t"
    assert "s3cr3t" not in str(made)


def test_unreadable_string_is_not_echoed() -> None:
    with pytest.raises(UsageError) as caught:
        Conninfo.parse("host=h password='s3cr3t")
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.id == "conninfo.invalid"


def test_failed_connection_names_the_server_but_no_password() -> None:
    made = Conninfo.parse("host=127.0.0.1 port=1 user=u").with_password(PASSWORD)
    with pytest.raises(LandbridgeError) as caught:
        made.connect()
    assert "port=1" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_passfile_is_private_and_escaped(tmp_path: Path) -> None:
    path = tmp_path / "x.pgpass"
    Conninfo.parse("user=a:b").with_password(PASSWORD).write_passfile(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "*:*:*:a\\:b:s3cr3t\\:with\\\\odd'signs @/\n"
    found = Conninfo.parse(f"host=nowhere user=a:b passfile={path}").resolve_password()
    assert found.password is not None
    assert found.password.reveal() == PASSWORD


def test_environment_password_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    found = Conninfo.parse("host=nowhere user=u").resolve_password()
    assert found.password is not None
    assert found.password.reveal() == PASSWORD


def test_secret_survives_nothing_but_reveal() -> None:
    secret = conninfo.Secret(PASSWORD)
    assert "s3cr3t" not in f"{secret} {secret!r}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_resolved_place_needs_no_service_file_and_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = tmp_path / "services"
    services.write_text("[away]\nhost=127.0.0.1\nport=1\nuser=ann\ndbname=app\nsslmode=disable\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGSSLROOTCERT", "/ca.pem")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("PGAPPNAME", "somebody")
    found = Conninfo.parse("service=away dbname=other").resolve()
    assert found.parameters == {
        "host": "127.0.0.1", "port": "1", "user": "ann", "dbname": "other",
        "sslmode": "disable", "sslrootcert": "/ca.pem",
    }  # fmt: skip
    assert found.password is None


def test_what_a_session_is_for_is_not_taken_from_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is fenced is read-only, and still has to let us in."""
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-write")
    given = Conninfo.parse(
        "host=h user=u target_session_attrs=read-write replication=database"
        " client_encoding=LATIN1 application_name=app"
    )
    for found in (given, given.resolve()):
        assert {"host", "user"} <= found.parameters.keys() <= {"host", "user", "port", "dbname"}
        assert found.keywords()["target_session_attrs"] == "any"
