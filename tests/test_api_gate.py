"""Who may pass: forged, changed, replayed and late calls, and what they are told."""

from __future__ import annotations

import base64
import hmac
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fix_api import Running, Tenant
from landbridge.api import client
from landbridge.api.action import Product
from landbridge.api.signature import acs3_string, canonical_query, encode
from landbridge.cloud import Cloud, Secret, keys

Headers = dict[str, str]


def send(
    tenant: Tenant, headers: Headers, query: str = "", body: bytes | None = None, method: str = ""
) -> tuple[int, dict[str, Any]]:
    """Send exactly this; status and JSON of the answer."""
    request = urllib.request.Request(
        f"http://{tenant.endpoint}/?{query}", body, headers, method=method or None
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            assert error.headers["content-type"] == "application/json"
            return error.code, json.load(error)


def newer(tenant: Tenant, action: str = "GetCallerIdentity", **changes: str) -> Headers:
    """Headers of a call without parameters, signed after `changes` were made to them."""
    key = client.Credentials(tenant.key_id, Secret(tenant.secret))
    made = client.sign("POST", tenant.endpoint, key, Product.STS.value, action, {})
    return signed_again(tenant, {**made, **{n.replace("_", "-"): t for n, t in changes.items()}})


def signed_again(tenant: Tenant, headers: Headers) -> Headers:
    """The same headers under a signature that fits all of them that begin with x-acs."""
    names = sorted(n for n in headers if n.startswith("x-acs-") or n == "host")
    text = acs3_string("POST", (), headers, names, b"")
    made = hmac.digest(tenant.secret.encode(), text.encode(), "sha256").hex()
    said = f"Credential={tenant.key_id},SignedHeaders={';'.join(names)},Signature={made}"
    return {**headers, "authorization": f"ACS3-HMAC-SHA256 {said}"}


def older(tenant: Tenant, secret: str = "", **changes: str) -> str:
    """The query of a call in the older way."""
    given = {
        "Action": "GetCallerIdentity", "Version": Product.STS.value, "Format": "JSON",
        "AccessKeyId": tenant.key_id, "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex, "Timestamp": moment(),
    } | changes  # fmt: skip
    text = f"GET&%2F&{encode(canonical_query(sorted(given.items())))}"
    digest = "sha256" if given["SignatureMethod"] == "HMAC-SHA256" else "sha1"
    made = hmac.digest(f"{secret or tenant.secret}&".encode(), text.encode(), digest)
    return canonical_query({**given, "Signature": base64.b64encode(made).decode()}.items())


def moment(minutes: float = 0) -> str:
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def refused(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    status, body = answer
    assert set(body) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    return status, body["Code"]


def test_good_calls_of_both_generations_pass(tenant: Tenant) -> None:
    for status, body in (
        send(tenant, newer(tenant), method="POST"),
        send(tenant, {}, older(tenant)),
        send(tenant, {}, older(tenant, SignatureMethod="HMAC-SHA256", SignatureType="")),
    ):
        assert (status, body["AccountId"]) == (200, str(tenant.uid))


def test_a_wrong_secret_is_refused_and_told_what_was_to_be_signed(tenant: Tenant) -> None:
    liar = Tenant(tenant.endpoint, tenant.uid, tenant.key_id, "x" * 30)
    for answer in (
        send(tenant, newer(liar), method="POST"),
        send(tenant, {}, older(tenant, secret="x" * 30)),
    ):
        assert refused(answer) == (400, "SignatureDoesNotMatch")
        assert " server string to sign is:" in answer[1]["Message"]


@pytest.mark.parametrize("header", ["x-acs-action", "x-acs-version", "x-acs-date", "host"])
def test_a_signed_header_cannot_be_changed(tenant: Tenant, header: str) -> None:
    changed = {
        "x-acs-action": "DescribeRegions", "x-acs-version": Product.VPC.value,
        "x-acs-date": moment(1), "host": "elsewhere:80",
    }  # fmt: skip
    headers = newer(tenant)
    if header in ("x-acs-action", "x-acs-version"):  # both, so that the action exists
        headers |= {n: changed[n] for n in ("x-acs-action", "x-acs-version")}
    else:
        headers[header] = changed[header]
    answer = send(tenant, headers, method="POST")
    assert refused(answer) == (400, "SignatureDoesNotMatch")


def test_what_decides_the_call_must_be_signed(tenant: Tenant) -> None:
    for header in ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"):
        headers = newer(tenant)
        headers["authorization"] = headers["authorization"].replace(f";{header}", "", 1)
        assert refused(send(tenant, headers, method="POST")) == (400, "IncompleteSignature")
    unsigned_token = newer(tenant) | {"x-acs-security-token": "t"}
    assert refused(send(tenant, unsigned_token, method="POST")) == (400, "IncompleteSignature")


def test_parameters_cannot_be_added_or_changed(tenant: Tenant) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for answer in (
        send(tenant, newer(tenant), "RegionId=x", method="POST"),
        send(tenant, newer(tenant) | form, body=b"RegionId=x"),
        send(tenant, {}, older(tenant) + "&RegionId=x"),
        send(tenant, {}, older(tenant, RegionId="x").replace("RegionId=x", "RegionId=y")),
        send(tenant, form, older(tenant), body=b"RegionId=x"),
    ):
        assert refused(answer) == (400, "SignatureDoesNotMatch")


def test_a_call_counts_once_also_after_it_was_refused(tenant: Tenant) -> None:
    headers, query = newer(tenant), older(tenant)
    assert send(tenant, headers, method="POST")[0] == send(tenant, {}, query)[0] == 200
    assert refused(send(tenant, headers, method="POST")) == (400, "SignatureNonceUsed")
    assert refused(send(tenant, {}, query)) == (400, "SignatureNonceUsed")
    query = older(tenant, Action="DescribeZones", Version=Product.VPC.value)
    assert refused(send(tenant, {}, query)) == (400, "MissingParameter")
    assert refused(send(tenant, {}, query)) == (400, "SignatureNonceUsed")


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (lambda: moment(-16), "InvalidTimeStamp.Expired"),
        (lambda: moment(16), "InvalidTimeStamp.Expired"),
        (lambda: "yesterday", "IllegalTimestamp"),
        (lambda: "2026-01-01 00:00:00", "IllegalTimestamp"),
    ],
)
def test_a_clock_far_off_is_refused(tenant: Tenant, at: Callable[[], str], code: str) -> None:
    assert refused(send(tenant, newer(tenant, x_acs_date=at()), method="POST")) == (400, code)
    assert refused(send(tenant, {}, older(tenant, Timestamp=at()))) == (400, code)


