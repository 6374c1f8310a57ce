"""To which CEN instances of other accounts a VPC is granted: giving and taking back."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..visit import Visit, url
from . import vpcs
from .asking import confirm, confirmed

_TAB = "authorization"
_OWNER, _SELF = "PayByCenOwner", "PayByResourceOwner"
PAYERS = {_OWNER: "CEN instance owner", _SELF: "VPC owner"}
_GRANT = Form(
    (
        Field("CenOwnerId", "Peer Account UID", required=True, pattern=r"\d{16}", rule="16 digits.",
              help="Of the account that the CEN instance belongs to."),
        Field("CenId", "Peer Account CEN ID", required=True, pattern=r"cen-[a-z0-9]+",
              rule="Begins with cen-.", help="Both stand on the CEN instance's own page."),
        Field("OrderType", "Fees of the attachment are paid by", Kind.RADIO, default=_OWNER,
              options=(Option(_OWNER, PAYERS[_OWNER]), Option(_SELF, PAYERS[_SELF]))),
    ),
    {"InvalidCenId.NotFound": "CenId", "InvalidParameter": "CenOwnerId"},
)  # fmt: skip


def _rules(visit: Visit) -> list[dict[str, Any]]:
    return visit.tokens(
        "cbn.DescribeGrantRulesToResource",
        lambda answer: answer["GrantRules"],
        ResourceId=visit["id"],
        ProductType="VPC",
    )


def _show(visit: Visit) -> Response:
    return vpcs.tab_page(
        visit,
        "vpc_grants.html",
        _TAB,
        vpc=vpcs.found(visit),
        rules=_rules(visit),
        attachment=vpcs.attachment(visit, visit["id"]),
        payers=PAYERS,
        instances=vpcs.instances(visit, visit["id"]),
    )


def _give_form(visit: Visit, form: Form = _GRANT, status: int = 200) -> Response:
    vpcs.found(visit)
    intro = (
        "The other account may then connect this VPC to that CEN instance, and reach what its"
        " whitelists let in. Nothing passes before it does."
    )
    asked = vpcs.asked(visit, "Authorize Cross Account Attach CEN", "OK", _TAB, intro)
    return asked.page(visit, form, status)


def _give(visit: Visit) -> Response:
    form = _GRANT.filled({name: text.strip() for name, text in visit.form.items()})
    try:
        visit.call(
            "cbn.GrantInstanceToTransitRouter",
            InstanceId=visit["id"],
            InstanceType="VPC",
            **form.arguments(),
        )
    except CloudError as problem:
        return _give_form(visit, form, form.refuse(problem))
    said = f"{visit['id']} is granted to {form.value('CenId')}; its owner can connect it now."
    return visit.go(url("vpc", visit["id"], _TAB), said)


def _owner(visit: Visit) -> int:
    """Of the CEN that the address names and the VPC is granted to. CloudError (GrantNotExist)."""
    for rule in _rules(visit):
        if rule["CenId"] == visit["cen"]:
            return int(rule["CenOwnerId"])
    raise CloudError("GrantNotExist")


def _revoke_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    vpcs.found(visit)
    _owner(visit)
    intro = (
        f"The account of {visit['cen']} cannot connect this VPC any more. While it is connected,"
        " a grant cannot be revoked: detach the VPC first, which ends a migration over it."
    )
    asked = vpcs.asked(visit, "Revoke Authorization", "Revoke", _TAB, intro, danger=True)
    return asked.page(visit, form or confirm("revoke the grant to", visit["cen"]), status)


def _revoke(visit: Visit) -> Response:
    cen = visit["cen"]

    def act() -> None:
        visit.call(
            "cbn.RevokeInstanceFromTransitRouter",
            CenId=cen,
            CenOwnerId=_owner(visit),
            InstanceId=visit["id"],
            InstanceType="VPC",
        )

    again = confirmed(visit, "revoke the grant to", cen, _revoke_form, act)
    return again or visit.go(url("vpc", visit["id"], _TAB), f"The grant to {cen} was revoked.")


_BASE = f"/vpc/{{id}}/{_TAB}"
PAGES = (
    Page(_BASE, _show),
    Page(f"{_BASE}/give", _give_form, _give),
    Page(f"{_BASE}/{{cen}}/revoke", _revoke_form, _revoke),
)
