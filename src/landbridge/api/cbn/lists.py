"""Lists of CEN: filters, and the words for states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ...cloud import CloudError
from ...cloud.attachments import Attachment
from ...cloud.lines import Connection
from ...cloud.made import Made, State
from ..action import Call, Param
from ..moments import second
from ..paging import all_of

FILTER = Param("Filter", many=5, parts=(Param("Key", required=True), Param("Value", many=5)))
#: Words for a CEN or a transit router, and for an attachment.
ACTIVE = {
    State.MAKING: "Creating",
    State.STANDING: "Active",
    State.CHANGING: "Modifying",
    State.REMOVING: "Deleting",
}
ATTACHED = {
    State.MAKING: "Attaching",
    State.STANDING: "Attached",
    State.CHANGING: "Modifying",
    State.REMOVING: "Detaching",
}

_Row = TypeVar("_Row")


def standing(call: Call, row: Attachment | Connection) -> dict[str, str]:
    """`status` of an attachment or a line; on an external network with what was measured of it."""
    told = status(row, ATTACHED)
    network = call.cloud.external
    found = network.seen(row.id) if network else None
    if found is not None and "StatusReason" not in told:
        told["StatusReason"] = (
            f"recorded, not built; {found.answered} of {found.servers} servers at its ends"
            f" answered at {second(found.at)}"
        )
    return told


def status(row: Made, words: Mapping[State, str]) -> dict[str, str]:
    """`Status` and, where the network has one, the reason why it is not another (ours)."""
    told = {"Status": words[row.state]}
    return {**told, "StatusReason": row.trouble} if row.trouble else told


def filtered(
    call: Call, rows: Iterable[_Row], facts: Mapping[str, Any], either: bool = False
) -> list[_Row]:
    """The rows that every Filter admits, with `either` any.

    `facts` gives for each known Key a function of a row: its value, or a list of them.
    CloudError (InvalidParameter) for an unknown Key.
    """
    wanted = [(item["Key"], set(item["Value"])) for item in call["Filter"]]
    for key, _ in wanted:
        if key not in facts:
            raise CloudError("InvalidParameter", f"Filter knows the keys {', '.join(facts)}")
    hold = any if either and wanted else all
    return [
        row
        for row in rows
        if hold(bool(values & all_of(facts[key](row))) for key, values in wanted)
    ]
