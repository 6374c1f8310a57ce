"""Accounts and access keys: who signs, with what, and what nobody else finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from landbridge.cloud import Cloud, CloudError, accounts, keys
from landbridge.cloud.ownership import owned


def test_a_key_leads_to_its_account_and_secret_also_after_a_restart(
    cloud: Cloud, tmp_path: Path
) -> None:
    with cloud.database.write() as session:
        ann = accounts.create(session, "ann")
        key, secret = keys.create(session, cloud.vault, ann)
    cloud.close()

    again = Cloud.open(tmp_path)
    with again.database.read() as session:
        account, found = keys.authenticate(session, again.vault, key.id)
    again.close()
    assert (account.uid, account.name) == (ann.uid, "ann")
    assert len(str(ann.uid)) == 16
    assert found == secret
    assert len(secret.reveal()) == 30


def test_unknown_and_disabled_keys_are_refused_with_the_vendors_codes(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        key, _ = keys.create(session, cloud.vault, accounts.create(session, "ann"))
        keys.disable(session, key)
    with cloud.database.read() as session:
        with pytest.raises(CloudError) as disabled:
            keys.authenticate(session, cloud.vault, key.id)
        with pytest.raises(CloudError) as unknown:
            keys.authenticate(session, cloud.vault, "LBAKnone")
    assert (disabled.value.code, disabled.value.http) == ("InvalidAccessKeyId.Inactive", 403)
    assert (unknown.value.code, unknown.value.http) == ("InvalidAccessKeyId.NotFound", 404)


def test_a_foreign_thing_is_answered_like_one_that_does_not_exist(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        ann, bob = accounts.create(session, "ann"), accounts.create(session, "bob")
        key, _ = keys.create(session, cloud.vault, ann)
    said = []
    with cloud.database.read() as session:
        assert owned(session, keys.AccessKey, ann, key.id).id == key.id
        for id in (key.id, "LBAKnone"):
            with pytest.raises(CloudError) as refused:
                owned(session, keys.AccessKey, bob, id)
            said.append(refused.value.as_dict())
        assert not keys.every(session, bob)
    assert said[0] == said[1]
