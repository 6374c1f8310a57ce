"""`landbridge cen plan`: bandwidth between two areas."""

from __future__ import annotations

from typing import Annotated

import typer

from ..api import Api
from ..verbs import Name, argument, group, verb
from .group import CenArgument, cen
from .lists import PLANS

plan = group("plan", "Bandwidth plans: Mbit/s between two areas, for months.")
cen.add_typer(plan)

PlanArgument = Annotated[str, argument("PLAN", "Id of a bandwidth plan.")]


def _area(name: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--area-{name}", metavar="AREA", help=f"Area {name.upper()}; stays as it is bought."
    )
    return option


@verb(plan)
def buy(
    api: Api,
    mbit: Annotated[int, argument("MBIT", "Mbit/s in each direction.")],
    cen: Annotated[
        str | None,
        typer.Option(
            "--cen", metavar="CEN", help="Give it to this CEN at once.", show_default=False
        ),
    ] = None,
    area_a: Annotated[str, _area("a")] = "China",
    area_b: Annotated[str, _area("b")] = "China",
    months: Annotated[int, typer.Option("--months", metavar="N", help="For how long.")] = 1,
    auto_renew: Annotated[
        bool, typer.Option("--auto-renew", metavar="", help="Renew it by a month when it ends.")
    ] = False,
    name: Name = None,
) -> None:
    """Buy a bandwidth plan and print its id."""
    answer = api.call(
        "cbn", "CreateCenBandwidthPackage", Bandwidth=mbit, GeographicRegionAId=area_a,
        GeographicRegionBId=area_b, Period=months, PricingCycle="Month", AutoRenew=auto_renew,
        Name=name,
    )  # fmt: skip
    id = answer["CenBandwidthPackageId"]
    if cen is not None:
        _give(api, id, cen)
    api.done(answer, id)


@verb(plan)
def renew(
    api: Api,
    plan: PlanArgument,
    months: Annotated[int, typer.Option("--months", metavar="N", help="By how much.")] = 1,
) -> None:
    """Renew a plan from its end or, when it has expired, from now."""
    answer = api.call("landbridge", "RenewBandwidthPlan", CenBandwidthPackageId=plan, Period=months)
    api.done(answer, f"{plan} ends on {answer['ExpiredTime']}.")


@verb(plan, "auto-renew")
def auto_renew(
    api: Api,
    plan: PlanArgument,
    months: Annotated[
        int, typer.Option("--months", metavar="N", help="By how much; 0: not any more.")
    ] = 1,
) -> None:
    """Let a plan renew itself whenever it ends, or not any more."""
    answer = api.call(
        "landbridge", "SetBandwidthPlanAutoRenewal", CenBandwidthPackageId=plan,
        AutoRenew=months > 0, AutoRenewDuration=months or None,
    )  # fmt: skip
    said = f"renews itself by {months} months" if months else "does not renew itself"
    api.done(answer, f"{plan} {said}.")


@verb(plan)
def associate(api: Api, plan: PlanArgument, cen: CenArgument) -> None:
    """Give a plan to a CEN."""
    api.done(_give(api, plan, cen), f"{plan} is of {cen}.")


@verb(plan)
def release(api: Api, plan: PlanArgument, cen: CenArgument) -> None:
    """Take a plan from its CEN; no connection may use it."""
    answer = api.call(
        "cbn", "UnassociateCenBandwidthPackage", CenBandwidthPackageId=plan, CenId=cen
    )
    api.done(answer, f"{plan} is not of {cen} any more.")


@verb(plan, "list")
def list_(api: Api) -> None:
    """List the account's bandwidth plans."""
    api.show(PLANS, api.rows(PLANS))


@verb(plan)
def delete(api: Api, plan: PlanArgument) -> None:
    """Give up a plan that no CEN has."""
    answer = api.call("cbn", "DeleteCenBandwidthPackage", CenBandwidthPackageId=plan)
    api.done(answer, f"{plan} is given up.")


def _give(api: Api, plan: str, cen: str) -> dict[str, object]:
    return api.call("cbn", "AssociateCenBandwidthPackage", CenBandwidthPackageId=plan, CenId=cen)
