"""Which versions of PostgreSQL instances may have here."""

from __future__ import annotations

from ...errors import ServerProgramsMissing
from ..errors import CloudError
from ..remedies import by
from .homes import programs

MAJORS = range(10, 19)


def offered() -> tuple[int, ...]:
    """The majors whose programs this machine has."""
    return tuple(major for major in MAJORS if _has_programs(major))


def not_offered(version: str) -> CloudError:
    """InvalidEngineVersion for a version as it was given."""
    there = ", ".join(map(str, offered()))
    return CloudError(
        "InvalidEngineVersion",
        f"PostgreSQL {version} is not offered",
        remedy=by("DescribeOffer", f"There are the major versions {there}"),
    )


def check(major: int, *tools: str) -> None:
    """CloudError InvalidEngineVersion unless this machine has a server and these programs."""
    if major not in MAJORS or not _has_programs(major):
        raise not_offered(str(major))
    if not _has_programs(major, *tools):
        message = f"this service has no PostgreSQL {major} with {' and '.join(tools)}"
        raise CloudError("InvalidEngineVersion", message)


def _has_programs(major: int, *tools: str) -> bool:
    try:
        found = programs(major)
        for tool in tools:
            found.program(tool)
    except ServerProgramsMissing:
        return False
    return True
