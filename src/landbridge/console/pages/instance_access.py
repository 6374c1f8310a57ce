"""Who may connect to an instance: its whitelist, and its accounts."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from .asking import confirm, confirmed
from .instance import dialog, outgoing, tab_page

_GROUP, _SEEN = "DBInstanceIPArrayName", "seen"
_CLOSE = Field(
    "CloseSessions", "End open sessions that are not admitted any more", Kind.CHECK,
    help="Otherwise the whitelist counts for new connections alone.",
)  # fmt: skip


def _groups(visit: Visit) -> list[dict[str, Any]]:
    answer = visit.call("rds.DescribeDBInstanceIPArrayList", DBInstanceId=visit["id"])
    found: list[dict[str, Any]] = answer["Items"]["DBInstanceIPArray"]
    return found


def _whitelist(visit: Visit) -> Response:
    return tab_page(visit, "instance_whitelist.html", "whitelist", groups=_groups(visit))


def _held(visit: Visit, group: str) -> str:
    """The entries of a group; empty where there is none of that name."""
    for row in _groups(visit):
        if row[_GROUP] == group:
            return str(row["SecurityIPList"])
    return ""


def _group_form(visit: Visit) -> Form:
    """A form for the group that the address asks for, or for a new one."""
    name = visit.query.get("group", "")
    entries = _held(visit, name)
    title = Field(_GROUP, "Whitelist name", required=True,
                  pattern="[a-z][a-z0-9_]{0,30}[a-z0-9]",
                  rule="2 to 32 lower-case letters, digits and '_', a letter first.")  # fmt: skip
    if name:
        title = Field(_GROUP, "Whitelist name", Kind.FIXED, default=name)
    return Form(
        (
            title,
            Field(_SEEN, "", Kind.HIDDEN, default=entries),
            Field("SecurityIps", "IP Addresses", Kind.AREA, required=True,
                  default=entries.replace(",", "\n"), placeholder="10.20.0.0/16",
                  help="Addresses or CIDR blocks, one a line or with commas. For a migration:"
                  " the CIDR block of the VPC of the destination instance."),
            _CLOSE,
        ),
        codes={
            "InvalidSecurityIPList.Format": "SecurityIps",
            "InvalidSecurityIPList.Duplicate": "SecurityIps",
            "InvalidSecurityIPList.QuotaExceeded": "SecurityIps",
            "InvalidDBInstanceIPArrayName.Format": _GROUP,
        },
    )  # fmt: skip


def _edit(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    is_new = not visit.query.get("group")
    return dialog(
        visit, "Create Whitelist" if is_new else "Edit Whitelist", form or _group_form(visit),
        "OK", tab="whitelist", status=status,
    )  # fmt: skip


def _save(visit: Visit) -> Response:
    form = _group_form(visit).filled(visit.form)
    held = _held(visit, form.value(_GROUP).strip().lower())
    entries = ",".join(form.value("SecurityIps").replace(",", " ").split())
    if held not in (form.value(_SEEN), entries):  # what is saved replaces it
        _say_changed(form, held, is_new=not visit.query.get("group"))
        return _edit(visit, form, 422)
    try:
        visit.call(
            "rds.ModifySecurityIps",
            DBInstanceId=visit["id"],
            **form.arguments(_GROUP, _CLOSE.name) | {"SecurityIps": entries},
        )
    except CloudError as problem:
        return _edit(visit, form, form.refuse(problem))
    return visit.go(url("rds", visit["id"], "whitelist"), "The whitelist is saved.")


def _say_changed(form: Form, held: str, is_new: bool) -> None:
    if is_new:
        form.check()
        form.errors[_GROUP] = "There is a whitelist of this name; modify that one."
        return
    now = f"has {held.replace(',', ', ')} now" if held else "was deleted"
    form.errors["SecurityIps"] = (
        f"Somebody changed it meanwhile: it {now}. Nothing was saved; OK replaces that."
    )
    form.values[_SEEN] = held


def _remove_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    group = visit["group"]
    if not (held := _held(visit, group)):
        raise CloudError("InvalidDBInstanceIPArrayName.Format", "there is no such whitelist")
    return dialog(
        visit, "Delete Whitelist", form or confirm("delete", group), "Delete", tab="whitelist",
        danger=True, status=status,
        intro=f"Nobody may connect from {held.replace(',', ', ')} any more, unless another group"
        " lets them. Open sessions stay open.",
    )  # fmt: skip


def _remove(visit: Visit) -> Response:
    id, group = visit["id"], visit["group"]
    again = confirmed(
        visit, "delete", group, _remove_form,
        lambda: visit.call("rds.ModifySecurityIps", DBInstanceId=id, DBInstanceIPArrayName=group,
                           SecurityIps=_held(visit, group), ModifyMode="Delete"),
    )  # fmt: skip
    return again or visit.go(url("rds", id, "whitelist"), f"The whitelist {group} was deleted.")


def _name(visit: Visit) -> str:
    """The database account that the address names. CloudError (InvalidAccountName.NotFound)."""
    if all(row["AccountName"] != visit["name"] for row in _every_account(visit)):
        raise CloudError("InvalidAccountName.NotFound")
    return visit["name"]


def _accounts(visit: Visit) -> Response:
    return tab_page(visit, "instance_accounts.html", "accounts", accounts=_every_account(visit))


def _every_account(visit: Visit) -> list[dict[str, Any]]:
    return visit.every(
        "rds.DescribeAccounts", lambda answer: answer["Accounts"]["DBInstanceAccount"],
        DBInstanceId=visit["id"],
    )  # fmt: skip


_PASSWORD = Field(
    "AccountPassword", "Password", Kind.PASSWORD, required=True, least=8, most=32,
    autocomplete="new-password",
    rule="8 to 32 characters, of three of: upper case, lower case, digits, !@#$%^&*()_+-=",
)  # fmt: skip
_AGAIN = Field(
    "again", "Confirm password", Kind.PASSWORD, required=True, autocomplete="new-password"
)
_CREATE = Form(
    (
        Field("AccountName", "Database account", required=True, least=2, most=63,
              pattern="[a-z][a-z0-9_]{0,61}[a-z0-9]",
              rule="2 to 63 lower-case letters, digits and '_'; a letter first."),
        Field("AccountType", "Account Type", Kind.RADIO, default="Super", options=(
            Option("Super", "Privileged Account",
                   "CREATEROLE, REPLICATION and pg_monitor: what a migration's source needs"),
            Option("Normal", "Standard Account", "May log in, and what it is granted"),
        )),
        _PASSWORD,
        _AGAIN,
        Field("AccountDescription", "Description", least=2, most=256,
              rule="2 to 256 characters, a letter first; or empty."),
    ),
    codes={
        "InvalidAccountName.Malformed": "AccountName",
        "InvalidAccountName.Duplicate": "AccountName",
        "InvalidAccountPassword.Malformed": "AccountPassword",
        "InvalidAccountDescription.Malformed": "AccountDescription",
    },
)  # fmt: skip
_RESET = Form((_PASSWORD, _AGAIN), codes=_CREATE.codes)


def _create_form(visit: Visit, form: Form = _CREATE, status: int = 200) -> Response:
    return dialog(visit, "Create Account", form, "Create", tab="accounts", status=status)


def _create(visit: Visit) -> Response:
    return _with_password(visit, _CREATE, _create_form, "rds.CreateAccount", "is being created.")


def _reset_form(visit: Visit, form: Form = _RESET, status: int = 200) -> Response:
    name = _name(visit)
    return dialog(
        visit, f"Reset Password of {name}", form, "OK", tab="accounts", status=status,
        intro=f"{_in_use(visit, name, 'has the password that it had')}"
        "Open sessions stay open; new ones need the new password.",
    )  # fmt: skip


def _reset(visit: Visit) -> Response:
    return _with_password(
        visit, _RESET, _reset_form, "rds.ResetAccountPassword", "gets another password.",
        AccountName=visit["name"],
    )  # fmt: skip


def _with_password(
    visit: Visit, blank: Form, show: Any, action: str, said: str, **more: str
) -> Response:
    form = blank.filled(visit.form)
    answer: Response
    if form.value("AccountPassword") != form.value("again"):
        form.check()
        form.errors["again"] = "The two passwords are not the same."
        answer = show(visit, form, 422)
        return answer
    given = {name: text for name, text in form.arguments().items() if name != "again"}
    try:
        visit.call(action, DBInstanceId=visit["id"], **given, **more)
    except CloudError as problem:
        answer = show(visit, form, form.refuse(problem))
        return answer
    name = more.get("AccountName") or form.values["AccountName"]
    return visit.go(url("rds", visit["id"], "accounts"), f"The account {name} {said}")


def _in_use(visit: Visit, name: str, what: str) -> str:
    """What a migration that reads from the instance as this account would meet."""
    running = [o for o in outgoing(visit, DBInstanceId=visit["id"]) if not o["Moved"]]
    if all(each["AccountName"] != name for each in running):
        return ""
    return (
        f"A migration reads from this instance as {name}, and {what}: it loses the source, and a"
        " switchover fails. "
    )


def _delete_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    name = _name(visit)
    return dialog(
        visit, f"Delete {name}", form or confirm("delete", name), "Delete", tab="accounts",
        danger=True, status=status,
        intro=f"{_in_use(visit, name, 'can sign in no more')}"
        "Its sessions end. An account that owns something stays until it does not.",
    )  # fmt: skip


def _delete(visit: Visit) -> Response:
    id, name = visit["id"], visit["name"]
    again = confirmed(
        visit, "delete", name, _delete_form,
        lambda: visit.call("rds.DeleteAccount", DBInstanceId=id, AccountName=name),
    )  # fmt: skip
    return again or visit.go(url("rds", id, "accounts"), f"The account {name} is being deleted.")


PAGES = (
    Page("/rds/{id}/whitelist", _whitelist),
    Page("/rds/{id}/whitelist/edit", _edit, _save),
    Page("/rds/{id}/whitelist/{group}/delete", _remove_form, _remove),
    Page("/rds/{id}/accounts", _accounts),
    Page("/rds/{id}/accounts/create", _create_form, _create),
    Page("/rds/{id}/accounts/{name}/password", _reset_form, _reset),
    Page("/rds/{id}/accounts/{name}/delete", _delete_form, _delete),
)
