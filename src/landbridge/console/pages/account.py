"""The account: its UID, access keys, users, audit trail, and what its networks would cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError, Secret
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..signin import Door
from ..visit import Visit, url
from .asking import Asked, confirm, confirmed

#: (last part of the address, label)
_TABS = (("", "Account"), ("users", "Users"), ("trail", "Audit trail"), ("costs", "Costs"))
_NAME = Field("UserName", "User name", required=True, most=64,
              pattern=r"[A-Za-z][A-Za-z0-9_.@\-]{0,63}",
              rule="A letter first; then letters, digits and _ . @ -, at most 64.")  # fmt: skip
_PASSWORD = Field("Password", "Password", Kind.PASSWORD, required=True, least=12, most=256,
                  autocomplete="new-password",
                  rule="12 to 256 characters, not too plain.")  # fmt: skip
_OWN = "own"
_CODES = {
    "Throttling.User": _OWN,
    "InvalidUserName.Malformed": "UserName",
    "EntityAlreadyExists.User": "UserName",
    "InvalidPassword.Malformed": "Password",
}
_PAGE = 50


def _tab(visit: Visit, template: str, tab: str, *, live: float = 5, **facts: Any) -> Response:
    return visit.page(
        template,
        live=live,
        tabs=[(url("account", last), label) for last, label in _TABS],
        here=url("account", tab),
        **facts,
    )


def _asked(
    heading: str, button: str, tab: str = "", intro: str = "", danger: bool = False
) -> Asked:
    back = url("account", tab)
    return Asked(heading, button, back, [(url("account"), "Account")], intro, danger)


def _show(visit: Visit) -> Response:
    return _tab(visit, "account.html", "", keys=_keys(visit))


def _key_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    intro = "For programs. Its secret is shown once, on the next page, and nowhere else."
    page = _asked("Create AccessKey", "Create", intro=intro)
    return page.page(visit, form or Form((_own(visit),), _CODES), status)


def _create_key(visit: Visit) -> Response:
    form = Form((_own(visit),), _CODES).filled(visit.form)
    if not _is_own(visit, form):
        return _key_form(visit, form, 422)
    try:
        made = visit.call("landbridge.CreateAccessKey")
    except CloudError as problem:
        return _key_form(visit, form, form.refuse(problem))
    return visit.page("account_key.html", key=made, back=url("account"))


def _keys(visit: Visit) -> list[dict[str, Any]]:
    return visit.every("landbridge.ListAccessKeys", lambda answer: answer["AccessKeys"])


def _disable_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    key = visit["key"]
    if all(row["UserAccessKeyId"] != key for row in _keys(visit)):
        raise CloudError("InvalidAccessKeyId.NotFound")
    own = " You are signed in with it, and will be signed out." * (visit.who.access_key_id == key)
    intro = f"Programs that use it are refused from now on; it cannot be enabled again.{own}"
    asked = _asked("Disable AccessKey", "Disable", intro=intro, danger=True)
    return asked.page(visit, form or confirm("disable", key), status)


def _disable_key(visit: Visit) -> Response:
    key = visit["key"]
    again = confirmed(
        visit, "disable", key, _disable_form,
        lambda: visit.call("landbridge.DisableAccessKey", UserAccessKeyId=key),
    )  # fmt: skip
    return again or visit.go(url("account"), f"{key} is disabled.")


def _users(visit: Visit) -> Response:
    return _tab(visit, "account_users.html", "users", users=_every_user(visit))


def _every_user(visit: Visit) -> list[dict[str, Any]]:
    return visit.every("landbridge.ListConsoleUsers", lambda answer: answer["Users"])


def _user(visit: Visit) -> str:
    """The user that the address names. CloudError (EntityNotExist.User)."""
    if all(row["UserName"] != visit["user"] for row in _every_user(visit)):
        raise CloudError("EntityNotExist.User")
    return visit["user"]


def _user_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    intro = "Somebody who signs in at the console; they may do all that the account may."
    page = _asked("Create User", "OK", "users", intro)
    return page.page(visit, form or _new_user(visit), status)


def _new_user(visit: Visit) -> Form:
    return Form((_NAME, replace(_PASSWORD, label="Password of the user"), _own(visit)), _CODES)


def _create_user(visit: Visit) -> Response:
    form = _new_user(visit).filled(visit.form)
    if not _is_own(visit, form):
        return _user_form(visit, form, 422)
    try:
        visit.call("landbridge.CreateConsoleUser", **form.arguments("UserName", "Password"))
    except CloudError as problem:
        return _user_form(visit, form, form.refuse(problem))
    return visit.go(url("account", "users"), f"{form.value('UserName')} may sign in now.")


def _password_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    intro = f"Of {_user(visit)}. Where they are signed in, they are signed out."
    page = _asked("Set Password", "OK", "users", intro)
    return page.page(visit, form or _new_password(visit), status)


def _new_password(visit: Visit) -> Form:
    own = _own(visit, "present" if visit.who.user == visit["user"] else "own")
    return Form((own, replace(_PASSWORD, label="New password")), _CODES)


def _own(visit: Visit, which: str = "own") -> Field:
    """What is asked of who is signed in before anybody gets a way in.

    A login that somebody found open is not enough to take an account over.
    """
    label = f"Your {which} password"
    if visit.who.access_key_id is not None:
        label = "The secret of the AccessKey that you are signed in with"
    return Field(_OWN, label, Kind.PASSWORD, required=True, autocomplete="current-password")


def _is_own(visit: Visit, form: Form) -> bool:
    """Whether it was right; what is wrong is said in the form."""
    if not form.value(_OWN):
        form.check()
        return False
    try:
        Door(visit.service).require(visit.who, Secret(form.value(_OWN)), visit.source)
    except CloudError as problem:
        form.refuse(problem)
        if problem.code not in _CODES:
            form.errors, form.remedy = {_OWN: "This is not right; nothing was changed."}, ""
        return False
    return True


def _set_password(visit: Visit) -> Response:
    user = _user(visit)
    form = _new_password(visit).filled(visit.form)
    if not _is_own(visit, form):
        return _password_form(visit, form, 422)
    try:
        visit.call("landbridge.SetConsoleUserPassword", UserName=user, **form.arguments("Password"))
    except CloudError as problem:
        return _password_form(visit, form, form.refuse(problem))
    return visit.go(url("account", "users"), f"{user} has another password.")


def _bar_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    user = _user(visit)
    intro = "What they have open is signed out, and they cannot sign in until they are enabled."
    page = _asked("Disable User", "Disable", "users", intro, danger=True)
    return page.page(visit, form or confirm("disable", user), status)


def _bar(visit: Visit) -> Response:
    user = visit["user"]
    again = confirmed(
        visit, "disable", user, _bar_form,
        lambda: visit.call("landbridge.ModifyConsoleUser", UserName=user, Disabled=True),
    )  # fmt: skip
    return again or visit.go(url("account", "users"), f"{user} may not sign in any more.")


def _admit(visit: Visit) -> Response:
    visit.call("landbridge.ModifyConsoleUser", UserName=visit["user"], Disabled=False)
    return visit.go(url("account", "users"), f"{visit['user']} may sign in again.")


def _remove_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    user = _user(visit)
    intro = "What they have open is signed out. What they did stays in the audit trail."
    page = _asked("Delete User", "Delete", "users", intro, danger=True)
    return page.page(visit, form or confirm("delete", user), status)


def _remove_user(visit: Visit) -> Response:
    user = visit["user"]
    again = confirmed(
        visit, "delete", user, _remove_form,
        lambda: visit.call("landbridge.DeleteConsoleUser", UserName=user),
    )  # fmt: skip
    return again or visit.go(url("account", "users"), f"{user} was deleted.")


def _trail(visit: Visit) -> Response:
    given = visit.query
    form = Form(
        (
            Field("ActionName", "Action", placeholder="rds.CreateDBInstance"),
            Field("Outcome", "Outcome", Kind.CHOICE, placeholder="Any",
                  options=(Option("Success", "Success"),)),
            Field("StartTime", "From (UTC)", placeholder="2026-01-31 12:00"),
            Field("EndTime", "Until (UTC)", placeholder="2026-01-31 13:00"),
        ),
        values=dict(given),
    )  # fmt: skip
    number = int(given["page"][:9]) if given.get("page", "").isdecimal() else 1
    answer: dict[str, Any] = {"Entries": [], "TotalCount": 0}
    try:
        answer = visit.call(
            "landbridge.DescribeAuditTrail",
            ActionName=given.get("ActionName", "").strip(),
            Outcome=given.get("Outcome"),
            StartTime=_moment(form, "StartTime"),
            EndTime=_moment(form, "EndTime"),
            PageNumber=number,
            PageSize=_PAGE,
        )
    except CloudError as problem:
        form.refuse(problem)
    asked = {field.name: given.get(field.name, "") for field in form.fields}
    pages = -(-answer["TotalCount"] // _PAGE)
    at = {n: url("account", "trail", **asked, page=n) for n in (number - 1, number + 1)}
    return _tab(
        visit, "account_trail.html", "trail", live=0, form=form, entries=answer["Entries"],
        since=answer.get("CompleteSince"), total=answer["TotalCount"], number=number, pages=pages,
        before=at[number - 1] if number > 1 else "", after=at[number + 1] if number < pages else "",
    )  # fmt: skip


def _moment(form: Form, name: str) -> str:
    """A time as it was typed, in the form of a call; as it is where it cannot be read."""
    text = form.value(name).strip()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _costs(visit: Visit) -> Response:
    first = visit.call("landbridge.DescribeCostEstimate", PageSize=1)
    rows = visit.every("landbridge.DescribeCostEstimate", lambda answer: answer["Costs"])
    return _tab(visit, "account_costs.html", "costs", live=0, estimate=first, costs=rows)


PAGES = (
    Page("/account", _show),
    Page("/account/keys", _key_form, _create_key),
    Page("/account/keys/{key}/disable", _disable_form, _disable_key),
    Page("/account/users", _users),
    Page("/account/users/create", _user_form, _create_user),
    Page("/account/users/{user}/password", _password_form, _set_password),
    Page("/account/users/{user}/disable", _bar_form, _bar),
    Page("/account/users/{user}/enable", send=_admit),
    Page("/account/users/{user}/delete", _remove_form, _remove_user),
    Page("/account/trail", _trail),
    Page("/account/costs", _costs),
)
