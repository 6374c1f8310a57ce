"""Every page there is."""

from __future__ import annotations

from .page import Page
from .pages import cens, home, instance, instance_access, instance_server, instances

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *cens.PAGES,
    *instances.PAGES,
    *instance.PAGES,
    *instance_access.PAGES,
    *instance_server.PAGES,
)
