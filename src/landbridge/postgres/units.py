"""Sizes, rates and durations, written for people.

Units are PostgreSQL's own: 1 kB is 1024 bytes, 1 MB is 1024 kB.
"""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(bytes: float | None) -> str:
    """Bytes for people, three figures at most.

    >>> size(0), size(900), size(1536), size(157286400), size(None)
    ('0 B', '900 B', '1.5 kB', '150 MB', '-')
    """
    if bytes is None:
        return "-"
    amount = float(bytes)
    for unit in _UNITS:
        if abs(amount) < 999.5 or unit == _UNITS[-1]:
            break
        amount /= 1024
    digits = 0 if unit == "B" or amount >= 99.5 else 1
    return f"{amount:.{digits}f}".removesuffix(".0") + f" {unit}"


def rate(bytes_per_second: float | None) -> str:
    """Bytes per second for people.

    >>> rate(52428800.0), rate(None)
    ('50 MB/s', '-')
    """
    return "-" if bytes_per_second is None else size(bytes_per_second) + "/s"


def duration(seconds: float | None) -> str:
    """A span of time for people.

    >>> duration(0.0421), duration(2.345), duration(75), duration(5400), duration(172800)
    ('42 ms', '2.3 s', '1 min 15 s', '1 h 30 min', '2 d')
    """
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return milliseconds(seconds * 1000)
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    spans = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    big, name, small, small_name = next(span for span in spans if whole >= span[0])
    rest = whole % big // small
    return f"{whole // big} {name}" + (f" {rest} {small_name}" if rest else "")


def milliseconds(ms: float | None) -> str:
    """Milliseconds for people: one decimal below ten.

    >>> milliseconds(3.14159), milliseconds(0.0), milliseconds(87.6)
    ('3.1 ms', '0 ms', '88 ms')
    """
    if ms is None:
        return "-"
    return f"{ms:.1f}".removesuffix(".0") + " ms" if ms < 9.95 else f"{ms:.0f} ms"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "table"), count(12345, "row")
    ('1 table', '12,345 rows')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
