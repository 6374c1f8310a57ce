"""The OpenAPI document of our own extensions: valid, complete, and true of what is answered."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from fix_api import Running
from landbridge.api.action import Action, Kind, Param, Product
from landbridge.api.openapi import document
from landbridge.api.table import ACTIONS
from test_api_parameters import World, world_of

OURS = [action for action in ACTIONS if action.product is Product.LANDBRIDGE]
DOCUMENT = document(ACTIONS)


def operation(name: str) -> dict[str, Any]:
    found = DOCUMENT["paths"][f"/#{name}"]["post"]
    assert isinstance(found, dict)
    return found


def form(name: str) -> dict[str, Any]:
    """The schema of an action's parameters; empty for none."""
    body = operation(name).get("requestBody", {"content": {None: {"schema": {}}}})
    (content,) = body["content"].values()
    return dict(content["schema"])


def test_the_document_is_valid_and_has_every_action_of_ours() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert [path[2:] for path in DOCUMENT["paths"]] == [action.name for action in OURS]
    for action in OURS:
        found = operation(action.name)
        assert set(form(action.name).get("properties", {})) == {p.name for p in action.understood}
        codes = {
            code
            for status, answer in found["responses"].items()
            if status != "200"
            for code in answer["content"]["application/json"]["schema"]["properties"]["Code"][
                "enum"
            ]
        }
        assert set(action.errors) <= codes


def test_parameters_lists_and_bounds_are_described() -> None:
    parameters = (
        Param("Count", Kind.INTEGER, required=True, least=1, most=5),
        Param("Kinds", many=3, parts=(Param("Key"),)),
        Param("Word", choices=("a", "b"), default="a"),
    )
    action = Action(Product.LANDBRIDGE, "Any", "Do it.", lambda _: {}, parameters, writes=True)
    found = document([action])
    OpenAPIV31SpecValidator(found).validate()
    body = found["paths"]["/#Any"]["post"]["requestBody"]
    schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
    assert schema["required"] == ["Count"] and body["required"]
    assert schema["properties"]["Count"] == {"type": "integer", "minimum": 1, "maximum": 5}
    assert schema["properties"]["Word"] == {"type": "string", "enum": ["a", "b"], "default": "a"}
    inside = schema["properties"]["Kinds"]["contentSchema"]
    assert (inside["type"], inside["maxItems"]) == ("array", 3)
    assert "ClientToken" in schema["properties"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world_of(tmp_path_factory.mktemp("openapi"))
    yield made
    made.service.cloud.close()


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a parameter's schema admits."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "integer":
            least, most = schema.get("minimum", -5), schema.get("maximum", 10**9)
            return st.integers(least, most)
        case "boolean":
            return st.booleans()
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
    return st.one_of(texts, st.sampled_from(["cn-hangzhou", "{}", "[]", "a,b", "vpc-x"]))


@st.composite
def calls(draw: st.DrawFn) -> tuple[Action, dict[str, Any]]:
    """An action of ours with parameters as the document describes them."""
    action = draw(st.sampled_from(OURS))
    schema = form(action.name)
    properties, needed = schema.get("properties", {}), set(schema.get("required", []))
    given = {
        name: draw(values(one))
        for name, one in properties.items()
        if name in needed or draw(st.booleans())
    }
    return action, given


@settings(max_examples=150, deadline=None)
@given(calls())
def test_answers_are_as_the_document_says(
    world: World, call: tuple[Action, dict[str, Any]]
) -> None:
    action, given = call
    jsonschema.validate(given, form(action.name))
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in
             given.items()}  # fmt: skip
    answer = world.call(action.product.value, action.name, texts, form=True)
    described = operation(action.name)["responses"][str(answer.status)]
    jsonschema.validate(answer.body, described["content"]["application/json"]["schema"])
    assert answer.status < 500


def test_it_is_served_without_a_key_and_tells_of_no_account(service: Running) -> None:
    with urllib.request.urlopen(f"http://{service.endpoint}/openapi.json", timeout=10) as answer:
        assert answer.headers["content-type"] == "application/json"
        assert json.load(answer) == DOCUMENT
