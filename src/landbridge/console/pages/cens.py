"""CEN: instances, and making one."""

from __future__ import annotations

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form, Kind
from ..page import Page
from ..visit import Visit, url

_NAME_RULE = "2 to 128 characters, a letter first; letters, digits, '-' and '_'."
_CREATE = Form(
    (
        Field("Name", "Name", required=True, least=2, most=128,
              pattern=r"\p{L}[\p{L}\p{Nd}_\-]{1,127}", rule=_NAME_RULE),
        Field("Description", "Description", Kind.AREA, least=2, most=256,
              rule="2 to 256 characters, not beginning with http:// or https://; or empty."),
    ),
    codes={"InvalidName": "Name", "InvalidDescription": "Description"},
)  # fmt: skip


def _list(visit: Visit) -> Response:
    cens = visit.every("cbn.DescribeCens", lambda answer: answer["Cens"]["Cen"])
    return visit.page("cens.html", live=2, cens=cens)


def _form(visit: Visit, form: Form = _CREATE, status: int = 200) -> Response:
    return visit.page(
        "form.html",
        status=status,
        heading="Create CEN Instance",
        crumbs=[(url("cen"), "Instances")],
        intro="A CEN instance joins VPCs, of one account or several, over an internal network.",
        form=form,
        button="OK",
        danger=False,
        back=url("cen"),
    )


def _create(visit: Visit) -> Response:
    form = _CREATE.filled(visit.form)
    try:
        made = visit.call("cbn.CreateCen", **form.arguments())
    except CloudError as problem:
        return _form(visit, form, form.refuse(problem))
    return visit.go(url("cen", made["CenId"]), f"CEN instance {made['CenId']} is being created.")


PAGES = (Page("/cen", _list), Page("/cen/create", _form, _create))
