"""Every page there is."""

from __future__ import annotations

from .page import Page
from .pages import cens, home

PAGES: tuple[Page, ...] = (*home.PAGES, *cens.PAGES)
