"""CENs themselves."""

from __future__ import annotations

from typing import Annotated

from ..api import Api
from ..tables import facts, table
from ..verbs import Description, Wait, argument, verb
from ..waiting import until, until_gone
from .group import CenArgument, cen
from .lists import ATTACHMENTS, CENS, CONNECTIONS, PLANS, only


@verb(cen)
def create(
    api: Api,
    name: Annotated[str, argument("NAME", "2 to 128 letters, digits, - and _; a letter first.")],
    description: Description = None,
    wait: Wait = False,
) -> None:
    """Create a CEN and print its id."""
    answer = api.call("cbn", "CreateCen", Name=name, Description=description)
    id = answer["CenId"]
    if wait:
        until(api, id, CENS, only("CenId", id), "Active")
    api.done(answer, id)


@verb(cen, "list")
def list_(api: Api) -> None:
    """List the account's CENs."""
    api.show(CENS, api.rows(CENS))


@verb(cen)
def show(api: Api, cen: CenArgument) -> None:
    """Show a CEN: what is attached, its bandwidth plans, its inter-region connections."""
    row = api.one(CENS, f"CEN {cen}", **only("CenId", cen))
    lists = {
        ATTACHMENTS: api.rows(ATTACHMENTS, CenId=cen),
        PLANS: api.rows(PLANS, **only("CenId", cen)),
        CONNECTIONS: api.rows(CONNECTIONS, CenId=cen),
    }
    parts = [facts(CENS.columns, row)]
    parts += [table(one.columns, found) for one, found in lists.items() if found]
    told = {one.name: found for one, found in lists.items()}
    api.done({"cen": row, **told}, *parts)


@verb(cen)
def delete(api: Api, cen: CenArgument, wait: Wait = False) -> None:
    """Delete a CEN that has no attachment, connection or bandwidth plan."""
    answer = api.call("cbn", "DeleteCen", CenId=cen)
    if wait:
        until_gone(api, cen, CENS, only("CenId", cen))
    api.done(answer, f"{cen} is {'' if wait else 'being '}deleted.")
