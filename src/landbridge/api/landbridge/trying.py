"""What is tried while somebody waits: the way to a source, and how ready a switchover is."""

from __future__ import annotations

from typing import Any

from ...cloud.migrations import readiness, trying
from ...cloud.migrations.readiness import Outage
from ..action import Action, Call, Product
from ..rds.common import NOT_FOUND as NO_INSTANCE
from ..rds.migration import SOURCE, source
from .assessments import ID, NOT_FOUND
from .migrations import BAD_STATE, found

Facts = dict[str, Any]


def _test(call: Call) -> Facts:
    name = call["DBInstanceName"]
    report = trying.connection(call.session, call.cloud, call.account, name, source(call)).as_dict()
    return {
        "Passed": report["counts"]["error"] == 0,
        "Findings": [_finding(each) for each in report["findings"]],
        "Skipped": [
            {"Id": each["id"], "Title": each["title"], "Why": each["why"]}
            for each in report["skipped"]
        ],
    }


def _finding(found: Facts) -> Facts:
    return {
        "Id": found["id"],
        "Level": found["level"],
        "Title": found["title"],
        "Cause": found["cause"],
        "Refusal": found["data"].get("refusal"),
        "Remedy": found["remedy"] or "",
        "Fixes": found["fixes"],
    }


def _readiness(call: Call) -> Facts:
    row, progress = found(call)
    seen = trying.readiness(call.cloud, row, progress)
    rails = {rail["id"]: rail for rail in seen["rails"]}
    lag = _fact(rails, "switchover.lag", "bytes")
    outage = None
    if seen["round_trip"] is not None and lag is not None:
        outage = _outage(Outage.predicted(seen["round_trip"], lag))
    blockers = [rail["text"] for rail in seen["rails"] if rail["level"] == "error"]
    return {
        "TaskId": int(row.id),
        "MeasuredAt": seen["at"],
        "Problem": seen["problem"],
        "Ready": not blockers and bool(seen["is_closed"]) and not seen["problem"],
        "Blockers": blockers,
        "SourceRefusesWrites": seen["is_closed"],
        "ReadOnlySince": seen["closed_since"],
        "Guardrails": [
            {
                "Id": rail["id"],
                "Level": rail["level"],
                "Text": rail["text"],
                "Remedy": rail["remedy"] or "",
            }
            for rail in seen["rails"]
        ],
        "LagBytes": lag,
        "LagSeconds": progress.live.get("lag_seconds"),
        "Sessions": _fact(rails, "switchover.sessions", "sessions"),
        "LongTransactions": [
            transaction
            for id in ("switchover.long_transactions", "switchover.idle_in_transaction")
            for transaction in _fact(rails, id, "transactions") or []
        ],
        "PreparedTransactions": _fact(rails, "switchover.prepared_transactions", "prepared") or [],
        "WalKeptBytes": progress.live.get("wal_kept_bytes"),
        "WalHoursLeft": progress.live.get("wal_hours_left"),
        "PredictedOutage": outage,
        "Order": [
            {"Name": name, "By": who, "Text": text, "Clients": clients}
            for name, who, text, clients in readiness.ORDER
        ],
    }


def _outage(outage: Outage) -> Facts:
    return {
        "Milliseconds": round(outage.total * 1000, 1),
        "Parts": {
            "Watch": round(outage.watch * 1000, 1),
            "RoundTrips": round(outage.round_trips * 1000, 1),
            "Drain": round(outage.drain * 1000, 1),
            "Prove": round(outage.prove * 1000, 1),
            "Promote": round(outage.promote * 1000, 1),
        },
    }


def _fact(rails: dict[str, Facts], id: str, name: str) -> Any:
    return rails[id]["facts"].get(name) if id in rails else None


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "TestSourceConnection",
        "Try from an instance whether a source can be reached and its account has its rights.",
        _test,
        SOURCE,
        acts=True,
        resource="DBInstanceName",
        errors=(
            NO_INSTANCE,
            BAD_STATE,
            "IncorrectDBInstanceType",
            "OperationDenied.LocalStorage",
            "OperationDenied.ReadOnlyInstances",
            "InvalidSourceCategory",
        ),
        differences="The six checks of the assessment's source connectivity, answered within some"
        " 8 seconds. Nothing is changed; the password is not kept.",
    ),
    Action(
        Product.LANDBRIDGE,
        "DescribeSwitchoverReadiness",
        "Show what a switchover would meet now, how long writes would stop, and its order.",
        _readiness,
        (ID,),
        asks=True,
        errors=(NOT_FOUND, BAD_STATE),
        differences="Source and destination are asked; where nobody answers, the figures are those"
        " of MeasuredAt and Problem says why. The predicted outage counts from when the"
        " service sees that the source refuses writes; for how long it did before (ReadOnlySince)"
        " comes on top: ten measured round trips, the lag at the measured speed"
        " of replay, and what a switchover takes by itself (docs/switchover.md).",
    ),
)
