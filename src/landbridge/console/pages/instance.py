"""One RDS instance: its facts, its end point, and what is done to it as a whole."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form
from ..page import Page
from ..visit import Visit, url
from .asking import Asked, Show, confirm, confirmed

#: (last part of the address, label), in the order of the console's navigation pane.
TABS = (
    ("", "Basic Information"),
    ("connection", "Database Connection"),
    ("whitelist", "Whitelist and SecGroup"),
    ("accounts", "Accounts"),
    ("migration", "Cloud Migration/DR Construction"),
    ("parameters", "Parameters"),
    ("sessions", "Sessions"),
    ("logs", "Logs"),
)


def attribute(visit: Visit) -> dict[str, Any]:
    """The instance that the address names."""
    answer = visit.call("rds.DescribeDBInstanceAttribute", DBInstanceId=visit["id"])
    found: dict[str, Any] = answer["Items"]["DBInstanceAttribute"][0]
    return found


def outgoing(visit: Visit, **of: str) -> list[dict[str, Any]]:
    """Migrations out of an instance, or out of all: those that run, and who has moved away."""
    found: list[dict[str, Any]] = visit.call("landbridge.DescribeOutgoingMigrations", **of)["Items"]
    return found


def tab_page(
    visit: Visit, template: str, tab: str, *, live: float = 2, status: int = 200, **facts: Any
) -> Response:
    """A tab of an instance."""
    id = visit["id"]
    return visit.page(
        template,
        live=live,
        status=status,
        instance=attribute(visit),
        outgoing=outgoing(visit, DBInstanceId=id),
        tabs=[(url("rds", id, last), label) for last, label in TABS],
        here=url("rds", id, tab),
        **facts,
    )


def dialog(
    visit: Visit, heading: str, form: Form, button: str, *, tab: str = "", intro: str = "",
    danger: bool = False, status: int = 200,
) -> Response:  # fmt: skip
    """A form about an instance."""
    id = attribute(visit)["DBInstanceId"]
    crumbs = [(url("rds"), "RDS instances"), (url("rds", id), id)]
    back = url("rds", id, tab)
    return Asked(heading, button, back, crumbs, intro, danger).page(visit, form, status)


def _basics(visit: Visit) -> Response:
    return tab_page(visit, "instance_basics.html", "")


def _connection(visit: Visit) -> Response:
    return tab_page(visit, "instance_connection.html", "connection", endpoints=_endpoints(visit))


def _endpoints(visit: Visit) -> list[dict[str, Any]]:
    """The internal one, and the public one if there is one."""
    answer = visit.call("rds.DescribeDBInstanceNetInfo", DBInstanceId=visit["id"])
    found: list[dict[str, Any]] = answer["DBInstanceNetInfos"]["DBInstanceNetInfo"]
    return found


def _allocate(visit: Visit) -> Response:
    id = visit["id"]
    visit.call("rds.AllocateInstancePublicConnection", DBInstanceId=id)
    return visit.go(url("rds", id, "connection"), "The public endpoint is being made.")


def _withdraw_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    _public(visit)
    return dialog(
        visit, "Release Public Endpoint",
        form or confirm("release the public endpoint of", visit["id"]), "Release",
        tab="connection", danger=True, status=status,
        intro="Nobody can connect over it any more. Another one may have another port.",
    )  # fmt: skip


def _withdraw(visit: Visit) -> Response:
    id = visit["id"]
    again = confirmed(
        visit, "release the public endpoint of", id, _withdraw_form,
        lambda: visit.call("rds.ReleaseInstancePublicConnection", DBInstanceId=id,
                           CurrentConnectionString=_public(visit)),
    )  # fmt: skip
    return again or visit.go(url("rds", id, "connection"), "The public endpoint is released.")


def _public(visit: Visit) -> str:
    """The public endpoint. CloudError (InvalidCurrentConnectionString.NotFound)."""
    for each in _endpoints(visit):
        if each["IPType"] == "Public":
            return str(each["ConnectionString"])
    raise CloudError("InvalidCurrentConnectionString.NotFound")


def _restart_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    return dialog(
        visit, "Restart Instance", form or confirm("restart", visit["id"]), "Restart",
        danger=True, status=status,
        intro="Its server is stopped and started again: every session ends, and nobody can"
        " connect for some seconds.",
    )  # fmt: skip


def _release_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    return dialog(
        visit, "Release Instance", form or confirm("release", visit["id"]), "Release",
        danger=True, status=status,
        intro="The instance goes, with all its data. This cannot be undone.",
    )  # fmt: skip


def _carried_out(visit: Visit, show: Show, verb: str, action: str, *back: str) -> Response:
    """Do to the instance what was confirmed by its id."""
    id = visit["id"]
    again = confirmed(visit, verb, id, show, lambda: visit.call(action, DBInstanceId=id))
    return again or visit.go(url("rds", *back), f"{id}: {verb} was ordered.")


def _restart(visit: Visit) -> Response:
    return _carried_out(visit, _restart_form, "restart", "rds.RestartDBInstance", visit["id"])


def _release(visit: Visit) -> Response:
    return _carried_out(visit, _release_form, "release", "rds.DeleteDBInstance")


def _rename_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    return dialog(visit, "Rename Instance", form or _named(attribute(visit)), "OK", status=status)


def _named(instance: dict[str, Any]) -> Form:
    return Form(
        (Field("DBInstanceDescription", "Name", required=True, least=2, most=255,
               default=instance["DBInstanceDescription"],
               rule="2 to 255 characters, a letter first."),),
        codes={"InvalidDBInstanceDescription.Malformed": "DBInstanceDescription"},
    )  # fmt: skip


def _rename(visit: Visit) -> Response:
    form = _named(attribute(visit)).filled(visit.form)
    try:
        visit.call("rds.ModifyDBInstanceDescription", DBInstanceId=visit["id"], **form.arguments())
    except CloudError as problem:
        return _rename_form(visit, form, form.refuse(problem))
    return visit.go(url("rds", visit["id"]), "The instance has another name.")


PAGES = (
    Page("/rds/{id}", _basics),
    Page("/rds/{id}/connection", _connection, _allocate),
    Page("/rds/{id}/connection/release", _withdraw_form, _withdraw),
    Page("/rds/{id}/rename", _rename_form, _rename),
    Page("/rds/{id}/restart", _restart_form, _restart),
    Page("/rds/{id}/release", _release_form, _release),
)
