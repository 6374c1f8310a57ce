"""What forms say of a refusal: beside its field, with labels and pages for names of the API."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import landbridge
from landbridge.api.parameters import Malformed
from landbridge.api.table import ACTIONS
from landbridge.cloud import CloudError
from landbridge.cloud.errors import CODES
from landbridge.cloud.migrations.told import REMEDIES as TOLD
from landbridge.cloud.remedies import REMEDIES, on_page
from landbridge.console.forms import Field, Form, Kind

FORM = Form(
    (
        Field("Uid", "Peer Account UID", required=True, pattern=r"\d{16}", rule="16 digits."),
        Field("Port", "Port of Source Instance", Kind.NUMBER, required=True, least=1, most=65535),
        Field("Speed", "Bandwidth", required=True, only_if="Mode=Plan"),
        Field("Mode", "Allocation", default="Free"),
        Field("Name", "Plan Name"),
        Field("account", "Account"),
    ),
    {"InvalidName": "Name"},
)


def _given(**entered: str) -> Form:
    return FORM.filled({"Uid": "1" * 16, "Port": "5432", "Mode": "Free", **entered})


def test_everything_that_is_wrong_is_said_at_once_beside_its_field() -> None:
    form = _given(Uid="123", Port="", Mode="Plan")
    assert form.refuse(Malformed("MissingParameter", "Port is needed")) == 422
    assert form.errors == {
        "Uid": "Peer Account UID is not right: 16 digits.",
        "Port": "Port of Source Instance is needed.",
        "Speed": "Bandwidth is needed.",
    }
    form = _given(Uid="12x")
    form.refuse(Malformed("InvalidParameter", "Uid is no whole number"))
    assert form.errors == {"Uid": "Peer Account UID is not right: 16 digits."}
    form = _given(Port="70000")
    form.refuse(Malformed("MissingParameter", "Zones.1 is needed"))
    assert form.errors == {"Port": "Port of Source Instance is from 1 to 65,535."}


def test_a_refusal_is_told_with_labels_and_its_remedy_stands_with_it() -> None:
    form = _given()
    form.refuse(CloudError("InvalidParameter", "the Port 1 and the Uid differ", remedy="Name it."))
    told = "The Port of Source Instance 1 and the Peer Account UID differ. Name it."
    assert form.errors == {"Port": told} and form.remedy == ""
    form = _given()
    form.refuse(CloudError("InvalidName", "an account has it", remedy="Take another."))
    assert form.errors == {"Name": "An account has it. Take another."}
    form = _given()
    form.refuse(CloudError("Throttling.User"))
    assert form.errors[""].startswith("Too many requests") and form.remedy


def test_a_refusal_that_no_rule_of_a_field_tells_is_said_as_it_is() -> None:
    form = _given(Uid="12x")
    form.refuse(CloudError("InvalidParameter", "Uid is needed by account 12"))
    assert form.errors == {"Uid": "Peer Account UID is needed by account 12."}


def test_no_refusal_sends_a_person_to_an_action_of_the_api() -> None:
    actions = {action.name for action in ACTIONS}
    remedies = (*REMEDIES.values(), *TOLD.values())
    texts = {*map(on_page, remedies), *(said for _, said in CODES.values()), *_said()}
    assert len(texts) > 300
    left = {text for text in texts if actions & set(re.findall(r"\b[A-Z]\w+", text))}
    assert left == set()


def test_the_api_has_its_own_words() -> None:
    remedy = CloudError("InvalidDBInstanceId.NotFound").remedy
    assert "DescribeDBInstances" in (remedy or "")
    assert on_page(remedy) == "The page RDS instances lists the account's instances."
    assert on_page("Wait.") == "Wait." and on_page(None) == ""


def _said() -> set[str]:
    """What refusals of the control plane say beside the tables, to somebody with pages."""
    found: set[str] = set()
    for package in ("cloud", "api"):
        for path in (Path(landbridge.__file__).parent / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node) in ("CloudError", "Malformed"):
                    said = [*node.args[1:], *(word.value for word in node.keywords)]
                    found.update(text for each in said for text in _texts(each))
    return found


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and _name(node) in ("Remedy", "by"):
        node = node.args[1]
    parts = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    yield from (part for part in parts if isinstance(part, str))


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", "")
