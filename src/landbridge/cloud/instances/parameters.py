"""Parameters: which an account may set, in which bounds, and what of them needs a restart.

All but one are PostgreSQL's own, and go into postgresql.conf under their names.
`rds_force_trans_ro_non_sup` is the vendor's; see `guard`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ..errors import CloudError
from ..migrations import guards
from .tables import DBInstance, Parameter

FORCE_READ_ONLY = "rds_force_trans_ro_non_sup"
"""Transactions of everybody but superusers are read-only."""

_INT_MAX = 2**31 - 1
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_BOOLEAN = {"on": "on", "true": "on", "1": "on", "off": "off", "false": "off", "0": "off"}


@dataclass(frozen=True)
class Spec:
    """One parameter that may be set."""

    name: str
    default: str
    description: str
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    """Neither bounds nor choices: on or off."""
    restart: bool = False
    since: int = 10
    """The first major that has it."""
    until: int = 99

    @property
    def range(self) -> str:
        """Its values, as the vendor writes them: `[on|off]`, `[0-100]`."""
        if self.least is not None:
            return f"[{self.least}-{self.most}]"
        return f"[{'|'.join(self.choices or ('on', 'off'))}]"

    def check(self, text: str) -> str:
        """The value as the server writes it; CloudError InvalidParameter if it is none."""
        value = text.strip().lower()
        if self.least is not None and self.most is not None:
            if _INTEGER.fullmatch(value) and self.least <= int(value) <= self.most:
                return str(int(value))
        elif self.choices:
            if value in self.choices:
                return value
        elif value in _BOOLEAN:
            return _BOOLEAN[value]
        raise CloudError("InvalidParameter", f"{self.name} is one of {self.range}, not {text!r}")


_MS = "in milliseconds, 0: no limit"
_TABLE = (
    Spec(FORCE_READ_ONLY, "off", "Forces read-only transactions on all but superusers."),
    Spec("autovacuum", "on", "Starts autovacuum."),
    Spec("autovacuum_max_workers", "3", "Autovacuum workers at a time.", 1, 32, restart=True),
    Spec("autovacuum_naptime", "60", "Seconds between two runs of autovacuum.", 1, 2147483),
    Spec("checkpoint_timeout", "300", "Seconds between two checkpoints.", 30, 86400),
    Spec("deadlock_timeout", "1000", "Before a lock is looked at, in milliseconds.", 1, _INT_MAX),
    Spec("effective_cache_size", "524288", "What the planner takes for cached, in 8 kB.",
         1, _INT_MAX),
    Spec("hot_standby_feedback", "off", "A standby tells the primary which rows it still reads."),
    Spec("idle_in_transaction_session_timeout", "0", f"Ends idle transactions, {_MS}.",
         0, _INT_MAX),
    Spec("lock_timeout", "0", f"Longest wait for a lock, {_MS}.", 0, _INT_MAX),
    Spec("log_connections", "off", "Logs connections.", until=17),
    Spec("log_min_duration_statement", "-1", "Logs statements that take so many milliseconds.",
         -1, _INT_MAX),
    Spec("log_statement", "none", "Which statements are logged.",
         choices=("none", "ddl", "mod", "all")),
    Spec("maintenance_work_mem", "65536", "Memory for maintenance, in kB.", 1024, 1048576),
    Spec("max_connections", "100", "Connections at a time; default by class.",
         10, 1000, restart=True),
    Spec("max_prepared_transactions", "0", "Prepared transactions at a time.",
         0, 1000, restart=True),
    Spec("max_replication_slots", "10", "Replication slots.", 5, 100, restart=True),
    Spec("max_wal_senders", "10", "Streams of WAL at a time.", 5, 100, restart=True),
    Spec("max_wal_size", "1024", "WAL between two checkpoints, in MB.", 80, 65536),
    Spec("max_worker_processes", "8", "Background workers at a time.", 8, 64, restart=True),
    Spec("random_page_cost", "4", "What a random read costs the planner.", 1, 100),
    Spec("statement_timeout", "0", f"Longest statement, {_MS}.", 0, _INT_MAX),
    Spec("synchronous_commit", "on", "What a commit waits for.",
         choices=("off", "local", "remote_write", "on", "remote_apply")),
    Spec("temp_file_limit", "-1", "Temporary files of a session, in kB.", -1, _INT_MAX),
    Spec("track_activity_query_size", "1024", "Bytes kept of a running statement.",
         100, 65536, restart=True),
    Spec("wal_keep_segments", "16", "Old WAL that is kept, in 16 MB.", 0, 4096, until=12),
    Spec("wal_keep_size", "256", "Old WAL that is kept, in MB.", 0, 65536, since=13),
    Spec("wal_level", "replica", "What WAL is written for.", choices=("replica", "logical"),
         restart=True),
    Spec("work_mem", "4096", "Memory of a sort or hash, in kB.", 64, 1048576),
)  # fmt: skip


def specs(major: int) -> dict[str, Spec]:
    """Every parameter that a server of this major may be given, by name."""
    return {spec.name: spec for spec in _TABLE if spec.since <= major <= spec.until}


def settings(instance: DBInstance) -> dict[str, str | int]:
    """What stands in postgresql.conf for the parameters of an instance."""
    known = specs(instance.major)
    chosen = {name: spec.default for name, spec in known.items() if name.startswith("wal_keep")}
    chosen |= {p.name: p.value for p in instance.parameters if p.name in known}
    chosen.pop(FORCE_READ_ONLY, None)
    return dict(chosen)


def modify(session: Session, instance: DBInstance, wanted: Mapping[str, str]) -> bool:
    """Set parameters; whether some of them take effect with the next restart alone.

    CloudError: InvalidParameter (no such parameter, not a value of it).
    """
    known = specs(instance.major)
    waits = False
    for name, text in wanted.items():
        if name not in known:
            raise CloudError("InvalidParameter", f"{name!r} is no parameter that can be set")
        value = known[name].check(text)
        row = session.get(Parameter, (instance.id, name))
        if row is None:
            instance.parameters.append(Parameter(name=name, value=value))
        else:
            row.value = value
        if name == FORCE_READ_ONLY and value == "off" and not guards.is_source(session, instance):
            instance.awaited = None
        waits = waits or known[name].restart
    session.flush()
    instance.change()
    return waits
