"""Where things are: the parts of the console, in the order of the procedure."""

from __future__ import annotations

from dataclasses import dataclass

#: Where the console begins.
ROOT = "/console"


@dataclass(frozen=True)
class Part:
    """One entry of the navigation."""

    path: str
    label: str


PARTS = (
    Part("", "Home"),
    Part("cen", "CEN"),
    Part("vpc", "VPCs"),
    Part("rds", "RDS instances"),
    Part("account", "Account"),
)


def trail(path: str) -> str:
    """The part of the console that a path lies in."""
    return path.removeprefix(ROOT).strip("/").partition("/")[0]
