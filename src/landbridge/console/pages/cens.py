"""CEN: the instances, and making one."""

from __future__ import annotations

from collections import Counter

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form, Kind
from ..page import Page
from ..visit import Visit, url
from .asking import Asked

NAME_RULE = "2 to 128 characters, a letter first; letters, digits, '-' and '_'."
NAMED = (
    Field("Name", "Name", required=True, least=2, most=128,
          pattern=r"\p{L}[\p{L}\p{Nd}_\-]{1,127}", rule=NAME_RULE),
    Field("Description", "Description", Kind.AREA, least=2, most=256,
          pattern=r"(?!https?://)[\s\S]{2,256}",
          rule="2 to 256 characters, not beginning with http:// or https://; or empty."),
)  # fmt: skip
CODES = {"InvalidName": "Name", "InvalidDescription": "Description"}
_CREATE = Form(NAMED, codes=CODES)


def _list(visit: Visit) -> Response:
    cens = visit.every("cbn.DescribeCens", lambda answer: answer["Cens"]["Cen"])
    attached = visit.tokens(
        "cbn.ListTransitRouterVpcAttachments", lambda answer: answer["TransitRouterAttachments"]
    )
    lines = visit.tokens(
        "cbn.ListTransitRouterPeerAttachments", lambda answer: answer["TransitRouterAttachments"]
    )
    foreign = [a for a in attached if a["CenId"] not in {cen["CenId"] for cen in cens}]
    return visit.page(
        "cens.html",
        live=2,
        cens=cens,
        vpcs=Counter(a["CenId"] for a in attached),
        lines=Counter(a["CenId"] for a in lines),
        foreign=foreign,
    )


def _form(visit: Visit, form: Form = _CREATE, status: int = 200) -> Response:
    asked = Asked(
        "Create CEN Instance", "OK", url("cen"), [(url("cen"), "CEN instances")],
        "A CEN instance joins VPCs, of one account or several, over an internal network.",
    )  # fmt: skip
    return asked.page(visit, form, status)


def entered(visit: Visit) -> Form:
    """NAMED as it was sent. The API takes a CEN without a name; the procedure has one."""
    form = _CREATE.filled(visit.form)
    if not form.value("Name"):
        form.errors["Name"] = NAME_RULE
    return form


def _create(visit: Visit) -> Response:
    form = entered(visit)
    if form.errors:
        return _form(visit, form, 422)
    try:
        made = visit.call("cbn.CreateCen", **form.arguments())
    except CloudError as problem:
        return _form(visit, form, form.refuse(problem))
    return visit.go(url("cen", made["CenId"]), f"CEN instance {made['CenId']} is being created.")


PAGES = (Page("/cen", _list), Page("/cen/create", _form, _create))
