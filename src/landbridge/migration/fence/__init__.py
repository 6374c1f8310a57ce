"""Fences: what keeps the source from acknowledging writes while the destination takes over.

=========  ======================================================  =======================
fence      how                                                     what it needs
=========  ======================================================  =======================
sync       our standby is made synchronous, then the source        an account with ALTER
           read-only by default                                    SYSTEM, terminate
lockout    pg_hba admits our own accounts alone, and read-only     a superuser
manual     a person stops the writes; we verify                    the migration account
=========  ======================================================  =======================

attempt.py keeps, on disk, what an attempt has to put back; source.py is our session there.
"""

from __future__ import annotations

from typing import Protocol


class Fence(Protocol):
    """Raised in two steps, of which only the second interrupts writes."""

    is_proved: bool
    """Whether `close_writes` saw that the source refuses writes; False: it is somebody's word."""
    is_synchronous: bool
    """Whether a commit at the source was seen waiting for our standby."""

    def prepare(self) -> None:
        """Everything that clients do not notice."""

    def close_writes(self) -> str:
        """On return a new session cannot write, which one of our own proved.

        Returns the moment (UTC, ISO 8601) from which writes may have been refused by us; of a
        person's fence, since when the source has refused them at the latest.
        """

    def check(self) -> None:
        """Raise SwitchoverUndone (fence.broken) when the fence does not stand any more."""

    def lift(self) -> None:
        """Put the source back as it was; also for an attempt that another process began."""

    def release(self) -> str | None:
        """After the promotion, take back what need not stay; what had to stay, in words."""
