"""`landbridge account`: made, listed, rotated and disabled through the state directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fix_cli import Called, Cli
from landbridge.cloud import Cloud, CloudError, keys


def _authenticated(state: Path, key: str) -> tuple[int, str]:
    """UID and secret, as the service would find them."""
    cloud = Cloud.open(state)
    try:
        with cloud.database.read() as session:
            account, secret = keys.authenticate(session, cloud.vault, key)
            return account.uid, secret.reveal()
    finally:
        cloud.close()


def test_an_account_is_created_and_its_secret_shown_once(state_dir: Path, cli: Cli) -> None:
    made = cli("account", "create", "ann", "--json").object
    uid, key = made["account"]["uid"], made["access_key"]
    assert len(str(uid)) == 16
    assert _authenticated(state_dir, key["id"]) == (uid, key["secret"])
    for again in (("list",), ("keys", uid), ("keys", "ann"), ("trail", uid)):
        for mode in ((), ("--json",)):
            called = cli("account", *again, *mode)
            assert called.code == 0
            assert key["secret"] not in called.out + called.err
    assert cli("account", "list", "--json").object["accounts"][0]["active_keys"] == 1
    told = cli("account", "create", "bob").out
    assert "once" in told and "LBAK" in told


def test_a_key_is_replaced_at_once_or_later(state_dir: Path, cli: Cli) -> None:
    made = cli("account", "create", "ann", "--json").object
    uid, first = made["account"]["uid"], made["access_key"]["id"]

    second = cli("account", "rotate", first, "--keep-old", "--json").object["access_key"]
    assert _authenticated(state_dir, first)[0] == uid
    assert _authenticated(state_dir, second["id"]) == (uid, second["secret"])

    third = cli("account", "rotate", second["id"], "--json").object
    assert third["old"]["status"] == "Inactive"
    assert cli("account", "disable", first).code == 0
    for gone in (first, second["id"]):
        with pytest.raises(CloudError):
            _authenticated(state_dir, gone)
    listed = cli("account", "keys", uid, "--json").object["access_keys"]
    assert [key["status"] for key in listed] == ["Inactive", "Inactive", "Active"]
    done = cli("account", "trail", uid, "--json").object["entries"]
    assert [entry["action"] for entry in done] == [
        "account.disable", "account.rotate", "account.rotate", "account.create",
    ]  # fmt: skip
    assert done[0]["source"].startswith("local:")


def test_resealing_changes_no_access_key(state_dir: Path, cli: Cli) -> None:
    made = cli("account", "create", "ann", "--json").object
    before = (state_dir / "cloud/keyring").read_bytes()
    assert cli("account", "reseal", "--json").object["secrets"] == 1
    assert (state_dir / "cloud/keyring").read_bytes() != before
    key = made["access_key"]
    assert _authenticated(state_dir, key["id"])[1] == key["secret"]


def _refused(called: Called, id: str) -> str:
    assert called.code == 1
    assert called.object["error"]["id"] == id
    return str(called.object["error"]["remedy"])


def test_what_is_wrong_is_said_with_a_stable_id(state_dir: Path, cli: Cli) -> None:
    cli("account", "create", "ann")
    _refused(cli("account", "create", "ann", "--json"), "EntityAlreadyExists.Account")
    assert "letter" in _refused(cli("account", "create", "1a", "--json"), "InvalidParameter")
    assert "account list" in _refused(
        cli("account", "keys", "bob", "--json"), "EntityNotExist.Account"
    )
    _refused(cli("account", "disable", "LBAKx", "--json"), "InvalidAccessKeyId.NotFound")
    (state_dir / "cloud/keyring").chmod(0o644)
    assert "chmod 600" in _refused(cli("account", "list", "--json"), "keyring.open")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_accounts_state_is_not_worked_on(state_dir: Path, cli: Cli) -> None:
    cli("account", "create", "ann")
    os.chown(state_dir / "cloud", 65534, 65534)
    assert "sudo -u" in _refused(cli("account", "list", "--json"), "state.foreign")
