"""The end of a command about a task: a summary for people, an object, an exit code."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..errors import AssessmentFailed, LandbridgeError
from ..migration.states import State
from . import units
from .display.details import assessment_warnings, unwatched

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from .display.view import View
    from .output import Output


def conclude(view: View, out: Output) -> int:
    """Say how the work on a task ended; returns the exit code.

    Raises the error that ended or holds it, so that it is said in the one usual way.
    """
    view.update()
    if (error := failure(view)) is not None:
        if isinstance(error, AssessmentFailed):
            out.show(assessment(view))
        if not view.task.is_worked_on() and (costs := unwatched(view)):
            error.remedy = f"{error.remedy}\n{costs}" if error.remedy else costs
        raise error
    out.result(view.as_dict(), "", closing(view))
    return 0 if view.state is State.FINISHED else 1


def failure(view: View) -> LandbridgeError | None:
    """What ended a failed task, or keeps one waiting for somebody to act."""
    entry = view.error if view.state is State.FAILED else None if view.is_over else view.held
    if entry is None:
        return None
    kind = AssessmentFailed if entry["id"] == AssessmentFailed.id else LandbridgeError
    return kind(str(entry["message"]), id=str(entry["id"]), remedy=entry.get("remedy"))


def assessment(view: View) -> RenderableType:
    """The findings of the task's assessment, with the lines that repair them."""
    from ..assessment import Report
    from ..assessment.terminal import render_terminal

    found = view.attachment("assessment")
    return render_terminal(Report.from_dict(found)) if found else ""


def closing(view: View) -> Text:
    """The last words of a picture: what came out, what is next, where the proof lies."""
    from rich.text import Text

    lines = [_outcome(view)]
    verification = view.attachment("verification")
    if verification is not None:
        tables = units.count(len(verification.get("tables", ())), "table")
        differences = int(verification.get("differences", 0))
        lines.append(f"Compared {tables}: {units.count(differences, 'difference')}.")
    evidence = view.task.folder / "evidence.html"
    if evidence.exists():
        lines.append(f"Evidence: {evidence} (and .json)")
    lines += _to_be_run(view)
    lines += _warnings(view)
    return Text("\n".join(lines))


def _outcome(view: View) -> str:
    if view.state is State.FINISHED:
        return "\n".join(_finished(view))
    if (error := failure(view)) is not None:
        verb = "Failed" if view.is_over else "Waits for somebody to act"
        remedy = "".join(f"\n  {line.strip()}" for line in (error.remedy or "").splitlines())
        return f"{verb}: {error.message} [{error.id}]{remedy}\n{view.guarantee}{_next(view)}"
    if view.state is State.CANCELLED:
        return f"Cancelled. {view.guarantee}"
    label = f"{view.label}.\n" if view.waiting else ""
    return f"{label}{view.guarantee}{_next(view)}"


def _next(view: View) -> str:
    """What a person types next; empty where nothing is to be done."""
    id = view.task.id
    if view.is_over:
        return ""
    give_up = f"\nGive it up: landbridge cancel {id}" if view.waiting else ""
    if not view.task.is_worked_on():
        left = "" if view.waiting else f" {unwatched(view)}".rstrip()
        alone = f"\nNobody works on it now.{left}{_guard(view)}"
        return f"{alone}\nGo on: landbridge resume {id}{give_up}"
    if view.waiting is not None:
        return f" It goes on by itself as soon as the source answers.{give_up}"
    if view.awaited:
        return (
            f"\nOnce it is fenced: landbridge switchover {id} --fenced"
            f"\nPut it back: landbridge switchover {id} --undo"
        )
    if view.is_switching:
        return f"\nPut it back: landbridge switchover {id} --undo"
    if view.state is State.SYNCHRONIZING:
        return f"\nSwitch over: landbridge switchover {id}"
    return ""


def _guard(view: View) -> str:
    """Whether somebody puts the source back that a switchover without a worker has fenced."""
    if view.state is State.PROMOTED or view.deadline is None:
        return ""
    if view.put_back_at is None:
        return "\nIts guard is dead too: nobody puts the source back until somebody goes on."
    return f"\nThe guard puts the source back at {view.put_back_at.astimezone():%H:%M:%S}."


def _to_be_run(view: View) -> list[str]:
    """Statements that are left to a person: of a manual fence, of the clean-up."""
    if view.awaited:
        return ["Run on the source:", *(f"  {statement}" for statement in view.awaited)]
    left = view.steps.get("finish", {})
    lines = [f"Not done: {part['part']}: {part['reason']}. {part['remedy']}"
             for part in left.get("left", ())]  # fmt: skip
    for step in left.get("statements", ()):
        where = f"Left to be run on the {step['where']}, in database {step['database']}:"
        lines += ([] if where in lines else [where]) + [f"  {step['sql']}"]
    return lines


def _warnings(view: View) -> list[str]:
    """The warnings of the assessment, one a line."""
    found = assessment_warnings(view)
    return ["Warnings of the assessment:", *(f"  {line}" for line in found)] if found else []


def _finished(view: View) -> list[str]:
    """Where the cluster lives, how the source was left, and the lines that open it again."""
    from ..migration.fence.reopen import DIVERGE

    request, result = view.request, view.switchover
    lines = [f"Finished. The cluster lives in {request.data} on port {request.port}."]
    lines += _serving(view)
    if result.get("source_left"):
        lines.append(result["source_left"])
    if reopen := result.get("reopen"):
        ours = request.fence_as if result.get("fence") != "manual" else None
        who = f", SQL as {ours['user']}" if ours and "user" in ours else ""
        lines += [DIVERGE, f"To open the source, run there{who}:"]
        places = {"shell": "shell", "sql": "SQL  "}
        lines += [f"  {places[step['where']]}  {step['line']}" for step in reopen]
    return lines


def _serving(view: View) -> list[str]:
    """How the new server is stopped and started, as the account it belongs to."""
    try:
        cluster = view.task.cluster()
        program = shlex.quote(str(cluster.distribution.program("pg_ctl")))
    except LandbridgeError:  # its programs are gone from this host
        return []
    account = cluster.account
    who = f"#{account.uid}" if account.name.isdigit() else account.name
    as_whom = f"sudo -u {shlex.quote(who)} " if account.switch else ""
    data, log = shlex.quote(str(cluster.data)), shlex.quote(str(cluster.log))
    return [
        f"  stop   {as_whom}{program} -D {data} -m fast stop",
        f"  start  {as_whom}{program} -D {data} -l {log} start",
        "It does not start by itself after a boot; docs/switchover.md has a systemd unit.",
    ]
