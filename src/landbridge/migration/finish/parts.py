"""The parts of the clean-up in their order, each done once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from ...errors import LandbridgeError
from ...postgres.process import wait_until
from ...postgres.slots import drop_slot_at, drop_statement
from ..copying.job import CopyJob
from ..fence.outcome import rest_late
from ..fence.proof import Proof
from ..fence.result import SwitchoverResult
from ..fence.rivals import STANDBY
from ..fence.settings import SYNC_NAMES, show
from ..standby import connection
from ..standby.configuration import recall, write_final
from ..standby.lifecycle import dbname
from ..standby.roles import read_only_overrides, roles_by_login
from ..task import Task
from . import catalog
from .collations import CollationReport, check_collations

Facts = dict[str, Any]

#: Seconds within which the source acts on the reload that released it.
_RELOADED = 2.0


@dataclass(frozen=True)
class FinishResult:
    """What was put in order, and what remains for a person to do."""

    subscriptions_disabled: list[dict[str, str]]
    """database, subscription: copies of the source's, disabled here."""
    read_only_lifted: list[str]
    """Statements that took back read-only defaults set during the migration."""
    pending_restart: list[str]
    """Settings that take effect at the destination's next restart."""
    slot_dropped: bool
    """False: the source did not answer; `statements` says what to run there."""
    collations: Facts
    """changed, indexes, partitioned, statements, rebuilt (see CollationReport)."""
    statements: list[Facts]
    """where ("source" or "destination"), database, sql: what remains to be run."""
    set_aside: str | None
    """Folder of the empty cluster that stood where the destination stands now."""
    left: list[Facts]
    """part, reason, remedy: parts that cannot be done, because of what the cluster holds."""

    def as_dict(self) -> Facts:
        return asdict(self)


def finish(task: Task, result: SwitchoverResult) -> FinishResult:
    """Put the promoted destination in order and leave nothing of ours behind.

    Each part is a journalled step: run again after a crash, or a second time, what has
    ended is not repeated. A source that no longer answers does not stand in the way; what
    is left to do there is noted. Nor does one part stand in the way of the others: raises the
    first error that may pass, when all have been tried (ServerFailed if the destination does
    not answer); what will fail again is left to a person.
    """
    parts = _Parts(task)
    subscriptions = parts.do("disable_subscriptions", _subscriptions)
    read_only = parts.do("lift_read_only", _read_only)
    configuration = parts.do("final_configuration", _configuration)
    rest = parts.do("release_source", _source)
    slot = parts.do("drop_slot", _slot)
    collations = parts.do("check_collations", _collations)
    parts.raise_first()
    # Last: what is tried again needs them.
    parts.do("remove_secrets", _secrets)
    parts.raise_first()
    aside = CopyJob(task).aside
    return FinishResult(
        subscriptions_disabled=subscriptions["subscriptions"],
        read_only_lifted=read_only["lifted"],
        pending_restart=configuration["pending_restart"],
        slot_dropped=slot["dropped"],
        collations=collations,
        statements=[
            *({"where": "destination", **s} for s in read_only["statements"]),
            *({"where": "source", **s} for s in rest["statements"]),
            *({"where": "source", **s} for s in slot["statements"]),
            *({"where": "destination", **s} for s in collations["statements"]),
        ],
        set_aside=str(aside) if aside.exists() else None,
        left=parts.left,
    )


#: Part -> its facts where it could not be done, and what to do instead.
_UNDONE: dict[str, tuple[Facts, str]] = {
    "disable_subscriptions": (
        {"subscriptions": []},
        "Look into pg_subscription on the destination, and ALTER SUBSCRIPTION ... DISABLE there.",
    ),
    "lift_read_only": (
        {"lifted": [], "statements": []},
        "Look into pg_db_role_setting on the destination for default_transaction_read_only.",
    ),
    "final_configuration": ({"pending_restart": []}, "Look into postgresql.conf there."),
    "release_source": ({"statements": []}, f"Run on the source: ALTER SYSTEM RESET {SYNC_NAMES};"),
    "drop_slot": ({"dropped": False, "statements": []}, "Drop our slot on the source."),
    "remove_secrets": ({"removed": []}, "Remove the folder `secrets` of the task."),
    "check_collations": (
        asdict(CollationReport()),
        "Compare collation versions on the destination yourself (ALTER DATABASE ... REFRESH"
        " COLLATION VERSION warns where they differ), and REINDEX where they do.",
    ),
}


