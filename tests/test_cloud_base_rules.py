"""What the base of the control plane refuses: names, replays, reused tokens; regions, the trail."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

from landbridge.api.table import ACTIONS
from landbridge.cloud import Cloud, CloudError, accounts, audit, idempotency, ids, names, replay
from landbridge.cloud import regions as places
from landbridge.cloud.errors import CODES
from landbridge.cloud.remedies import REMEDIES

SOURCE = Path(__file__).parent.parent / "src/landbridge"


def test_every_code_that_is_raised_or_declared_is_in_the_table() -> None:
    used = set()
    for path in [*SOURCE.glob("cloud/**/*.py"), *SOURCE.glob("api/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if called and node.func.id == "CloudError" and node.args:
                code = node.args[0]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "not_found":
                code = node.value
            else:
                continue
            if isinstance(code, ast.Constant):
                used.add(code.value)
    assert "InvalidAccessKeyId.NotFound" in used
    assert used <= set(CODES)


def test_every_code_has_a_status_of_an_error_and_a_sentence() -> None:
    for code, (http, message) in CODES.items():
        assert 400 <= http <= 599, code
        assert message.endswith("."), code


@pytest.mark.parametrize("good", ["", None, "ab", "a" * 128, "Cen_1-x", "中文名"])
def test_names_of_the_older_generation(good: str | None) -> None:
    assert names.CEN_NAME.check(good, "InvalidName") == (good or "")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("a", "2 to 128"), ("a" * 129, "2 to 128"), ("1a", "a letter"), ("_a", "a letter"),
        ("a b", "letters, digits"), ("a.b", "letters, digits"), ("a\n", "letters, digits"),
    ],
)  # fmt: skip
def test_names_that_break_the_older_rule(bad: str, why: str) -> None:
    with pytest.raises(CloudError, match=why) as refused:
        names.CEN_NAME.check(bad, "InvalidName")
    assert (refused.value.code, refused.value.http) == ("InvalidName", 400)


#: Messages that are the rule itself, or name what is wrong where it is refused.
SAYS_ALL = re.compile(
    r"(MissingParameter|InvalidParameter|InvalidName|InvalidDescription|DryRunOperation|SignInFailed"
    r"|Invalid(VpcName|VpcDiscription|VSwitchName|VSwitchDescription|DBInstanceDescription|UserName"
    r"|Password|AccountName|AccountPassword|AccountDescription)[.]Malformed"
    r"|InvalidDBInstanceIPArrayName[.]Format|IllegalParam[.](ChargeType|BandwidthType)"
    r"|ParameterIllegal[.].*DefaultLinkType.*|OperationUnsupported[.].*"
    r"|OperationDenied[.]ServiceSession)"
)


def test_every_refusal_says_what_to_do_next() -> None:
    assert set(REMEDIES) < set(CODES)
    silent = [code for code in CODES if code not in REMEDIES and not SAYS_ALL.fullmatch(code)]
    assert not silent
    verbs = (
        "Describe|List|Create|Delete|Modify|Update|Attach|Detach|Grant|Revoke|Open|Renew|Disable"
    )
    known = {action.name for action in ACTIONS}
    for code, remedy in REMEDIES.items():
        assert set(re.findall(rf"\b(?:{verbs})[A-Z]\w+", remedy)) <= known, code
    assert "DescribeVSwitches" in (CloudError("InvalidVSwitchId.NotFound").remedy or "")
    assert CloudError("InvalidVSwitchId.NotFound", remedy="Ask.").remedy == "Ask."


def test_names_and_descriptions_of_the_newer_generation() -> None:
    assert names.NETWORK_NAME.check("7 bridges, east", "InvalidVpcName.Malformed")
    for bad in ("http://a", "HTTPS://b", "x" * 129, "a\x00b"):
        with pytest.raises(CloudError):
            names.NETWORK_NAME.check(bad, "InvalidVpcName.Malformed")
    assert names.CEN_DESCRIPTION.check("see http://a", "InvalidDescription")
    for bad in ("x", "https://a", "x" * 257):
        with pytest.raises(CloudError):
            names.CEN_DESCRIPTION.check(bad, "InvalidDescription")


def test_ids_look_like_the_vendors() -> None:
    assert re.fullmatch(r"cen-[a-z][a-z0-9]{17}", ids.new("cen"))
    assert re.fullmatch(r"tr-attach-[a-z][a-z0-9]{17}", ids.new("tr-attach"))
    assert all(re.fullmatch(r"1[0-9]{15}", str(ids.new_uid())) for _ in range(100))
    id, secret = ids.new_access_key()
    assert re.fullmatch(r"LBAK[A-Za-z0-9]{20}", id)
    assert re.fullmatch(r"[A-Za-z0-9]{30}", secret)


def test_a_nonce_counts_once_for_a_key_also_for_the_next_service(tmp_path: Path) -> None:
    now = replay.utcnow()
    nonces = replay.Nonces(tmp_path / "nonces")
    nonces.use("LBAKa", "n", now, lasting=False)
    nonces.use("LBAKb", "n", now - replay.WINDOW, lasting=True)
    for service in (nonces, replay.Nonces(tmp_path / "nonces")):  # the first was not ended
        for key in ("LBAKa", "LBAKb"):
            for at in (now, now + replay.WINDOW):
                with pytest.raises(CloudError) as used:
                    service.use(key, "n", at, lasting=False)
                assert used.value.code == "SignatureNonceUsed"
        for bad in ("", "n" * 129, "\u00e4", "\n"):
            with pytest.raises(CloudError):
                service.use("LBAKa", bad, now, lasting=False)
        service.close()


def test_nonces_are_forgotten_once_their_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = replay.utcnow()
    nonces = replay.Nonces(tmp_path / "nonces")
    for minutes in range(0, 120, 5):
        now = begun + timedelta(minutes=minutes)
        monkeypatch.setattr(replay, "utcnow", lambda now=now: now)
        nonces.use("LBAKa", f"n{minutes}", now, lasting=False)
        assert len(list((tmp_path / "nonces").iterdir())) <= 6
        for earlier in range(max(0, minutes - 15), minutes + 5, 5):
            with pytest.raises(CloudError):
                nonces.use("LBAKa", f"n{earlier}", now, lasting=False)
    nonces.close()


def test_what_else_lies_among_the_nonces_is_left_alone(tmp_path: Path) -> None:
    now, folder = replay.utcnow(), tmp_path / "nonces"
    nonces = replay.Nonces(folder)
    nonces.use("LBAKa", "n", now, lasting=False)
    nonces.close()
    strangers = [folder / name for name in (".nfs01", "5837~", "\u0665", "lost+found")]
    for stranger in strangers:
        stranger.write_text("a stray file")
    again = replay.Nonces(folder)
    with pytest.raises(CloudError):
        again.use("LBAKa", "n", now, lasting=False)
    again.close()
    assert all(stranger.read_text() == "a stray file" for stranger in strangers)


def test_a_nonce_that_a_full_disk_left_half_written_is_cut_off(tmp_path: Path) -> None:
    now = replay.utcnow()
    replay.Nonces(tmp_path / "nonces").use("LBAKa", "n", now, lasting=False)
    (file,) = (tmp_path / "nonces").iterdir()
    with file.open("ab") as half:
        half.write(b"half")
    again = replay.Nonces(tmp_path / "nonces")
    again.use("LBAKa", "m", now, lasting=False)
    again.close()
    with pytest.raises(CloudError):
        replay.Nonces(tmp_path / "nonces").use("LBAKa", "m", now, lasting=False)


def test_a_client_token_gives_the_same_answer_to_its_account_alone(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, answer = {"VpcName": "a", "RegionId": "cn-hangzhou"}, {"VpcId": "vpc-1"}
    with cloud.database.write() as session:
        ann, bob = accounts.create(session, "ann"), accounts.create(session, "bob")
        assert idempotency.recall(session, ann, "vpc.CreateVpc", "t", given) is None
        idempotency.remember(session, ann, "vpc.CreateVpc", "t", given, answer)
    turned = dict(reversed(given.items()))
    with cloud.database.read() as session:
        assert idempotency.recall(session, ann, "vpc.CreateVpc", "t", turned) == answer
        assert idempotency.recall(session, bob, "vpc.CreateVpc", "t", given) is None
        assert idempotency.recall(session, ann, "vpc.DeleteVpc", "t", given) is None
        with pytest.raises(CloudError) as differs:
            idempotency.recall(session, ann, "vpc.CreateVpc", "t", {**given, "VpcName": "b"})
        assert differs.value.code == "IdempotentParameterMismatch"
        for bad in ("", "é", "x" * 65):
            with pytest.raises(CloudError):
                idempotency.recall(session, ann, "vpc.CreateVpc", bad, given)
    later = idempotency.utcnow() + idempotency.KEPT + timedelta(seconds=1)
    monkeypatch.setattr(idempotency, "utcnow", lambda: later)
    with cloud.database.write() as session:
        assert idempotency.recall(session, ann, "vpc.CreateVpc", "t", given) is None
        idempotency.remember(session, ann, "vpc.CreateVpc", "t", given, {"VpcId": "vpc-2"})


def test_regions_zones_and_areas_belong_together() -> None:
    found = places.regions()
    assert {"cn-beijing", "cn-hangzhou"} <= set(found)
    assert {region.area.id for region in found.values()} == set(places.areas())
    zones = [zone for region in found.values() for zone in region.zones]
    assert len(zones) == len(set(zones))
    for region in found.values():
        assert region.zones and all(zone.startswith(region.id) for zone in region.zones)
    hangzhou = places.region("cn-hangzhou")
    assert places.require_zone(hangzhou, "cn-hangzhou-h") == "cn-hangzhou-h"
    assert hangzhou.zone_name("cn-hangzhou-h") == "China (Hangzhou) Zone H"
    with pytest.raises(CloudError) as refused:
        places.require_zone(hangzhou, "cn-beijing-h", "IllegalParam.ZoneId")
    assert refused.value.code == "IllegalParam.ZoneId"
    with pytest.raises(CloudError):
        places.region("cn-nowhere")
    with pytest.raises(CloudError):
        places.area("Atlantis")


def test_the_trail_of_an_account_holds_its_own_entries_newest_first(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        ann, bob = accounts.create(session, "ann"), accounts.create(session, "bob")
        for n in range(3):
            audit.record(session, f"vpc.Act{n}", "127.0.0.1", account_uid=ann.uid)
        audit.record(
            session, "rds.Act", "127.0.0.1", account_uid=bob.uid, outcome="InvalidParameter"
        )
        audit.record(session, "rds." + "x" * 500, "nobody", outcome="SignatureDoesNotMatch")
    with cloud.database.read() as session:
        entries = audit.trail(session, ann, limit=2)
        assert [entry.action for entry in entries] == ["vpc.Act2", "vpc.Act1"]
        (only,) = audit.trail(session, bob)
    assert (only.outcome, only.account_uid) == ("InvalidParameter", bob.uid)
