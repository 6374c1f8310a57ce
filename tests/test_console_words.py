"""What forms say of a refusal: beside its field, with labels and pages for names of the API."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import landbridge
from landbridge.api.table import ACTIONS
from landbridge.cloud import CloudError
from landbridge.cloud.migrations.told import REMEDIES as TOLD
from landbridge.cloud.remedies import REMEDIES
from landbridge.console.forms import Field, Form, Kind
from landbridge.console.words import plain, said

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
    assert form.refuse(CloudError("MissingParameter", "Port is needed")) == 422
    assert form.errors == {
        "Uid": "This is something else. 16 digits.",
        "Port": "Port of Source Instance is needed.",
        "Speed": "Bandwidth is needed.",
    }
    form = _given(Uid="12x")
    form.refuse(CloudError("InvalidParameter", "Uid is no whole number"))
    assert form.errors == {"Uid": "This is something else. 16 digits."}
    form = _given(Port="70000")
    form.refuse(CloudError("MissingParameter", "Zones.1 is needed"))
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


def test_no_remedy_sends_a_person_to_an_action_of_the_api() -> None:
    actions = {action.name for action in ACTIONS}
    texts = {*REMEDIES.values(), *TOLD.values(), *_remedies()}
    assert len(texts) > 100
    left = {text for text in texts if actions & set(re.findall(r"\b[A-Z]\w+", plain(text)))}
    assert left == set()


def test_the_api_keeps_its_own_words() -> None:
    refusal = CloudError("InvalidDBInstanceId.NotFound")
    assert "DescribeDBInstances" in (refusal.remedy or "")
    assert said(refusal).remedy == "The page RDS instances lists the account's instances."
    assert said(refusal).code == refusal.code and said(refusal).http == 404


def _remedies() -> set[str]:
    """What refusals of the control plane say beside the table."""
    found = set()
    for path in Path(landbridge.__file__).parent.glob("cloud/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "remedy":
                parts = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
                found |= {part for part in parts if isinstance(part, str)}
    return found
