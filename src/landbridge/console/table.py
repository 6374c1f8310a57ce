"""Every page there is."""

from __future__ import annotations

from .page import Page
from .pages import (
    account,
    assessing,
    cen,
    cen_lines,
    cen_networks,
    cen_plans,
    cens,
    home,
    instance,
    instance_access,
    instance_server,
    instances,
    migrating,
    reporting,
    switching,
    topology,
    vpc_grants,
    vpcs,
)

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *cens.PAGES,
    *cen.PAGES,
    *cen_networks.PAGES,
    *cen_plans.PAGES,
    *cen_lines.PAGES,
    *topology.PAGES,
    *vpcs.PAGES,
    *vpc_grants.PAGES,
    *instances.PAGES,
    *instance.PAGES,
    *instance_access.PAGES,
    *instance_server.PAGES,
    *assessing.PAGES,
    *reporting.PAGES,
    *migrating.PAGES,
    *switching.PAGES,
    *migrating.ORDER_PAGES,
    *account.PAGES,
)
