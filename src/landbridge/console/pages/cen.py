"""One CEN instance: its facts, what is connected, and what is to be done next."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Form
from ..page import Page
from ..visit import Visit, url
from .asking import Asked, Crumbs, confirm, confirmed
from .cens import CODES, NAMED, entered

#: (last part of the address, label)
TABS = (
    ("", "Basic Information"),
    ("bandwidth-plans", "Bandwidth Plans"),
    ("connections", "Inter-region Connections"),
    ("topology", "Topology"),
)
_Row = dict[str, Any]


def found(visit: Visit) -> _Row:
    """The CEN that the address names. CloudError (InvalidCenId.NotFound)."""
    only = [{"Key": "CenId", "Value": [visit["id"]]}]
    rows = visit.call("cbn.DescribeCens", Filter=only)["Cens"]["Cen"]
    if not rows:
        raise CloudError("InvalidCenId.NotFound")
    cen: _Row = rows[0]
    return cen


def attachments(visit: Visit) -> list[_Row]:
    """The VPCs that are connected to the CEN, or about to be."""
    return visit.tokens(
        "cbn.ListTransitRouterVpcAttachments",
        lambda answer: answer["TransitRouterAttachments"],
        CenId=visit["id"],
    )


def routers(visit: Visit) -> list[_Row]:
    """The transit routers of the CEN."""
    return visit.every(
        "cbn.ListTransitRouters", lambda answer: answer["TransitRouters"], CenId=visit["id"]
    )


def lines(visit: Visit) -> list[_Row]:
    """The inter-region connections of the CEN."""
    return visit.tokens(
        "cbn.ListTransitRouterPeerAttachments",
        lambda answer: answer["TransitRouterAttachments"],
        CenId=visit["id"],
    )


def grants(visit: Visit, **only: object) -> list[_Row]:
    """The VPCs that other accounts have granted to the CEN."""
    return visit.tokens(
        "cbn.DescribeGrantRulesToCen",
        lambda answer: answer["GrantRules"]["GrantRule"],
        CenId=visit["id"],
        ProductType="VPC",
        **only,
    )


def tab_page(visit: Visit, template: str, tab: str, **facts: Any) -> Response:
    """A tab of the CEN."""
    id = visit["id"]
    return visit.page(
        template,
        tabs=[(url("cen", id, last), label) for last, label in TABS],
        here=url("cen", id, tab),
        **facts,
    )


def asked(
    visit: Visit, heading: str, button: str, tab: str = "", intro: str = "", danger: bool = False
) -> Asked:
    """A form about the CEN, which leads back to a tab of it."""
    id = visit["id"]
    crumbs: Crumbs = [(url("cen"), "CEN instances"), (url("cen", id), id)]
    back = url("cen", id, tab)
    return Asked(heading, button, back, crumbs, intro, danger)


def _show(visit: Visit) -> Response:
    cen, attached, joined = found(visit), attachments(visit), lines(visit)
    here = {a["VpcId"] for a in attached}
    return tab_page(
        visit,
        "cen.html",
        "",
        live=2,
        cen=cen,
        attachments=attached,
        routers=routers(visit),
        lines=joined,
        waiting=[g for g in grants(visit) if g["ChildInstanceId"] not in here],
        apart=_apart(attached, joined),
    )


def _apart(attached: list[_Row], joined: list[_Row]) -> list[tuple[str, str]]:
    """Pairs of regions with VPCs between which there is no connection."""
    regions = sorted({a["VpcRegionId"] for a in attached})
    there = {frozenset((a["RegionId"], a["PeerTransitRouterRegionId"])) for a in joined}
    return [
        (one, other)
        for n, one in enumerate(regions)
        for other in regions[n + 1 :]
        if frozenset((one, other)) not in there
    ]


def _edit_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    if form is None:
        cen = found(visit)
        form = Form(NAMED, CODES, {name: cen[name] for name in ("Name", "Description")})
    return asked(visit, "Modify CEN Instance", "OK").page(visit, form, status)


def _edit(visit: Visit) -> Response:
    form = entered(visit)
    if form.errors:
        return _edit_form(visit, form, 422)
    try:
        visit.call("cbn.ModifyCenAttribute", CenId=visit["id"], **form.arguments())
    except CloudError as problem:
        return _edit_form(visit, form, form.refuse(problem))
    return visit.go(url("cen", visit["id"]), "The CEN instance was modified.")


def _delete_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    found(visit)
    intro = (
        "Its transit routers go with it. Detach its network instances and delete its inter-region"
        " connections and bandwidth plans first. What others granted to it is void."
    )
    page = asked(visit, "Delete CEN Instance", "Delete", intro=intro, danger=True)
    return page.page(visit, form or confirm("delete", visit["id"]), status)


def _delete(visit: Visit) -> Response:
    id = visit["id"]
    again = confirmed(
        visit, "delete", id, _delete_form, lambda: visit.call("cbn.DeleteCen", CenId=id)
    )
    return again or visit.go(url("cen"), f"CEN instance {id} is being deleted.")


PAGES = (
    Page("/cen/{id}", _show),
    Page("/cen/{id}/edit", _edit_form, _edit),
    Page("/cen/{id}/delete", _delete_form, _delete),
)
