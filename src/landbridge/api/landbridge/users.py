"""The people of an account who sign in at the console."""

from __future__ import annotations

from typing import Any

from ...cloud import logins, users
from ...cloud.paging import numbered_list
from ...cloud.users import ConsoleUser
from ..action import Action, Call, Handler, Kind, Param, Product
from ..moments import second
from ..paging import PAGING, paged

NAME = Param("UserName", required=True)
PASSWORD = Param("Password", Kind.SECRET, required=True)
NOT_FOUND = "EntityNotExist.User"
LAST_WAY_IN = "OperationDenied.LastWayIn"
BAD_PASSWORD = "InvalidPassword.Malformed"


def _facts(user: ConsoleUser) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "Status": "Inactive" if user.is_disabled else "Active",
        "CreateTime": second(user.created_at),
        "PasswordTime": second(user.changed_at),
    }


def _found(call: Call) -> ConsoleUser:
    return users.find(call.session, call.account, call["UserName"])


def _list(call: Call) -> dict[str, Any]:
    rows = users.every(call.session, call.account)
    page = numbered_list(rows, call["PageNumber"], call["PageSize"])
    return {"Users": [_facts(user) for user in page.rows], **paged(page)}


def _create(call: Call) -> dict[str, Any]:
    return _facts(users.create(call.session, call.account, call["UserName"], call["Password"]))


def _set_password(call: Call) -> dict[str, Any]:
    user = _found(call)
    user.set_password(call["Password"])
    return _facts(user)


def _modify(call: Call) -> dict[str, Any]:
    user = _found(call)
    user.is_disabled = call["Disabled"]
    if user.is_disabled:
        logins.close_all_of(call.session, user)
    users.require_way_in(call.session, call.account)
    return _facts(user)


def _delete(call: Call) -> dict[str, Any]:
    call.session.delete(_found(call))
    users.require_way_in(call.session, call.account)
    return {}


def _change(
    name: str, summary: str, handler: Handler, *more: Param, errors: tuple[str, ...]
) -> Action:
    return Action(
        Product.LANDBRIDGE,
        name,
        summary,
        handler,
        (NAME, *more),
        writes=True,
        resource="UserName",
        errors=errors,
    )


ACTIONS = (
    Action(
        Product.LANDBRIDGE,
        "ListConsoleUsers",
        "List the users of the account who sign in at the console.",
        _list,
        PAGING,
    ),
    _change(
        "CreateConsoleUser",
        "Let somebody sign in at the console with a password; they may do all the account may.",
        _create,
        PASSWORD,
        errors=(
            "InvalidUserName.Malformed",
            BAD_PASSWORD,
            "EntityAlreadyExists.User",
            "LimitExceeded.User",
        ),
    ),
    _change(
        "SetConsoleUserPassword",
        "Give a console user another password and end what they have open.",
        _set_password,
        PASSWORD,
        errors=(NOT_FOUND, BAD_PASSWORD),
    ),
    _change(
        "ModifyConsoleUser",
        "Disable a console user and end what they have open, or enable them again.",
        _modify,
        Param("Disabled", Kind.BOOLEAN, required=True),
        errors=(NOT_FOUND, LAST_WAY_IN),
    ),
    _change(
        "DeleteConsoleUser",
        "Delete a console user and end what they have open.",
        _delete,
        errors=(NOT_FOUND, LAST_WAY_IN),
    ),
)
