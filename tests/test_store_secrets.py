"""Secrets at rest: the key file, sealing, another key."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from landbridge.cloud import Cloud
from landbridge.errors import StoreFailed
from landbridge.store import Keyring, Vault

SECRET = "correct horse battery"


def _kept(cloud: Cloud, secret: str = SECRET) -> int:
    with cloud.database.write() as session:
        return cloud.vault.keep(session, secret)


def _revealed(cloud: Cloud, id: int) -> str:
    with cloud.database.read() as session:
        return cloud.vault.reveal(session, id)


def test_no_file_but_the_key_file_opens_a_secret(cloud: Cloud) -> None:
    id = _kept(cloud)
    assert _revealed(cloud, id) == SECRET
    files = list(cloud.folder.iterdir())
    assert {"keyring", "landbridge.sqlite", "landbridge.sqlite-wal"} <= {f.name for f in files}
    for file in files:
        assert SECRET.encode() not in file.read_bytes(), file
        assert file.stat().st_mode & 0o077 == 0, file
    assert cloud.folder.stat().st_mode & 0o077 == 0


def test_a_key_file_that_others_may_read_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    id = _kept(cloud)
    (cloud.folder / "keyring").chmod(0o640)
    for use in (lambda: _revealed(cloud, id), lambda: Cloud.open(tmp_path)):
        with pytest.raises(StoreFailed) as refused:
            use()
        assert refused.value.id == "keyring.open"
        assert "chmod 600" in (refused.value.remedy or "")


def test_a_lost_key_file_is_not_replaced_while_secrets_need_it(
    cloud: Cloud, tmp_path: Path
) -> None:
    (cloud.folder / "keyring").unlink()
    Cloud.open(tmp_path).close()  # nothing is sealed yet
    _kept(cloud)
    (cloud.folder / "keyring").unlink()
    with pytest.raises(StoreFailed) as lost:
        Cloud.open(tmp_path)
    assert lost.value.id == "keyring.missing"
    assert not (cloud.folder / "keyring").exists()


def test_another_key_file_is_noticed(cloud: Cloud) -> None:
    id = _kept(cloud)
    (cloud.folder / "keyring").unlink()
    Keyring(cloud.folder / "keyring").create()
    with pytest.raises(StoreFailed) as foreign:
        _revealed(cloud, id)
    assert foreign.value.id == "keyring.foreign"
    (cloud.folder / "keyring").write_text("nonsense\n")
    with pytest.raises(StoreFailed) as damaged:
        _revealed(cloud, id)
    assert damaged.value.id == "keyring.damaged"


def test_resealed_secrets_need_the_new_key_alone_and_a_running_process_notices(
    cloud: Cloud, tmp_path: Path
) -> None:
    ids = [_kept(cloud, f"{SECRET} {n}") for n in range(3)]
    old = (cloud.folder / "keyring").read_text().split()
    running = Cloud.open(tmp_path)
    assert _revealed(running, ids[0]) == f"{SECRET} 0"  # it has read the old key

    assert cloud.vault.reseal(cloud.database) == 3

    new = (cloud.folder / "keyring").read_text().split()
    assert len(new) == 1 and new != old
    assert (cloud.folder / "keyring").stat().st_mode & 0o777 == 0o600
    later = _kept(running, "sealed by the other process")
    for n, id in enumerate(ids):
        assert _revealed(running, id) == f"{SECRET} {n}"
    assert _revealed(cloud, later) == "sealed by the other process"
    running.close()


def test_a_reseal_that_is_interrupted_loses_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = _kept(cloud)
    for name in ("_open", "_seal"):  # before and after the new key is in the file
        with monkeypatch.context() as patch:
            patch.setattr(Vault, name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                cloud.vault.reseal(cloud.database)
        assert _revealed(cloud, id) == SECRET
    assert cloud.vault.reseal(cloud.database) == 1
    assert _revealed(cloud, id) == SECRET
    assert len((cloud.folder / "keyring").read_text().split()) == 1


def test_two_first_starts_end_with_one_key(tmp_path: Path) -> None:
    opened: list[Cloud] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Cloud.open(tmp_path))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    id = _kept(opened[0])
    assert {_revealed(each, id) for each in opened} == {SECRET}
    for each in opened:
        each.close()


def test_a_secret_can_be_replaced_and_forgotten(cloud: Cloud) -> None:
    id = _kept(cloud)
    with cloud.database.write() as session:
        cloud.vault.replace(session, id, "another")
    assert _revealed(cloud, id) == "another"
    with cloud.database.write() as session:
        cloud.vault.forget(session, id)
        cloud.vault.forget(session, id)
    with pytest.raises(StoreFailed) as unknown:
        _revealed(cloud, id)
    assert unknown.value.id == "secret.unknown"
