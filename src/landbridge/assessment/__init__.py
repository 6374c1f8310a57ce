"""Will it work? Facts about source, route and destination -> findings -> report.

`gather` does all the I/O, `assess` is pure, rendering (`html`, `terminal`) is separate:

    report = assess(gather(source, DestinationPlan(data, port, distribution)))
"""

from .assess import assess
from .facts import DestinationPlan, Facts
from .fixes import apply_each, apply_fixes
from .gather import gather
from .model import Finding, Fix, Level, Report
from .way import assess_way

__all__ = [
    "DestinationPlan",
    "Facts",
    "Finding",
    "Fix",
    "Level",
    "Report",
    "apply_each",
    "apply_fixes",
    "assess",
    "assess_way",
    "gather",
]
