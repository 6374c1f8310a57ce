"""A curve in one line of text."""

from __future__ import annotations

from collections.abc import Iterable

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Iterable[float], width: int) -> str:
    """The last `width` values as bars, the highest one full; nothing at all is flat.

    >>> sparkline([0, 1, 2, 4, 8], 4)
    '▂▃▅█'
    >>> sparkline([0, 0], 4)
    '▁▁'
    """
    shown = list(values)[-width:]
    highest = max(shown, default=0)
    if highest <= 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[round(value / highest * (len(_BARS) - 1))] for value in shown)
