"""From text to typed arguments, and the whole table under nonsense: never a 500."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landbridge.api import client
from landbridge.api.action import Action, Call, Kind, Param, Product
from landbridge.api.dispatch import Answer, Service
from landbridge.api.logs import logger
from landbridge.api.parameters import parse
from landbridge.api.request import Request
from landbridge.api.signature import canonical_query
from landbridge.api.table import ACTIONS
from landbridge.cloud import Cloud, CloudError, Secret, accounts, keys
from landbridge.cloud.errors import GATEWAY


def nothing(_: Call) -> dict[str, Any]:
    return {}


def read(*params: Param, **texts: str) -> dict[str, Any]:
    action = Action(Product.VPC, "Any", "", nothing, params)
    return parse(action, {name.replace("__", "."): text for name, text in texts.items()})


def refusal(*params: Param, **texts: str) -> str:
    with pytest.raises(CloudError) as refused:
        read(*params, **texts)
    return refused.value.code


FILTER = Param("Filter", many=5, parts=(Param("Key", required=True), Param("Value", many=5)))
ZONES = Param("ZoneMappings", many=3, required=True, parts=(Param("ZoneId"), Param("VSwitchId")))


def test_nested_lists_arrive_in_their_order() -> None:
    found = read(
        FILTER,
        Filter__2__Key="Name", Filter__10__Key="Last", Filter__1__Key="CenId",
        Filter__1__Value__2="b", Filter__1__Value__1="a",
    )  # fmt: skip
    assert found["Filter"] == [
        {"Key": "CenId", "Value": ["a", "b"]},
        {"Key": "Name", "Value": []},
        {"Key": "Last", "Value": []},
    ]


def test_lists_and_objects_may_be_json() -> None:
    zones = [{"ZoneId": "z1", "VSwitchId": "v1"}, {"ZoneId": "z2", "VSwitchId": None}]
    assert read(ZONES, ZoneMappings=json.dumps(zones))["ZoneMappings"] == zones
    option = Param("Option", parts=(Param("Ipv6", Kind.BOOLEAN), Param("Size", Kind.INTEGER)))
    wanted = {"Option": {"Ipv6": True, "Size": 5}}
    assert read(option, Option='{"Ipv6": true, "Size": 5, "Else": [1]}') == wanted
    assert read(option, Option__Ipv6="True", Option__Size="5") == wanted
    assert read(option) == {"Option": None}
    assert read(Param("P", Kind.STRUCTURE), P='{"a": ["b"]}') == {"P": {"a": ["b"]}}


@pytest.mark.parametrize("text", ["True", "true", "TRUE"])
def test_booleans_of_all_clients_are_understood(text: str) -> None:
    assert read(Param("B", Kind.BOOLEAN), B=text) == {"B": True}
    assert read(Param("B", Kind.BOOLEAN), B="False") == {"B": False}
    assert read(Param("B", Kind.BOOLEAN), B="") == {"B": None}
    assert refusal(Param("B", Kind.BOOLEAN), B="yes") == "InvalidParameter"


def test_integers_are_exact_and_bounded() -> None:
    uid = Param("Uid", Kind.INTEGER)
    assert read(uid, Uid="1111111111111111") == {"Uid": 1111111111111111}
    for text in ("1.0", "1e3", "1_000", " 1", "１", "9" * 19, "0x10"):
        assert refusal(uid, Uid=text) == "InvalidParameter"
    page = Param("Page", Kind.INTEGER, default=10, least=1, most=50, code="IllegalParam.RegionId")
    assert read(page) == {"Page": 10}
    assert refusal(page, Page="0") == refusal(page, Page="51") == "IllegalParam.RegionId"


def test_what_is_missing_or_malformed_is_refused() -> None:
    assert refusal(ZONES) == "MissingParameter"
    assert refusal(FILTER, Filter__1__Value__1="x") == "MissingParameter"
    assert refusal(FILTER, **{f"Filter__{n}__Key": "x" for n in range(1, 7)}) == "InvalidParameter"
    assert refusal(FILTER, Filter__1__Key="k", Filter__1__Value__1__x="v") == "InvalidParameter"
    assert refusal(Param("C", choices=("a", "b")), C="c") == "InvalidParameter"
    for text in ("{", "[1]", '"x"', "[" * 100_000, '{"a": "\\ud800"}', '{"a": "\\u0000"}', "NaN"):
        assert refusal(Param("O", parts=(Param("a"),)), O=text) == "InvalidParameter", text[:20]


def test_a_secret_is_in_no_text() -> None:
    found = read(Param("Password", Kind.SECRET), Password="hunter2")
    assert "hunter2" not in repr(found)
    assert found["Password"].reveal() == "hunter2"


@dataclass
class World:
    """A service without its process, and a key of it."""

    service: Service
    key: client.Credentials
    log: io.StringIO

    def call(self, version: str, action: str, given: dict[str, str], form: bool) -> Answer:
        pairs = canonical_query(given.items()).encode()
        query, body = ({}, pairs) if form else (given, b"")
        headers = client.sign("POST", "here", self.key, version, action, query, body)
        return self.service.answer(Request("POST", headers, b"" if form else pairs, body))


def world_of(folder: Path, actions: tuple[Action, ...] = ACTIONS) -> World:
    cloud, log = Cloud.open(folder), io.StringIO()
    with cloud.database.write() as session:
        key, secret = keys.create(session, cloud.vault, accounts.create(session, "ann"))
    return World(Service(cloud, actions, logger(log)), client.Credentials(key.id, secret), log)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world_of(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.service.cloud.close()


#: Texts that are nearly right, so that handlers and not only the parser are reached.
LIKELY = st.sampled_from([
    "cn-hangzhou", "cn-hangzhou-h", "10.1.0.0/16", "10.1.1.0/24", "0.0.0.0/0", "China", "VPC", "1",
    "50", "-1", "true", "False", "[]", "{}", "null", '[{"Key": "x"}]', "vpc-x", "a,b", ",", "%", "",
])  # fmt: skip
TEXTS = st.one_of(LIKELY, st.text(st.characters(codec="utf-8"), max_size=300))


@st.composite
def calls(draw: st.DrawFn) -> tuple[Action, dict[str, str], bool]:
    """An action with any of its parameters, well or badly spelled."""
    action = draw(st.sampled_from(ACTIONS))
    names = [name for param in action.understood for name in spellings(param)]
    given = draw(st.dictionaries(st.sampled_from([*names, "Other.1.x"]), TEXTS, max_size=12))
    return action, given, draw(st.booleans())


def spellings(param: Param) -> list[str]:
    stems = [param.name, f"{param.name}.1", f"{param.name}.0", f"{param.name}.2"]
    inner = [f"{stem}.{name}" for part in param.parts for stem in stems for name in spellings(part)]
    return [*stems, *inner] if param.many or param.parts else [param.name, f"{param.name}.1"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls())
def test_no_parameters_whatever_make_an_action_fail(
    world: World, call: tuple[Action, dict[str, str], bool]
) -> None:
    action, parameters, form = call
    answer = world.call(action.product.value, action.name, parameters, form)
    assert answer.status < 500, world.log.getvalue()[-3000:]
    if answer.status != 200:
        assert answer.body["Code"] in {*action.errors, *GATEWAY}
    json.dumps(answer.body).encode()


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST"]),
    query=st.binary(max_size=200),
    body=st.binary(max_size=200),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "x-acs-action", "x-acs-version", "content-type", "host"]),
        st.one_of(
            st.text(max_size=60),
            st.sampled_from([
                "application/x-www-form-urlencoded", "GetCallerIdentity", "2015-04-01",
                f"ACS3-HMAC-SHA256 Credential=a,SignedHeaders=;;host,Signature={'0' * 64}",
            ]),
        ),
    ),
)  # fmt: skip
def test_no_request_whatever_is_a_failure_of_ours(
    world: World, method: str, query: bytes, body: bytes, headers: dict[str, str]
) -> None:
    answer = world.service.answer(Request(method, headers, query, body))
    assert 400 <= answer.status < 500, world.log.getvalue()[-3000:]
    json.dumps(answer.body).encode()


def test_a_defect_is_an_answer_and_in_the_log_and_undoes_its_work(tmp_path: Path) -> None:
    def broken(call: Call) -> dict[str, Any]:
        accounts.create(call.session, "half-done")
        raise RuntimeError("secret detail")

    action = Action(
        Product.RDS, "Break", "", broken, (Param("Password", Kind.SECRET),), writes=True
    )
    world = world_of(tmp_path, (action,))
    answer = world.call(action.product.value, "Break", {"Password": "hunter2"}, form=False)
    assert (answer.status, answer.body["Code"]) == (500, "InternalError")
    assert "secret detail" not in json.dumps(answer.body)
    assert "secret detail" in world.log.getvalue()
    assert "hunter2" not in world.log.getvalue()
    with world.service.cloud.database.read() as session:
        assert [account.name for account in accounts.every(session)] == ["ann"]
    liar = client.Credentials(world.key.key_id, Secret("wrong"))
    wrong = World(world.service, liar, world.log)
    said = wrong.call(action.product.value, "Break", {"Password": "hunter2"}, form=False)
    assert said.body["Code"] == "SignatureDoesNotMatch"
    assert "string to sign" not in said.body["Message"]
    world.service.cloud.close()


def test_a_busy_database_is_said_to_be_passing(tmp_path: Path) -> None:
    from landbridge.errors import StoreFailed

    def busy(_: Call) -> dict[str, Any]:
        raise StoreFailed("busy", id="store.busy", retryable=True)

    world = world_of(tmp_path, (Action(Product.RDS, "Wait", "", busy),))
    answer = world.call(Product.RDS.value, "Wait", {}, form=True)
    assert (answer.status, answer.body["Code"]) == (503, "ServiceUnavailable")
    world.service.cloud.close()
