"""From what a person asked for to a task: the request, checked as far as it can be at once.

Whether the migration can work is the assessment's business; here a wrong call is
refused before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from ..errors import LandbridgeError, UsageError
from ..postgres.conninfo import Conninfo
from ..postgres.positions import identity, server_major
from .task import COPY_ENGINES, FENCES, WAL_POLICIES, Request, Task, Tasks

if TYPE_CHECKING:
    from ..assessment import DestinationPlan

#: Majors that Landbridge moves; the spec's lower bound, and the newest measured.
MAJORS = range(10, 19)
_CHOICES: dict[str, tuple[str, ...]] = {
    "fence": FENCES,
    "wal_policy": WAL_POLICIES,
    "copy_engine": COPY_ENGINES,
    "switchover": ("wait", "auto"),
    "verify": ("none", "before"),
}
#: What a request and the assessment's plan call by one name.
_SAME = (
    "archive_command", "fence", "listen", "max_rate", "os_account", "reindex",
    "replaces_empty_cluster", "settings", "tablespaces", "wal_budget", "wal_policy",
)  # fmt: skip
_COMPRESSION = re.compile(r"(auto|none|(gzip|lz4|zstd)(:\d+(:\d+)?)?)")


def make_request(
    source: Conninfo,
    data: Path,
    port: int,
    *,
    fence_as: Conninfo | None = None,
    verify_as: Conninfo | None = None,
    **options: Any,
) -> Request:
    """The request for a migration of `source` into the data directory `data`.

    `options` are fields of Request. The source is asked for its major version, its
    bootstrap superuser and its system identifier. Where the accounts connect to is kept
    as libpq resolves it now, without a service file or the environment. Without an account
    for the fence and without a word about it, the fence is `manual`.

    Raises UsageError for values that cannot be, ServerUnreachable for a source that
    cannot be asked, LandbridgeError (source.unreadable) for one that does not answer.
    """
    options.setdefault("fence", "sync" if fence_as else "manual")
    _check(options, fence_as)
    major, superuser, system_identifier = _ask(source)
    return Request(
        source=source.resolve().public(),
        data=str(data.absolute()),
        port=port,
        major=major,
        superuser=superuser,
        system_identifier=system_identifier,
        fence_as=fence_as.resolve().public() if fence_as else None,
        verify_as=verify_as.resolve().public() if verify_as else None,
        **options,
    )


def create_task(
    tasks: Tasks,
    request: Request,
    source: Conninfo,
    *,
    fence_as: Conninfo | None = None,
    verify_as: Conninfo | None = None,
) -> Task:
    """Write the task.

    Raises UsageError (task.exists) if another one owns the destination, LandbridgeError
    (state.unwritable; task.busy while others create theirs).
    """
    given = {"source": source, "fence_as": fence_as, "verify_as": verify_as}
    accounts = {role: c.resolve() for role, c in given.items() if c is not None}
    try:
        with tasks.locked():
            _refuse_second(tasks, request)
            return tasks.create(request, accounts)
    except OSError as problem:
        raise LandbridgeError(
            f"nothing can be written in {tasks.root}: {problem.strerror}",
            id="state.unwritable",
            remedy="Make room there, or name a folder of yours in LANDBRIDGE_STATE.",
        ) from None


def _refuse_second(tasks: Tasks, request: Request) -> None:
    if (other := tasks.for_destination(Path(request.data))) is not None:
        raise UsageError(
            f"task {other.id} migrates into {request.data} already",
            id="task.exists",
            remedy=f"Go on with `landbridge resume {other.id}`,"
            f" or give it up with `landbridge cancel {other.id}`.",
        )


def destination_plan(request: Request) -> DestinationPlan:
    """What the assessment needs to know about the destination."""
    from ..assessment import DestinationPlan
    from ..errors import ServerProgramsMissing
    from ..postgres.distribution import find

    try:
        distribution = find(request.major)
    except ServerProgramsMissing:
        distribution = None
    same = {name: getattr(request, name) for name in _SAME}
    return DestinationPlan(
        data=Path(request.data),
        port=request.port,
        distribution=distribution,
        hba_given=request.hba_file is not None,
        **same,
    )


def _check(options: dict[str, Any], fence_as: Conninfo | None) -> None:
    for name, allowed in _CHOICES.items():
        if (value := options.get(name)) is not None and value not in allowed:
            raise UsageError(
                f"{name.replace('_', ' ')} cannot be {value!r}",
                id=f"plan.{name}",
                remedy=f"One of: {', '.join(allowed)}.",
            )
    if options["fence"] != "manual" and fence_as is None:
        raise UsageError(
            f"the fence {options['fence']!r} needs an account that may close the source",
            id="plan.no_fence_account",
            remedy="Name one with --fence-as, or close the source yourself: --fence manual.",
        )
    if not _COMPRESSION.fullmatch(options.get("compression", "auto")):
        raise UsageError(
            f"compression cannot be {options['compression']!r}",
            id="plan.compression",
            remedy="auto, none, or METHOD[:LEVEL[:WORKERS]] with METHOD gzip, lz4 or zstd.",
        )
    _check_waived(options.get("waive", ()))
    for name in ("time_limit", "wal_budget", "max_rate"):
        if (number := options.get(name)) is not None and number <= 0:
            raise UsageError(f"{name.replace('_', ' ')} must be more than 0", id=f"plan.{name}")


def _check_waived(ids: Iterable[str]) -> None:
    from ..assessment.registry import CHECKS

    known = {check.id: check for check in CHECKS}
    for id in ids:
        if id not in known:
            like = get_close_matches(id, known, 3, 0.5) or sorted(
                k for k in known if k.startswith(id.partition(".")[0])
            )
            raise UsageError(
                f"no check of the assessment is called {id!r}",
                id="plan.waive",
                remedy=f"Did you mean {', '.join(like)}?" if like else "docs/checks.md lists them.",
            )
        if known[id].absolute:
            raise UsageError(
                f"{id} cannot be waived: a cluster that is in use would be harmed",
                id="plan.waive",
            )


def _ask(source: Conninfo) -> tuple[int, str, str]:
    """Major version, name of the bootstrap superuser (role 10), system identifier."""
    try:
        with source.wary().connect() as conn:
            major = server_major(conn)
            if major not in MAJORS:
                raise UsageError(
                    f"the source is PostgreSQL {major}; Landbridge moves"
                    f" {MAJORS[0]} to {MAJORS[-1]}",
                    id="plan.major",
                )
            row = conn.execute("SELECT rolname FROM pg_roles WHERE oid = 10").fetchone()
            return major, str(row[0] if row else ""), identity(conn).system_identifier
    except psycopg.Error as error:
        raise LandbridgeError(
            f"the source does not say who it is: {' '.join(str(error).split())}",
            id="source.unreadable",
            remedy="`landbridge assess` names what the account lacks.",
        ) from None
