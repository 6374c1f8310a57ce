"""What a picture consists of, in cells: x to the right, y down, as characters stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a box stands for."""

    REGION = "region"
    VPC = "vpc"
    ROUTER = "router"


class Role(Enum):
    """How a text is to be read."""

    TITLE = "title"
    NAME = "name"
    PLAIN = "plain"
    ADDRESS = "address"
    FAINT = "faint"
    WARNING = "warning"


class Anchor(Enum):
    """Which point of a text is given."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


class Light(Enum):
    """The state of a server, at a glance."""

    UP = "up"
    READ_ONLY = "read-only"
    """Up, and refuses writes: a source after its switchover, or fenced by hand."""
    STANDBY = "standby"
    DOWN = "down"


@dataclass(frozen=True)
class Box:
    """A frame of `width` times `height` cells, the frame itself included."""

    kind: Kind
    x: int
    y: int
    width: int
    height: int
    account: str | None = None
    missing: bool = False


@dataclass(frozen=True)
class Text:
    """Words on one line."""

    x: int
    y: int
    words: str
    role: Role = Role.PLAIN
    anchor: Anchor = Anchor.START
    account: str | None = None


@dataclass(frozen=True)
class Dot:
    """The light of a server."""

    x: int
    y: int
    light: Light


@dataclass(frozen=True)
class Wire:
    """A way of straight pieces through cells."""

    points: tuple[tuple[int, int], ...]
    weight: float = 1.0
    """0 to 4: for a line the power of ten of its Mbit/s."""
    missing: bool = False
    is_line: bool = False


@dataclass
class Picture:
    """All of it; `accounts` in the order of their colours."""

    title: str
    accounts: tuple[str, ...]
    width: int
    height: int = 0
    boxes: list[Box] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)


def shorten(words: str, room: int) -> str:
    """Words that fit into `room` cells.

    >>> shorten("cn-hangzhou", 8), shorten("pgm-a", 8)
    ('cn-hang…', 'pgm-a')
    """
    return words if len(words) <= room else words[: max(0, room - 1)] + "…"
