"""Moments as the vendor writes them, in UTC."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from ..cloud import CloudError

#: Years that a caller may mean: what is counted from a moment lies in the calendar, too.
_YEARS = range(1970, 9999)
_FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ")


def now() -> datetime:
    """This moment, without parts of a second."""
    return datetime.now(UTC).replace(microsecond=0)


def second(at: datetime) -> str:
    """Like `2026-01-31T12:00:00Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def second_after(at: datetime) -> str:
    """The first whole second that is later, like `2026-01-31T12:00:00Z`."""
    return second(at + timedelta(seconds=1))


def minute(at: datetime) -> str:
    """Like `2026-01-31T12:00Z`, as CEN writes them."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970."""
    return int(at.timestamp() * 1000)


def moment(text: str, name: str) -> datetime:
    """The moment that a parameter says in either form; CloudError (InvalidParameter)."""
    for form in _FORMS:
        with suppress(ValueError):
            at = datetime.strptime(text, form).replace(tzinfo=UTC)
            if at.year in _YEARS:
                return at
    raise CloudError("InvalidParameter", f"{name} is no moment like 2026-01-31T12:00:00Z")
