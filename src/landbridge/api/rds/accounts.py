"""Database accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...cloud import CloudError, quotas
from ...cloud.instances import dbaccounts, lifecycle, look, roles
from ...cloud.instances.states import AccountState, AccountType
from ...cloud.instances.tables import DBInstance
from ...cloud.paging import numbered_list
from ..action import Action, Call, Kind, Param, Product
from .common import BAD_STATE, ID, NOT_FOUND, find

_NAME = Param("AccountName", required=True)
_PASSWORD = Param("AccountPassword", Kind.SECRET, required=True)
_WRITE_ERRORS = (NOT_FOUND, BAD_STATE, "IncorrectDBInstanceType")
_GIVE_AWAY = (
    "In every database with something of it: REASSIGN OWNED BY it TO another; DROP OWNED BY it;"
    " then delete it again."
)
_FLAG = {True: "t", False: "f"}


@dataclass(frozen=True)
class _Seen:
    """What a server has said."""

    accounts: list[roles.Found] | None
    """None: it could not be asked."""
    obstacle: str = ""
    """Why the account cannot be deleted."""


def _look(call: Call) -> _Seen:
    return _Seen(look.accounts(call.cloud, find(call)))


def _look_closely(call: Call) -> _Seen:
    instance = find(call)
    return _Seen(
        look.accounts(call.cloud, instance),
        look.obstacle(call.cloud, instance, call["AccountName"]),
    )


def _create(call: Call) -> dict[str, Any]:
    instance, seen = _writable(call), _seen(call)
    if any(found.name == call["AccountName"] for found in seen.accounts or ()):
        raise CloudError("InvalidAccountName.Duplicate")
    dbaccounts.create(
        call.session,
        call.cloud.vault,
        instance,
        call["AccountName"],
        call["AccountPassword"].reveal(),
        type=AccountType(call["AccountType"]),
        description=call["AccountDescription"],
    )
    return {}


def _reset(call: Call) -> dict[str, Any]:
    instance = _writable(call)
    _require_account(call, instance)
    password = call["AccountPassword"].reveal()
    dbaccounts.reset(call.session, call.cloud.vault, instance, call["AccountName"], password)
    return {}


def _delete(call: Call) -> dict[str, Any]:
    instance = _writable(call)
    _require_account(call, instance)
    if owns := _seen(call).obstacle:
        raise CloudError("OperationDenied.AccountOwns", owns, remedy=_GIVE_AWAY)
    dbaccounts.delete(call.session, call.cloud.vault, instance, call["AccountName"])
    return {}


def _describe(call: Call) -> dict[str, Any]:
    instance = find(call)
    rows = _rows(instance, look.accounts(call.cloud, instance))
    if call["AccountName"] is not None:
        rows = [row for row in rows if row["AccountName"] == call["AccountName"]]
    page = numbered_list(rows, call["PageNumber"], call["PageSize"])
    return {
        "Accounts": {"DBInstanceAccount": list(page.rows)},
        "PageNumber": page.number,
        "TotalRecordCount": page.total,
    }


def _rows(instance: DBInstance, found: list[roles.Found] | None) -> list[dict[str, Any]]:
    """What the catalog has, and what is still to be made."""
    known = {account.name: account for account in instance.accounts}
    there = {account.name: account for account in found or ()}
    rows = []
    for name in sorted(there.keys() | known.keys()):
        row, account = known.get(name), there.get(name)
        if account is None and found is not None and row and row.state is not AccountState.CREATE:
            continue  # a statement, or a migration, has removed it
        rows.append(
            {
                "DBInstanceId": instance.id,
                "AccountName": name,
                "AccountStatus": "Available" if account else "Unavailable",
                "AccountType": (account or known[name]).type.value,
                "AccountDescription": row.description if row else "",
                "PrivExceeded": "0",
                "AccountTrouble": row.trouble if row else "",
                **_rights(account),
            }
        )
    return rows


def _rights(account: roles.Found | None) -> dict[str, Any]:
    if account is None:
        return {"DatabasePrivileges": {"DatabasePrivilege": []}}
    return {
        "CreateDB": _FLAG[account.create_db],
        "CreateRole": _FLAG[account.create_role],
        "Replication": _FLAG[account.replication],
        "BypassRLS": _FLAG[account.bypass_rls],
        "ValidUntil": account.valid_until,
        "DatabasePrivileges": {
            "DatabasePrivilege": [
                {"DBName": name, "AccountPrivilege": "DBOwner", "AccountPrivilegeDetail": "ALL"}
                for name in account.databases
            ]
        },
    }


def _seen(call: Call) -> _Seen:
    return call.seen or _Seen(None)


def _writable(call: Call) -> DBInstance:
    instance = find(call)
    lifecycle.require_kept(instance)
    return instance


def _require_account(call: Call, instance: DBInstance) -> None:
    rows = _rows(instance, _seen(call).accounts)
    if not any(row["AccountName"] == call["AccountName"] for row in rows):
        raise CloudError("InvalidAccountName.NotFound")


ACTIONS = (
    Action(
        Product.RDS,
        "CreateAccount",
        "Create a database account, privileged (Super) or normal.",
        _create,
        (
            ID,
            _NAME,
            _PASSWORD,
            Param("AccountType", default="Normal", choices=tuple(t.value for t in AccountType)),
            Param("AccountDescription"),
        ),
        writes=True,
        look=_look,
        resource="DBInstanceId",
        errors=(
            *_WRITE_ERRORS,
            "InvalidAccountName.Malformed",
            "InvalidAccountName.Duplicate",
            "InvalidAccountPassword.Malformed",
            "InvalidAccountDescription.Malformed",
            quotas.DATABASE_ACCOUNTS.code,
        ),
        differences="An instance may have several privileged accounts.",
    ),
    Action(
        Product.RDS,
        "DescribeAccounts",
        "List the database accounts, as the server's own catalog has them.",
        _describe,
        (
            ID,
            Param("AccountName"),
            Param("PageNumber", Kind.INTEGER, default=1, least=1, most=1_000_000),
            Param("PageSize", Kind.INTEGER, default=30, least=1, most=200),
        ),
        asks=True,
        errors=(NOT_FOUND,),
        differences="DatabasePrivileges are the databases that an account owns. AccountTrouble is"
        " ours: why the last order about it was not carried out.",
    ),
    *(
        Action(
            Product.RDS,
            name,
            "Give a database account another password.",
            _reset,
            (ID, _NAME, _PASSWORD),
            writes=True,
            look=_look,
            resource="DBInstanceId",
            errors=(
                *_WRITE_ERRORS, "InvalidAccountName.NotFound", "InvalidAccountPassword.Malformed",
                quotas.DATABASE_ACCOUNTS.code,
            ),
        )
        for name in ("ResetAccountPassword", "ResetAccount")
    ),
    Action(
        Product.RDS,
        "DeleteAccount",
        "Delete a database account that owns nothing.",
        _delete,
        (ID, _NAME),
        writes=True,
        look=_look_closely,
        resource="DBInstanceId",
        errors=(
            *_WRITE_ERRORS, "InvalidAccountName.NotFound", quotas.DATABASE_ACCOUNTS.code,
            "OperationDenied.AccountOwns",
        ),
        differences="One that owns something is refused; where the server could not be asked, it"
        " stays, and its AccountTrouble says why.",
    ),
)  # fmt: skip
