"""Ids of the notes in a journal that others look for; all others are named where they are made."""

from __future__ import annotations

#: A process took up the work: pid. Nobody needs to read it while watching.
WORKER_STARTED = "worker.started"
#: A person is asked to fence the source: statements.
FENCE_BY_HAND = "fence.by_hand"
#: A person's word that the source is fenced was not true: error (as it is in JSON).
FENCE_NOT_SEEN = "fence.not_seen"
#: An undo has begun, which goes on until the end.
UNDO_BEGUN = "undo.begun"
#: What an undo waits for: waiting, slot, statement.
UNDO_WAITING = "undo.waiting"
#: What could not be put back: slot, statement.
UNDO_GIVEN_UP = "undo.given_up"
