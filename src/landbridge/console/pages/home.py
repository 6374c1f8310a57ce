"""Home: what is running, what needs attention, what is next."""

from __future__ import annotations

from starlette.responses import Response

from ..page import Page
from ..visit import Visit


def _show(visit: Visit) -> Response:
    cens = visit.call("cbn.DescribeCens", PageSize=50)["Cens"]["Cen"]
    return visit.page("home.html", live=2, cens=cens)


PAGES = (Page("/", _show),)