def test_a_clock_a_little_off_passes(tenant: Tenant) -> None:
    for minutes in (-14, 14):
        assert send(tenant, newer(tenant, x_acs_date=moment(minutes)), method="POST")[0] == 200


def test_unknown_and_disabled_keys_are_refused(tenant: Tenant, service: Running) -> None:
    nobody = Tenant(tenant.endpoint, tenant.uid, "LBAKnobody", tenant.secret)
    assert refused(send(tenant, newer(nobody), method="POST")) == (
        404,
        "InvalidAccessKeyId.NotFound",
    )

    cloud = Cloud.open(service.state)
    with cloud.database.write() as session:
        keys.disable(session, keys.find(session, tenant.key_id))
    cloud.close()
    assert refused(send(tenant, newer(tenant), method="POST")) == (
        403,
        "InvalidAccessKeyId.Inactive",
    )


def test_incomplete_signatures_are_told_apart(tenant: Tenant) -> None:
    headers = newer(tenant)
    for said in (
        "Basic abc",
        headers["authorization"].replace("SHA256", "SM3"),
        "ACS3-HMAC-SHA256",
    ):
        answer = send(tenant, headers | {"authorization": said}, method="POST")
        assert refused(answer) == (400, "IncompleteSignature")
    for changes, code in (
        ({"SignatureMethod": "HMAC-MD5"}, "IncompleteSignature"),
        ({"SignatureVersion": "2.0"}, "IncompleteSignature"),
        ({"SignatureNonce": ""}, "MissingParameter"),
        ({"AccessKeyId": ""}, "MissingParameter"),
        ({"Timestamp": ""}, "MissingParameter"),
    ):
        assert refused(send(tenant, {}, older(tenant, **changes))) == (400, code)
    assert refused(send(tenant, {}, older(tenant) + "!")) == (400, "IncompleteSignature")


