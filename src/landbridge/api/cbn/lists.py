"""Lists of CEN: filters, pages by token, and the words for states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ...cloud import CloudError
from ...cloud.made import Made, State
from ..action import Call, Kind, Param

FILTER = Param("Filter", many=5, parts=(Param("Key", required=True), Param("Value", many=5)))
#: The parameters of an action that names its next page by a token.
TOKENS = (
    Param("MaxResults", Kind.INTEGER, default=20, least=1, most=100),
    Param("NextToken"),
)
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
        row for row in rows if hold(bool(values & _all(facts[key](row))) for key, values in wanted)
    ]


def chosen(call: Call, rows: Iterable[_Row], facts: Mapping[str, Any]) -> list[_Row]:
    """The rows that have what the call's parameters, where given, say; `facts` as above."""
    wanted = {name: call[name] for name in facts if call[name] is not None}
    return [row for row in rows if all(value in _all(facts[n](row)) for n, value in wanted.items())]


def page(call: Call, rows: Sequence[_Row]) -> tuple[Sequence[_Row], dict[str, Any]]:
    """The rows of the page that NextToken names, and what the answer says of it."""
    text, size = call["NextToken"] or "0", call["MaxResults"]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise CloudError("InvalidParameter", "NextToken is none that was given")
    end = int(text) + size
    told: dict[str, Any] = {"TotalCount": len(rows), "MaxResults": size}
    if end < len(rows):
        told["NextToken"] = str(end)
    return rows[int(text) : end], told


def _all(fact: Any) -> set[Any]:
    return set(fact) if isinstance(fact, list) else {fact}
