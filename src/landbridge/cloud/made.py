"""Rows that stand for something in the network: what is wanted, and what really stands.

A call changes only what is wanted; `fabric.Reconciler` makes it so and says what stands. So a
state is never written down by hand, and nothing is lost when either of the two stops.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from sqlalchemy.orm import Mapped, mapped_column

from ..store import utcnow
from .errors import CloudError


class State(Enum):
    """What became of a row in the network."""

    MAKING = "making"
    """It is wanted and has never stood."""
    STANDING = "standing"
    """It stands as it is wanted."""
    CHANGING = "changing"
    """It stands as it was wanted before."""
    REMOVING = "removing"
    """It is not wanted; the row goes when nothing of it is left."""


_DONE = {State.MAKING: "made", State.CHANGING: "changed", State.REMOVING: "removed"}


class Made:
    """Mixed into a table of things that the network is made of."""

    version: Mapped[int] = mapped_column(default=1)
    """Grows with every change of what is wanted."""
    standing: Mapped[int] = mapped_column(default=0)
    """The version that the network was last brought to; 0: none yet."""
    is_wanted: Mapped[bool] = mapped_column(default=True)
    trouble: Mapped[str] = mapped_column(default="")
    """Why the last try did not bring it to what is wanted; empty when it did."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    @property
    def state(self) -> State:
        if not self.is_wanted:
            return State.REMOVING
        if not self.standing:
            return State.MAKING
        return State.STANDING if self.standing == self.version else State.CHANGING

    def change(self) -> None:
        """Say that what is wanted is not what it was."""
        self.version += 1

    def unwant(self) -> None:
        """Say that it shall go."""
        self.is_wanted = False

    def require_standing(self, code: str, what: str) -> None:
        """CloudError with `code` unless it stands as it is wanted."""
        if self.state is not State.STANDING:
            why = f": {self.trouble}" if self.trouble else ""
            raise CloudError(
                code,
                f"{what} is being {_DONE[self.state]}{why}",
                remedy="Nothing can be built on what is being removed."
                if self.state is State.REMOVING
                else "It takes a moment: try again when its list shows it as Active or Attached.",
            )
