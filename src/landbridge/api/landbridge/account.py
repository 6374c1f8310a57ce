"""What an account sees and changes of itself: its audit trail and its access keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...cloud import audit, keys, retention, users
from ...cloud.audit import AuditEntry
from ...cloud.keys import AccessKey
from ...cloud.ownership import everything, owned
from ...cloud.paging import numbered
from ..action import Action, Call, Param, Product
from ..moments import moment, second, second_after
from ..paging import PAGING, paged


def _trail(call: Call) -> dict[str, Any]:
    page = audit.search(
        call.session,
        call.account,
        call["PageNumber"],
        call["PageSize"],
        action=call["ActionName"],
        outcome=call["Outcome"],
        begin=_moment(call, "StartTime"),
        end=_moment(call, "EndTime"),
    )
    since = retention.complete_since(call.session, call.account, AuditEntry, call["Outcome"])
    return {
        "Entries": [_entry(row) for row in page.rows],
        "CompleteSince": second_after(since) if since else "",
        **paged(page),
    }


def _moment(call: Call, name: str) -> datetime | None:
    return moment(call[name], name) if call[name] else None


def _entry(row: AuditEntry) -> dict[str, Any]:
    return {
        "Time": second(row.at),
        "Action": row.action,
        "Resource": row.resource or "",
        "Outcome": row.outcome,
        "UserAccessKeyId": row.access_key_id or "",
        "Source": "operator" if row.is_operators else row.source,
        "CallRequestId": row.request_id or "",
    }


def _keys(call: Call) -> dict[str, Any]:
    query = everything(AccessKey, call.account).order_by(AccessKey.created_at.desc(), AccessKey.id)
    page = numbered(call.session, query, call["PageNumber"], call["PageSize"])
    return {"AccessKeys": [_key(row) for row in page.rows], **paged(page)}


def _key(row: AccessKey) -> dict[str, Any]:
    return {
        "UserAccessKeyId": row.id,
        "Status": row.status.value,
        "CreateTime": second(row.created_at),
        "DisableTime": second(row.disabled_at) if row.disabled_at else "",
    }


def _create_key(call: Call) -> dict[str, Any]:
    key, secret = keys.create(call.session, call.cloud.vault, call.account)
    return {**_key(key), "AccessKeySecret": secret.reveal()}


def _disable_key(call: Call) -> dict[str, Any]:
    keys.disable(
        call.session, owned(call.session, AccessKey, call.account, call["UserAccessKeyId"])
    )
    users.require_way_in(call.session, call.account)
    return {}


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "DescribeAuditTrail",
        "List what was done in the account and what was refused, newest first.",
        _trail,
        (
            Param("ActionName"),
            Param("Outcome"),
            Param("StartTime"),
            Param("EndTime"),
            *PAGING,
        ),
        differences="ActionName is a label like rds.CreateDBInstance, Outcome is Success or the"
        " code of a refusal. What the operator did has the source operator. CompleteSince: from"
        " when on nothing of that Outcome was removed (docs/accounts.md); empty if nothing ever"
        " was.",
    ),
    Action(
        Product.LANDBRIDGE,
        "ListAccessKeys",
        "List the access keys of the account, newest first, without their secrets.",
        _keys,
        PAGING,
    ),
    Action(
        Product.LANDBRIDGE,
        "CreateAccessKey",
        "Make an access key; its secret is in this answer and nowhere else.",
        _create_key,
        writes=True,
        shows_secret=True,
        resource="UserAccessKeyId",
        errors=("LimitExceeded.User.AccessKey",),
        differences="Understands no ClientToken: a kept answer would keep the secret.",
    ),
    Action(
        Product.LANDBRIDGE,
        "DisableAccessKey",
        "Disable an access key for good, also the one that signs this call.",
        _disable_key,
        (Param("UserAccessKeyId", required=True),),
        writes=True,
        resource="UserAccessKeyId",
        errors=(AccessKey.not_found, "OperationDenied.LastWayIn"),
        differences="The last active one stays while there is no console user who may sign in.",
    ),
)
