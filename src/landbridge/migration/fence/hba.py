"""Client authentication rules that admit our own accounts alone, made from those in force.

The rules are taken from pg_hba_file_rules, where the server has resolved included files,
continued lines and quoting itself (PostgreSQL documentation, "pg_hba_file_rules").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from psycopg import sql

from ...errors import SwitchoverRefused
from ...postgres.positions import Connection, server_major

HEADER = "# Written by Landbridge: nobody but its own accounts may connect."
_DATABASE_WORDS = ("all", "sameuser", "samerole", "samegroup", "replication")
_REJECT_ALL = (
    "local all all reject",
    "local replication all reject",
    "host all all all reject",
    "host replication all all reject",
)


@dataclass(frozen=True)
class Rule:
    """One line of pg_hba.conf as the server reads it."""

    type: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str | None
    netmask: str | None
    method: str
    options: tuple[str, ...]

    def line(self, users: Iterable[str]) -> str:
        """The same rule for these users alone."""
        databases = (d if d in _DATABASE_WORDS else _quoted(d) for d in self.databases)
        pairs = (option.partition("=") for option in self.options)
        options = (f"{name}={_quoted(value)}" for name, _, value in pairs)
        parts = (
            self.type, ",".join(databases), ",".join(map(_quoted, users)),
            self.address, self.netmask, self.method, *options,
        )  # fmt: skip
        return " ".join(part for part in parts if part)


def read_rules(conn: Connection) -> list[Rule]:
    """All rules of the file as it is on disk, in their order.

    Raises SwitchoverRefused (fence.hba_unreadable) when the server cannot read a line.
    """
    order = "rule_number" if server_major(conn) >= 16 else "line_number"
    rows = conn.execute(
        sql.SQL(
            "SELECT type, database, user_name, address, netmask, auth_method, options, error,"
            " line_number FROM pg_hba_file_rules ORDER BY {} NULLS FIRST"
        ).format(sql.Identifier(order))
    ).fetchall()
    for row in rows:
        # With a type it is a complaint about a rule that cannot match, such as hostssl without TLS.
        if row[0] is None:
            raise SwitchoverRefused(
                f"line {row[8]} of the source's pg_hba.conf is wrong: {row[7]}",
                id="fence.hba_unreadable",
                remedy="Correct the line; nothing was changed.",
            )
    return [Rule(r[0], tuple(r[1]), tuple(r[2]), r[3], r[4], r[5], tuple(r[6] or ())) for r in rows]


def lock_out(
    rules: Iterable[Rule], ours: Iterable[str], admits: Callable[[str, str], bool]
) -> list[str]:
    """Lines that treat each of `ours` as `rules` do, and reject everybody else.

    `admits(word, user)` says whether a word of a rule's user column means that user.
    """
    ours = list(ours)
    lines = []
    for rule in rules:
        meant = [u for u in ours if any(admits(word, u) for word in rule.users)]
        if meant:
            lines.append(rule.line(meant))
    return [HEADER, *lines, *_REJECT_ALL]


def server_admits(conn: Connection) -> Callable[[str, str], bool]:
    """How this server reads a user column: all, a name, `+group`, `/regular expression`.

    Membership counts as granted: being a superuser does not make one a member here
    (PostgreSQL documentation, "The pg_hba.conf File").
    """

    def admits(word: str, user: str) -> bool:
        if word in ("all", user):
            return True
        if word.startswith("+"):
            return _is_member(conn, user, word[1:])
        if word.startswith("/") and server_major(conn) >= 16:
            return conn.execute("SELECT %s ~ %s", [user, word[1:]]).fetchone() == (True,)
        return False

    return admits


def _is_member(conn: Connection, user: str, group: str) -> bool:
    row = conn.execute(
        """
        WITH RECURSIVE up(oid) AS (
            SELECT oid FROM pg_roles WHERE rolname = %s
            UNION SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.oid
        )
        SELECT count(*) > 0 FROM up JOIN pg_roles USING (oid) WHERE rolname = %s
        """,
        [user, group],
    ).fetchone()
    return row == (True,)


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