class _Parts:
    """Does each part once; its facts are kept in the journal."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._first: Exception | None = None
        self.left: list[Facts] = []
        self._ended = {
            entry["name"]: entry["facts"]
            for entry in task.journal.entries()
            if entry["kind"] == "step" and entry["phase"] == "end" and "facts" in entry
        }

    def do(self, name: str, work: Callable[[Task], Facts]) -> Facts:
        """The part's facts, from the journal if it ended before; those of nothing if it fails."""
        if name in self._ended:
            return self._known(name, dict(self._ended[name]))
        self._task.journal.append("step", name=name, phase="begin")
        try:
            facts = work(self._task)
        except (LandbridgeError, psycopg.OperationalError, OSError) as error:
            # It may pass, or somebody may put it right: the step is tried again.
            self._first = self._first or error
            self._task.journal.append("step", name=name, phase="failed", reason=_said(error))
            return dict(_UNDONE[name][0])
        except (psycopg.Error, UnicodeError) as error:
            facts = {**_UNDONE[name][0], "left": _said(error)}
        self._task.journal.append("step", name=name, phase="end", facts=facts)
        if "left" in facts:
            self._task.journal.note(
                "finish.part_left",
                f"{name.replace('_', ' ')} could not be done: {facts['left']}. {_UNDONE[name][1]}",
                level="alarm",
            )
        return self._known(name, facts)

    def raise_first(self) -> None:
        """Raise the first error after which the step is to be tried again."""
        if self._first is not None:
            raise self._first

    def _known(self, name: str, facts: Facts) -> Facts:
        if reason := facts.pop("left", None):
            self.left.append({"part": name, "reason": reason, "remedy": _UNDONE[name][1]})
        return facts


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())


def _subscriptions(task: Task) -> Facts:
    found = catalog.disable_subscriptions(task.cluster(), dbname(task))
    if found:
        names = ", ".join(f"{s['subscription']} in {s['database']}" for s in found)
        task.journal.note(
            "finish.subscriptions_disabled",
            f"Disabled on the destination: {names}. They are copies of the source's. To go on"
            " here: disable them on the source, restart the destination, then"
            " ALTER SUBSCRIPTION ... ENABLE.",
            level="warning",
            subscriptions=found,
        )
    return {"subscriptions": found}


def _read_only(task: Task) -> Facts:
    """Take back read-only defaults that a person may have set on the source as a fence.

    A login that was taken away is only reported: that may have been meant.
    """
    before = recall(task)
    known = {tuple(pair) for pair in before.read_only}
    with catalog.session(task.cluster(), dbname(task)) as conn:
        lifted = [
            catalog.reset_override(*pair).as_string(conn)
            for pair in read_only_overrides(conn)
            if pair not in known
        ]
        for statement in lifted:
            conn.execute(statement.encode())
        locked = set(roles_by_login(conn, login=False)) & set(before.login_roles)
        logins = [catalog.allow_login(role).as_string(conn) for role in sorted(locked)]
    if lifted:
        task.journal.note(
            "finish.read_only_lifted",
            "Read-only defaults that were set on the source during the migration are taken"
            f" back on the destination: {'; '.join(lifted)}",
            level="warning",
        )
    if logins:
        task.journal.note(
            "finish.logins_missing",
            "Roles that could log in when the migration began cannot any more. If that was"
            f" meant as a fence, run on the destination: {'; '.join(logins)}",
            level="warning",
        )
    statements = [{"database": dbname(task), "sql": statement} for statement in logins]
    return {"lifted": lifted, "statements": statements}