def test_unknown_actions_and_versions_have_their_codes(tenant: Tenant) -> None:
    for changes, expected in (
        ({"Action": "Nonsense"}, (404, "InvalidAction.NotFound")),
        ({"Action": "DescribeZones"}, (404, "InvalidAction.NotFound")),  # of another product
        ({"Version": "1999-01-01"}, (400, "InvalidVersion")),
        ({"Action": ""}, (400, "MissingParameter")),
        ({"Version": ""}, (400, "MissingParameter")),
    ):
        assert refused(send(tenant, {}, older(tenant, **changes))) == expected
    unnamed = newer(tenant)
    del unnamed["x-acs-action"]
    answer = send(tenant, unnamed, "Action=GetCallerIdentity", method="POST")
    assert refused(answer) == (400, "MissingParameter")


def test_a_parameter_given_twice_is_refused_rather_than_chosen(tenant: Tenant) -> None:
    query = older(tenant) + "&Action=DescribeRegions"
    assert refused(send(tenant, {}, query)) == (400, "InvalidParameter")


def trail(service: Running, tenant: Tenant) -> list[tuple[str, Any, str]]:
    """What the trail of an account says, oldest first."""
    entries = service.trail(tenant)[::-1]
    assert all(e["access_key"] == tenant.key_id and e["request_id"] for e in entries)
    return [(e["action"], e["resource"], e["outcome"]) for e in entries]


def create_vpc(tenant: Tenant, query: str) -> tuple[int, dict[str, Any]]:
    """A signed CreateVpc with just this query."""
    headers = newer(tenant, "CreateVpc", x_acs_version=Product.VPC.value)
    names = sorted(n for n in headers if n.startswith("x-acs-") or n == "host")
    text = acs3_string("POST", parse_qsl(query), headers, names, b"")
    made = hmac.digest(tenant.secret.encode(), text.encode(), "sha256").hex()
    said = f"Credential={tenant.key_id},SignedHeaders={';'.join(names)},Signature={made}"
    return send(tenant, headers | {"authorization": f"ACS3-HMAC-SHA256 {said}"}, query, b"", "POST")


def test_every_refused_change_is_in_the_trail(tenant: Tenant, service: Running) -> None:
    older_way = {"Action": "DeleteVpc", "Version": Product.VPC.value, "VpcId": "vpc-\0"}
    for answer in (
        create_vpc(tenant, "RegionId=cn-hangzhou&VpcName=%00"),
        create_vpc(tenant, "RegionId=cn-hangzhou&RegionId=cn-beijing"),
        create_vpc(tenant, "CidrBlock=10.0.0.0/16"),
        send(tenant, {}, older(tenant, **older_way)),
    ):
        assert answer[0] == 400, answer
    assert trail(service, tenant) == [
        ("vpc.CreateVpc", None, "InvalidParameter"),
        ("vpc.CreateVpc", None, "InvalidParameter"),
        ("vpc.CreateVpc", None, "MissingParameter"),
        ("vpc.DeleteVpc", "vpc-\N{REPLACEMENT CHARACTER}", "InvalidParameter"),
    ]


def test_calls_that_do_not_prove_the_key_are_in_its_owners_trail_once_a_minute(
    tenant: Tenant, service: Running
) -> None:
    liar = Tenant(tenant.endpoint, tenant.uid, tenant.key_id, "x" * 30)
    doubled = older(tenant) + "&Action=DescribeRegions"
    for answer in (
        *(send(tenant, newer(liar), method="POST") for _ in range(3)),
        send(tenant, {}, older(tenant, Timestamp=moment(-16))),
        send(tenant, {}, older(tenant, Action="Nonsense")),
        send(tenant, {}, doubled),
        send(tenant, newer(tenant), "VpcName=%FF", method="POST"),
        send(tenant, newer(Tenant(tenant.endpoint, 1, "LBAKnobody", "x")), method="POST"),
    ):
        assert 400 <= answer[0] < 500, answer
    assert trail(service, tenant) == [
        ("sts.GetCallerIdentity", None, "SignatureDoesNotMatch"),
        ("sts.GetCallerIdentity", None, "InvalidTimeStamp.Expired"),
        ("unknown", None, "InvalidAction.NotFound"),
        ("unknown", None, "InvalidParameter"),
    ]


def test_what_no_database_could_keep_is_refused(tenant: Tenant) -> None:
    assert refused(send(tenant, {}, older(tenant, AccessKeyId="LBAK\0")))[0] == 404
    assert refused(send(tenant, {}, older(tenant, SignatureNonce="n\0"))) == (
        400,
        "InvalidParameter",
    )
    odd = newer(tenant) | {"host": b"\xff"}  # type: ignore[dict-item]
    assert refused(send(tenant, odd, method="POST")) == (400, "SignatureDoesNotMatch")
