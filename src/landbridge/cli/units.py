"""Sizes, rates and durations: read from options, written for people (postgres/units.py)."""

from __future__ import annotations

import re

from ..postgres.units import count, duration, milliseconds, rate, size

__all__ = ["count", "duration", "milliseconds", "parse_size", "plain", "rate", "size"]

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?(?:/s)?\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes (or bytes per second) from '50MB', '16 GB', '1.5GB', '100kB/s' or '8192'.

    Raises ValueError with a sentence for the user.

    >>> parse_size("50MB"), parse_size("1.5 kB"), parse_size("8192"), parse_size("2GB/s")
    (52428800, 1536, 8192, 2147483648)
    """
    match = _SIZE.fullmatch(text)
    found = int(float(match[1]) * 1024 ** _POWERS[match[2].lower()]) if match else 0
    if found <= 0:
        raise ValueError(f"{text!r} is not a size; write it like 8192, 100kB, 50MB or 16GB")
    return found


def plain(text: str) -> str:
    """Text on one line, as it stands in lines of output."""
    return " ".join(text.split())
