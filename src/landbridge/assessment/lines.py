"""The exact lines of fixes, quoted for the server or the file they are meant for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..postgres.cluster import quote
from .facts import Facts
from .model import Act, Fix

RELOAD = "SELECT pg_reload_conf();"
#: A name that pg_hba.conf takes as it stands; `all` and the like mean something else there.
_PLAIN = re.compile(r"(?!(?:all|replication|sameuser|samerole|samegroup)$)[A-Za-z_][A-Za-z0-9_]*")


def ident(name: str) -> str:
    """An SQL identifier, always quoted.

    >>> ident('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """An SQL literal.

    >>> literal("it's"), literal("a\\\\b")
    ("'it''s'", "E'a\\\\\\\\b'")
    """
    quoted = "'" + value.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted


def source_sql(
    *lines: str,
    undo: Iterable[str] = (),
    automatic: bool = False,
    needs_restart: bool = False,
    database: str | None = None,
    act: Act = Act.RUN,
    about: dict[str, str] | None = None,
    by: tuple[str, ...] = (),
) -> Fix:
    """SQL to run on the source."""
    return Fix(
        "sql", "source", lines, needs_restart, automatic, tuple(undo), database,
        act=act, about=about or {}, by=by,
    )  # fmt: skip


def may_run(facts: Facts, *roles: str | None) -> tuple[str, ...]:
    """Those of the roles that can log in and are no superusers: whom one can ask to run lines."""
    known = {role.name for role in (facts.source.roles if facts.source else None) or ()
             if role.login and not role.superuser}  # fmt: skip
    return tuple(dict.fromkeys(role for role in roles if role in known))


def enabling(user: str, *lines: str, undo: Iterable[str] = (), automatic: bool = False) -> Fix:
    """SQL that makes the account what a migration takes."""
    return source_sql(
        *lines, undo=undo, automatic=automatic, act=Act.ENABLE, about={"account": user}
    )


def alter_system(
    facts: Facts, values: dict[str, str], *, needs_restart: bool = False, automatic: bool = True
) -> Fix:
    """ALTER SYSTEM on the source, with the way back to what pg_settings shows now."""
    lines = [f"ALTER SYSTEM SET {name} = {literal(value)};" for name, value in values.items()]
    undo = []
    settings = facts.source.server.settings if facts.source else {}
    for name in values:
        now = settings.get(name)
        in_auto = now is not None and (now.file or "").endswith("postgresql.auto.conf")
        undo.append(
            f"ALTER SYSTEM SET {name} = {literal(now.value)};"
            if now is not None and in_auto
            else f"ALTER SYSTEM RESET {name};"
        )
    tail = () if needs_restart else (RELOAD,)
    return source_sql(
        *lines, *tail, undo=(*undo, *tail), automatic=automatic, needs_restart=needs_restart,
        act=Act.SET, about=values,
    )  # fmt: skip


def hba_line(facts: Facts, database: str) -> str:
    """The pg_hba.conf line that admits our account from where the source sees us.

    `database` is a database's name, `all` or `replication`. scram where the server
    knows it as its default, otherwise md5, which admits both kinds of password.
    """
    seen = facts.reached.seen_as
    server = facts.source.server if facts.source else None
    scram = server is not None and server.value("password_encryption") == "scram-sha-256"
    method = "scram-sha-256" if scram else "md5"
    user = hba_name(facts.user)
    if seen is None:
        return f"local {database} {user} {method}"
    mask = 128 if ":" in seen else 32
    return f"host {database} {user} {seen}/{mask} {method}"


def hba_name(name: str) -> str:
    """The name of a role as it stands in pg_hba.conf.

    >>> hba_name("ann"), hba_name("all"), hba_name("odd name")
    ('ann', '"all"', '"odd name"')
    """
    return name if _PLAIN.fullmatch(name) else ident(name)


def admit(facts: Facts, *databases: str, act: Act = Act.ADMIT) -> tuple[Fix, Fix]:
    """Those lines for pg_hba.conf, to stand above any that reject, and a reload."""
    server = facts.source.server if facts.source else None
    file = (server.value("hba_file") if server else "") or None
    lines = tuple(hba_line(facts, d) for d in databases)
    seen = facts.reached.seen_as
    about = {"network": ",".join(facts.plan.cidrs or ((seen,) if seen else ()))}
    return (
        Fix("hba", "source", lines, file=file, act=act, about=about),
        source_sql(RELOAD, act=act, about=about),
    )


def conf_line(name: str, value: str | int) -> str:
    """A line of postgresql.conf."""
    return f"{name} = {quote(value)}"
