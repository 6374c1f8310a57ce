"""Ctrl-C as an error like any other: it says what goes on, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import LandbridgeError
from ..migration.states import State
from .display.details import unwatched

if TYPE_CHECKING:
    from .display.view import View

#: Exit code of an interrupted command, as shells have it (128 + SIGINT).
INTERRUPTED = 130


class Interrupted(LandbridgeError):
    """The user ended the command; nothing went wrong."""

    id = "interrupted"
    exit_code = INTERRUPTED
    retryable = True


def looked_away(view: View) -> Interrupted:
    """Ctrl-C while another process works: nothing ends but the looking."""
    id, lines = view.task.id, [_goes_on(view)]
    if not view.is_over:
        lines.append(f"Follow it: landbridge watch {id}")
    if view.is_switching:
        lines.append(f"Put it back: landbridge switchover {id} --undo")
    return Interrupted("stopped watching, and nothing else", remedy="\n  ".join(lines))


def _goes_on(view: View) -> str:
    who = f"process {view.worker}" if view.worker else "its worker"
    if view.is_over:
        return f"The migration has ended: {view.label}."
    if view.order == "cancel":
        return f"The cancellation goes on in {who}."
    if view.awaited:
        return f"The switchover goes on in {who}: it waits until you have fenced the source."
    if view.state is State.PROMOTED:
        return f"The destination accepts writes; {who} finishes the migration."
    if view.is_switching:
        return (
            f"The switchover goes on in {who}: within its time limit of"
            f" {view.request.time_limit:g} s it promotes the destination or puts the source back."
        )
    return f"The migration goes on in {who}: {view.label}."


def broken_off(view: View) -> Interrupted:
    """Ctrl-C in the process that worked: it has left the task as it stands now."""
    id = view.task.id
    said, lines = f"interrupted while: {view.label}", [_left(view)]
    if view.held is not None:
        said = f"interrupted: {view.held['message']}"
    if view.order == "cancel" or view.waiting is not None:
        give_up = f"\n  Give it up: landbridge cancel {id}" if view.waiting else ""
        lines.append(f"Go on putting back: landbridge resume {id}{give_up}")
    else:
        again = ", which switches over again" if _would_switch(view) else ""
        give_up = "" if view.state is State.PROMOTED else f"\n  Give up: landbridge cancel {id}"
        lines.append(f"Go on: landbridge resume {id}{again}{give_up}")
    return Interrupted(said, remedy="\n  ".join(lines))


def _would_switch(view: View) -> bool:
    return view.request.switchover == "auto" and view.state is State.SYNCHRONIZING


def _left(view: View) -> str:
    if view.waiting is not None:
        return view.guarantee
    if view.order == "cancel":
        return "The cancellation was under way; what is not put back yet stays as it is."
    known = {
        State.COPYING: "The copy goes on by itself; nobody looks after it.",
        State.STARTING: view.guarantee
        if view.held
        else "The destination goes on starting; nobody looks after it.",
        State.SYNCHRONIZING: "The destination goes on following.",
    }
    left = f"{known.get(view.state, view.guarantee)} {unwatched(view)}".strip()
    remedy = view.held.get("remedy") if view.held else None
    return f"{remedy}\n  {left}" if remedy else left
