"""The evidence of a migration: one JSON file for programs, one HTML file for people.

::

    document.py   the facts, from the journal and the files in the task's folder
    steps.py      steps with begin, end and outcome, paired from the journal
    chart.py      the steps as bars on a time axis
    scrub.py      the last gate: nothing that looks like a secret passes
    page.py       the document as a page (templates/evidence.html)

Works at any time, for failed and cancelled migrations too.
"""

from __future__ import annotations

from pathlib import Path

from ..task import Task, write_json
from .document import SCHEMA_VERSION, build
from .page import render

__all__ = ["SCHEMA_VERSION", "build", "write_evidence"]


def write_evidence(task: Task) -> Path:
    """Write evidence.json and evidence.html into the task's folder; the path of the page.

    What was there before is replaced. The page needs no network and no script.
    """
    document = build(task)
    write_json(task.folder / "evidence.json", document)
    page = task.folder / "evidence.html"
    page.write_text(render(document))
    page.chmod(0o600)
    return page
