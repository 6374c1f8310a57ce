"""The log of an instance's server."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError
from ...cloud.instances import logs
from ...cloud.instances.logs import Entry
from ..action import Action, Call, Kind, Param, Product
from ..moments import moment, second
from .common import ID, NOT_FOUND, find


def _describe(call: Call) -> dict[str, Any]:
    instance = find(call)
    begin, end = (moment(call[name], name) for name in ("StartTime", "EndTime"))
    if end <= begin:
        raise CloudError("InvalidParameter", "EndTime must be later than StartTime")
    page = logs.search(call.cloud, instance, begin, end, call["PageNumber"], call["PageSize"])
    return {
        "Items": {"ErrorLog": [_entry(entry) for entry in page.rows]},
        "PageNumber": page.number,
        "PageRecordCount": len(page.rows),
        "TotalRecordCount": page.total,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "CreateTime": second(entry.at),
        "Database": entry.database,
        "User": entry.user,
        "ErrorInfo": entry.text,
    }


ACTIONS = (
    Action(
        Product.RDS,
        "DescribeErrorLogs",
        "List what the server of an instance wrote into its log, newest first.",
        _describe,
        (
            ID,
            Param("StartTime", required=True),
            Param("EndTime", required=True),
            Param("PageNumber", Kind.INTEGER, default=1, least=1, most=1_000_000),
            Param("PageSize", Kind.INTEGER, default=30, least=30, most=100),
        ),
        asks=True,
        errors=(NOT_FOUND,),
        differences="All that the server logs, not errors alone. Of more than 8 MiB the newest"
        " count. Passwords in statements are masked. Times may have seconds.",
    ),
)
