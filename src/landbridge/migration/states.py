"""The life of a migration as one table; everything else about states derives from it.

A state is a guarantee. Work happens only in the step that leaves a state, and
every step has an undo or says why it is past the point of no return.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a migration is; `guarantee` says what is true as long as it is there."""

    guarantee: str

    def __new__(cls, value: str, guarantee: str = "") -> State:
        member = object.__new__(cls)
        member._value_ = value
        member.guarantee = guarantee
        return member

    ASSESSING = "assessing", "Nothing on either side has been changed."
    COPYING = (
        "copying",
        "A replication slot on the source holds WAL from before the copy; the destination"
        " directory is marked as a partial copy.",
    )
    STARTING = "starting", "The copy is complete; its configuration is ours, not the source's."
    SYNCHRONIZING = (
        "synchronizing",
        "The destination replays the source; the source is untouched and may be written.",
    )
    FENCING = (
        "fencing",
        "The source is being fenced and may acknowledge writes until the fence stands; nothing"
        " is promoted before all of them have arrived.",
    )
    DRAINED = (
        "drained",
        "The destination has replayed exactly the fence LSN, same system identifier, same"
        " timeline; undo is still complete.",
    )
    PROMOTED = "promoted", "Point of no return: the destination accepts writes."
    FINISHED = (
        "finished",
        "Evidence written, slot dropped, secrets removed, source still fenced.",
    )
    CANCELLED = (
        "cancelled",
        "Slot dropped (unless that was given up, which the end says), no partial copy that could be"
        " mistaken for data, source writable as before.",
    )
    FAILED = (
        "failed",
        "Slot dropped, no partial copy that could be mistaken for data, source writable as"
        " before; the first error is kept.",
    )


class Stage(Enum):
    """MigrateStage of the vendor's API."""

    PRECHECK = "precheck"
    """Prerequisites are being checked."""
    BASEBACKUP = "basebackup"
    """The full copy runs."""
    STARTUP = "startup"
    """The destination server is being started on the copy."""
    INCREMENT = "increment"
    """Incremental synchronization; the only stage in which a switchover may begin."""
    SWITCH = "switch"
    """The switchover is under way."""
    SUCCESS = "success"
    """The migration is complete."""


class Replication(Enum):
    """ReplicationState of the vendor's API."""

    UNSTARTED = "unstarted"
    """No replication yet."""
    CATCHUP = "catchup"
    """The destination is behind and gaining."""
    STREAMING = "streaming"
    """The destination follows closely."""
    DISCONNECT = "disconnect"
    """Replication is interrupted."""
    FINISH = "finish"
    """Replication has ended for good."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    state: State
    stage: Stage | None
    """None: the stage of the state before (a cancelled or failed migration keeps its last)."""
    replication: tuple[Replication, ...]
    label: str
    """What a person reads, in the console and on the terminal."""
    step: str | None
    """Name of the step that leaves this state; None in an end state."""
    undo: str
    """What the undo of that step does, or why there is none."""
    next: tuple[State, ...]


_ENDS = (State.CANCELLED, State.FAILED)
_R = Replication

TABLE: tuple[Row, ...] = (
    Row(State.ASSESSING, Stage.PRECHECK, (_R.UNSTARTED,), "Checking prerequisites", "assess",
        "nothing was changed", (State.COPYING, *_ENDS)),
    Row(State.COPYING, Stage.BASEBACKUP, (_R.UNSTARTED,), "Full copy", "copy",
        "end the copier, remove the partial copy, drop the slot", (State.STARTING, *_ENDS)),
    Row(State.STARTING, Stage.STARTUP, (_R.CATCHUP,), "Starting the destination", "start",
        "stop the destination, remove the copy, drop the slot", (State.SYNCHRONIZING, *_ENDS)),
    Row(State.SYNCHRONIZING, Stage.INCREMENT, (_R.CATCHUP, _R.STREAMING, _R.DISCONNECT),
        "Incremental synchronization", "synchronize",
        "stop the destination, remove the copy, drop the slot", (State.FENCING, *_ENDS)),
    Row(State.FENCING, Stage.SWITCH, (_R.STREAMING,), "Fencing the source", "drain",
        "lift the fence, reset synchronous replication: back to synchronization",
        (State.DRAINED, State.SYNCHRONIZING)),
    Row(State.DRAINED, Stage.SWITCH, (_R.STREAMING,), "Destination has every write", "promote",
        "lift the fence, reset synchronous replication: back to synchronization",
        (State.PROMOTED, State.SYNCHRONIZING)),
    Row(State.PROMOTED, Stage.SWITCH, (_R.FINISH,), "Destination accepts writes", "finish",
        "none: past the point of no return, the destination may hold writes of its own",
        (State.FINISHED,)),
    Row(State.FINISHED, Stage.SUCCESS, (_R.FINISH,), "Finished", None, "end state", ()),
    Row(State.CANCELLED, None, (_R.DISCONNECT,), "Cancelled", None, "end state", ()),
    Row(State.FAILED, None, (_R.DISCONNECT,), "Failed", None, "end state", ()),
)  # fmt: skip

ROW: dict[State, Row] = {row.state: row for row in TABLE}


def is_end(state: State) -> bool:
    """Whether nothing follows this state."""
    return not ROW[state].next
