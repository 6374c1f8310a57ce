"""The report of an assessment: its findings, each fixed and looked at again by itself."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form, Kind
from ..page import Page
from ..visit import Visit, url
from .asking import Asked, Show
from .assessing import assessment
from .instance import attribute

_LEVELS = ("error", "warning", "info", "ok")
#: Seconds between two looks while something is done, and otherwise.
_BUSY, _IDLE = 0.5, 3
_PASSWORD = Field(
    "SourcePassword", "Password of the username", Kind.PASSWORD, required=True,
    help="The assessment's was forgotten when it ended.",
)  # fmt: skip
_AGAIN = Form((_PASSWORD,))


def _report(visit: Visit) -> Response:
    row = assessment(visit)
    report = row["Report"] or {"findings": [], "skipped": [], "counts": {}}
    is_busy = row["Status"] == "Running" or row["FixesPending"] or bool(row["RecheckPending"])
    findings = _told(row, report["findings"])
    return visit.page(
        "report.html",
        live=_BUSY if is_busy else _IDLE,
        instance=attribute(visit),
        row=row,
        report=report,
        findings=findings,
        can_fix=not is_busy and any(f["can_fix"] and f["level"] in _LEVELS[:2] for f in findings),
        busy=is_busy,
    )


def _told(row: dict[str, Any], findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The findings in the order of their weight, with what is and was done about each.

    One that was looked at again stays at its place for as long as that is the latest news.
    """
    again = row["Recheck"] or {}
    seen: dict[str, int] = {}
    told = []
    for finding in findings:
        id, level = finding["id"], finding["level"]
        seen[id] = seen.get(id, 0) + 1
        is_news = again.get("FindingId") == id
        levels = [level, *(again["Before"] if is_news else ())]
        told.append(finding | {
            "anchor": f"finding-{id}" + (f"-{seen[id]}" if seen[id] > 1 else ""),
            "section": min(levels, key=_LEVELS.index),
            "can_fix": level != "ok" and any(fix["automatic"] for fix in finding["fixes"]),
            "is_fixed_now": row["FixesPending"] and id in (row["FixesPendingFor"] or [id]),
            "is_checked_now": row["RecheckPending"] == id,
            "again": again if is_news else None,
            "done": _done(row, id) if seen[id] == 1 else [],
        })  # fmt: skip
    return sorted(told, key=lambda finding: _LEVELS.index(finding["section"]))


def _done(row: dict[str, Any], id: str) -> list[dict[str, Any]]:
    """What was done about a finding the last time."""
    found = [each for each in row["Fixes"] or () if each.get("id") == id]
    return [each for each in found if each.get("at") == found[-1].get("at")]


def _finding(visit: Visit) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The assessment and the findings of the check that the address names."""
    row = assessment(visit)
    findings = row["Report"]["findings"] if row["Report"] else []
    found = [each for each in findings if each["id"] == visit["finding"]]
    if not found:
        raise CloudError("InvalidFindingId.NotFound")
    return row, found


def _there(visit: Visit) -> str:
    return url("rds", visit["id"], "migration", "assessments", visit["task"])


def _ask(visit: Visit, heading: str, intro: str, form: Form, status: int,
         fixes: list[dict[str, Any]]) -> Response:  # fmt: skip
    """A form about an assessment, and the lines that it is about."""
    crumbs = [(url("rds", visit["id"], "migration"), visit["id"]), (_there(visit), visit["task"])]
    asked = Asked(heading, heading.partition(":")[0], _there(visit), crumbs, intro)
    return asked.page(visit, form, status, "report_ask.html", fixes=fixes)


def _ordered(
    visit: Visit, form: Form, action: str, show: Show, said: str, **about: object
) -> Response:
    """Order it, and go back to the finding that the address names, if any."""
    filled = form.filled(visit.form)
    id = visit.names.get("finding")
    try:
        visit.call(action, TaskId=visit["task"], **about, **filled.arguments())
    except CloudError as problem:
        return show(visit, filled, filled.refuse(problem))
    return visit.stay(_there(visit) + (f"#finding-{id}" if id else ""), said)


def _again_form(visit: Visit, form: Form = _AGAIN, status: int = 200) -> Response:
    assessment(visit)
    return _ask(visit, "Check Everything Again", "All checks are made again. Nothing is changed on"
                " the source.", form, status, [])  # fmt: skip


def _again(visit: Visit) -> Response:
    return _ordered(
        visit, _AGAIN, "landbridge.RecheckAssessment", _again_form, "The source is looked at again."
    )


def _again_one_form(visit: Visit, form: Form = _AGAIN, status: int = 200) -> Response:
    _, found = _finding(visit)
    return _ask(visit, f"Check Again: {found[0]['title']}", "This finding is looked at again; the"
                " others stay, unless they depend on it. Nothing is changed on the source.", form,
                status, [])  # fmt: skip


def _again_one(visit: Visit) -> Response:
    return _ordered(
        visit, _AGAIN, "landbridge.RecheckAssessmentFinding", _again_one_form,
        "The finding is looked at again.", FindingId=visit["finding"],
    )  # fmt: skip


def _admin(fixes: list[dict[str, Any]]) -> Form:
    """As whom fixes are applied: as one that is known to be able to, to begin with."""
    able = list(dict.fromkeys(role for fix in fixes for role in fix.get("by", ())))
    who = f"{', '.join(able)}, or another" if able else "One"
    return Form(
        (
            Field("AdminAccount", "Account of the source", required=True,
                  default=able[0] if able else "",
                  help=f"{who} that may do what the lines say. It is not kept."),
            Field("AdminPassword", "Password", Kind.PASSWORD, required=True),
        )
    )  # fmt: skip


def _fix_form(visit: Visit, form: Form | None = None, status: int = 200) -> Response:
    fixes = _automatic(visit)
    return _ask(
        visit, "Apply fix", "Landbridge runs these lines on the source, and tells what takes them"
        " back. Nothing is restarted.", form or _admin(fixes), status, fixes,
    )  # fmt: skip


def _automatic(visit: Visit) -> list[dict[str, Any]]:
    """The fixes that can be applied, of the finding that the address names or of all."""
    if "finding" in visit.names:
        findings = _finding(visit)[1]
    else:
        report = assessment(visit)["Report"] or {"findings": []}
        findings = [f for f in report["findings"] if f["level"] in _LEVELS[:2]]
    return [fix for finding in findings for fix in finding["fixes"] if fix["automatic"]]


def _fix(visit: Visit) -> Response:
    of = [visit["finding"]] if "finding" in visit.names else []
    return _ordered(
        visit, _admin(_automatic(visit)), "landbridge.ApplyAssessmentFixes", _fix_form,
        "The fix is being applied.", FindingIds=of,
    )  # fmt: skip


_REPORT = "/rds/{id}/migration/assessments/{task}"
PAGES = (
    Page(_REPORT, _report),
    Page(f"{_REPORT}/fix", _fix_form, _fix),
    Page(f"{_REPORT}/again", _again_form, _again),
    Page(f"{_REPORT}/findings/{{finding}}/fix", _fix_form, _fix),
    Page(f"{_REPORT}/findings/{{finding}}/again", _again_one_form, _again_one),
)
