"""Sessions of instances."""

from __future__ import annotations

from typing import Any

from ...cloud.daemon import fabric
from ...cloud.instances import lifecycle, sessions, whitelist
from ...cloud.instances.sessions import Session
from ..action import Action, Call, Kind, Param, Product
from ..rds.common import BAD_STATE, ID, NOT_FOUND, find


def _describe(call: Call) -> dict[str, Any]:
    found = sessions.every(call.cloud, call.session, fabric(call.cloud), find(call))
    return {"Sessions": [_facts(each) for each in found]}


def _facts(session: Session) -> dict[str, Any]:
    return {
        "ProcessId": session.pid,
        "BackendStart": session.begun,
        "UserName": session.user,
        "DatabaseName": session.database,
        "ClientAddress": session.client,
        "ApplicationName": session.application,
        "BackendType": session.kind,
        "State": session.state,
        "WaitEvent": session.wait,
        "QueryStart": session.statement_begun,
        "Query": session.statement,
        "TransactionSeconds": session.transaction_seconds,
        "IsService": session.is_service,
    }


def _terminate(call: Call) -> dict[str, Any]:
    sessions.terminate(call.cloud, find(call), call["ProcessId"], call["BackendStart"])
    return {}


def _close_foreign(call: Call) -> dict[str, Any]:
    instance = find(call)
    lifecycle.require_kept(instance)
    whitelist.close_strangers(instance)
    return {}


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "DescribeSessions",
        "List the sessions of an instance's server, the latest first: who, from where, doing what.",
        _describe,
        (ID,),
        asks=True,
        errors=(NOT_FOUND, BAD_STATE),
        differences="Of clients and of replication; at most 1000. Passwords in statements are"
        " masked.",
    ),
    Action(
        Product.LANDBRIDGE,
        "TerminateSession",
        "End one session of an instance's server, by its process and the moment it began.",
        _terminate,
        (
            ID,
            Param("ProcessId", Kind.INTEGER, required=True, least=1, most=2**31 - 1),
            Param("BackendStart", required=True),
        ),
        acts=True,
        resource="DBInstanceId",
        errors=(
            NOT_FOUND,
            BAD_STATE,
            "InvalidProcessId.NotFound",
            "OperationDenied.ServiceSession",
        ),
    ),
    Action(
        Product.LANDBRIDGE,
        "CloseForeignSessions",
        "End the sessions of clients that the whitelists of an instance do not admit any more.",
        _close_foreign,
        (ID,),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, BAD_STATE),
    ),
)
