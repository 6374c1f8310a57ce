"""What a switchover looks at before and after the promotion; its result says which was done."""

from __future__ import annotations

from enum import Enum


class Proof(Enum):
    """One look, with what it shows."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Proof:
        member = object.__new__(cls)
        member._value_ = value
        member.sentence = sentence
        return member

    FENCE = "fence", "The source refused writes: a session opened after the fence saw it."
    SYNCHRONOUS = (
        "synchronous",
        "Commits at the source waited for the destination, so that none was acknowledged that"
        " the destination does not have.",
    )
    POSITION = "position", "The destination had replayed everything up to the fence LSN."
    TRANSACTION_ID = (
        "transaction_id",
        "The source's next transaction id had not moved between the fence and the promotion.",
    )
    IDENTITY = "identity", "Both sides were the same cluster, on the same timeline."
    PREPARED = "prepared", "The source had no prepared transaction, to be committed on both sides."
    LATER_COMMITS = (
        "later_commits",
        "The source's WAL was searched for commits that the destination does not have.",
    )


#: Looked at before every promotion that we asked for; `_prove` raises where one fails.
BEFORE = (Proof.POSITION, Proof.TRANSACTION_ID, Proof.IDENTITY, Proof.PREPARED)


def before_promotion(*, fence: bool, synchronous: bool) -> dict[str, bool]:
    """Name -> whether it was shown, of a promotion that we asked for."""
    found = {Proof.FENCE: fence, Proof.SYNCHRONOUS: synchronous, **dict.fromkeys(BEFORE, True)}
    return {proof.value: shown for proof, shown in found.items()}


def nothing_proved() -> dict[str, bool]:
    """Name -> False: somebody else promoted the destination."""
    return {proof.value: False for proof in (Proof.FENCE, Proof.SYNCHRONOUS, *BEFORE)}
