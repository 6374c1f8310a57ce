"""Moments as the vendor writes them, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def second(at: datetime) -> str:
    """Like `2026-01-31T12:00:00Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def minute(at: datetime) -> str:
    """Like `2026-01-31T12:00Z`, as CEN writes them."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970."""
    return int(at.timestamp() * 1000)