def _configuration(task: Task) -> Facts:
    """The configuration of a server of its own, loaded without a restart."""
    cluster = task.cluster()
    with catalog.session(cluster, dbname(task)) as conn:
        before = _loaded_at(conn)
    write_final(task)
    cluster.reload()

    def loaded() -> bool:
        # A session reads the files at its own pace; one that begins now has what counts.
        with catalog.session(cluster, dbname(task)) as conn:
            return bool(_loaded_at(conn) != before)

    if not wait_until(loaded, 10, every=0.02):
        raise LandbridgeError(
            f"the destination did not read its configuration: {cluster.last_words()}",
            id="finish.not_reloaded",
        )
    with catalog.session(cluster, dbname(task)) as conn:
        rows = conn.execute(
            # Leaving out what only a standby heeds.
            "SELECT name FROM pg_settings WHERE pending_restart AND name <> 'hot_standby'"
            " AND NOT name LIKE 'primary%' AND NOT name LIKE 'recovery%' ORDER BY 1"
        ).fetchall()
    pending = [name for (name,) in rows]
    if pending:
        task.journal.note(
            "finish.pending_restart",
            f"Effective at the destination's next restart: {', '.join(pending)}",
        )
    return {"pending_restart": pending}


def _loaded_at(conn: catalog.Connection) -> Any:
    (moment,) = conn.execute("SELECT pg_conf_load_time()").fetchone() or (None,)
    return moment


def _source(task: Task) -> Facts:
    """Before the slot is dropped: it keeps the WAL in which later commits are looked for."""
    wanted = rest_late(task) or _standbys_left(task)
    return {"statements": [{"database": dbname(task), "sql": statement} for statement in wanted]}


def _standbys_left(task: Task) -> list[str]:
    """What takes a migration's destination out of synchronous_standby_names, if one is there.

    It stays where clients kept writing, or where somebody else put it back. One that a person
    has set goes with that person's fence.
    """
    result = SwitchoverResult.load(task)
    if task.request.fence == "manual" and result and result.proved.get(Proof.SYNCHRONOUS.value):
        return []
    try:
        with task.conninfo().connect() as conn:
            if wait_until(lambda: STANDBY.search(show(conn, SYNC_NAMES)) is None, _RELOADED):
                return []
    except (LandbridgeError, psycopg.Error):
        return []  # the slot's part says that the source is away
    wanted = [f"ALTER SYSTEM RESET {SYNC_NAMES};", "SELECT pg_reload_conf();"]
    task.journal.note(
        "finish.standby_names_left",
        f"{SYNC_NAMES} of the source still names the destination of a migration: who writes there"
        f" waits forever. Once nobody does, run there: {' '.join(wanted)}",
        level="warning",
        statements=wanted,
    )
    return wanted


def _slot(task: Task) -> Facts:
    try:
        drop_slot_at(task.conninfo(), task.slot)
    except LandbridgeError as error:
        statement = drop_statement(task.slot)
        task.journal.note(
            "finish.slot_left",
            f"The source still keeps WAL for our slot; it has to be dropped there with"
            f" {statement} ({' '.join(str(error).split())})",
            level="alarm",
        )
        return {"dropped": False, "statements": [{"database": dbname(task), "sql": statement}]}
    return {"dropped": True, "statements": []}


def _secrets(task: Task) -> Facts:
    removed = connection.remove_files(task.cluster())
    task.remove_secrets()
    return {"removed": removed}


def _collations(task: Task) -> Facts:
    rebuild = task.request.reindex
    report = check_collations(
        task.cluster(),
        dbname(task),
        rebuild=rebuild,
        progress=lambda index: task.write_live(phase="finishing", rebuilding=index),
    )
    failed = [index for index in report.indexes if index.error]
    if report.changed:
        task.journal.note(
            "finish.collations_changed",
            f"{len(report.changed)} collations come from another library version here;"
            f" {len(report.indexes)} indexes depend on them"
            + (", rebuilt" if rebuild and not failed else ", to be rebuilt"),
            level="info" if rebuild and not failed else "warning",
            indexes=[f"{i.database}: {i.name}" for i in report.indexes],
        )
    return report.as_dict()
