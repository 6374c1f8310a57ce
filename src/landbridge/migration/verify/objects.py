"""What is not a table: roles, databases, definitions, large objects.

Everything here is read at the moment of the comparison. Rows are reduced to hashes on the
server: no password hash, setting or source text travels or is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from ...postgres.positions import server_major
from .result import ObjectResult, Verification
from .sides import Connection, Held
from .tables import hash_of

#: Catalogs whose rows change in transactions only, so that a moment shows them exactly.
#: (pg_class and pg_database are also changed in place, by vacuum.)
_CATALOGS = (
    "pg_attrdef", "pg_attribute", "pg_cast", "pg_collation", "pg_constraint", "pg_conversion",
    "pg_default_acl", "pg_description", "pg_enum", "pg_event_trigger", "pg_extension",
    "pg_foreign_server", "pg_index", "pg_language", "pg_namespace", "pg_opclass", "pg_operator",
    "pg_policy", "pg_proc", "pg_publication", "pg_publication_rel", "pg_range", "pg_rewrite",
    "pg_sequence", "pg_statistic_ext", "pg_trigger", "pg_ts_config", "pg_ts_dict", "pg_type",
)  # fmt: skip

#: kind -> name and text of each; {roles} is pg_authid, or pg_roles for who may not read that.
_SHARED = {
    "role": """SELECT r.rolname::text, ROW(r.*, ARRAY(
        SELECT m::text FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1))::text
        FROM {roles} r""",
    "database": """SELECT datname::text, ROW(datdba, encoding, datcollate, datctype,
        datistemplate, datallowconn, datconnlimit, dattablespace, datacl)::text
        FROM pg_database""",
    "setting": """SELECT coalesce(r.rolname, 'every role') || ' in '
        || coalesce(d.datname, 'every database'), s.setconfig::text FROM pg_db_role_setting s
        LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
        """,
    "tablespace": """SELECT spcname::text, ROW(spcowner, spcacl, spcoptions)::text
        FROM pg_tablespace""",
}


def compare_shared(source: Held, destination: Held, result: Verification) -> None:
    """Roles with memberships and settings, databases, tablespaces: once per cluster."""
    whole = _may_read(source.conn, "pg_authid")
    if not whole:
        result.skip("passwords of roles", "the source account may not read pg_authid")
    roles = sql.Identifier("pg_authid" if whole else "pg_roles")
    for kind, query in _SHARED.items():
        composed = sql.SQL(query).format(roles=roles)
        here, there = (_named(held.conn, composed) for held in (source, destination))
        for name in sorted(here | there):
            result.objects.append(
                ObjectResult(
                    kind, name, here.get(name) == there.get(name),
                    None if name in here else "missing", None if name in there else "missing",
                )
            )  # fmt: skip


def compare_definitions(source: Held, destination: Held, result: Verification) -> None:
    """Functions, views, constraints, triggers and so on of one database, by catalog."""
    for catalog in _CATALOGS:
        table = sql.Identifier("pg_catalog", catalog)
        here, there = (_digest(held.conn, table) for held in (source, destination))
        result.objects.append(_counted("definitions", f"{source.dbname}.{catalog}", here, there))


def compare_large_objects(source: Held, destination: Held, result: Verification) -> None:
    """Number and content of the large objects of one database."""
    dbname = source.dbname
    names = ["pg_largeobject_metadata"]
    if _may_read(source.conn, "pg_largeobject"):
        names.append("pg_largeobject")
    found = []
    for held in (source, destination):
        digests = [_digest(held.conn, sql.Identifier("pg_catalog", name)) for name in names]
        found.append((digests[0][0], str(digests)))
    here, there = found
    if len(names) == 1 and here[0]:
        result.skip(
            f"content of {here[0]} large objects in {dbname}",
            "the source account may not read pg_largeobject",
        )
    result.objects.append(_counted("large objects", dbname, here, there))


def _counted(kind: str, name: str, here: tuple[int, str], there: tuple[int, str]) -> ObjectResult:
    return ObjectResult(kind, name, here == there, str(here[0]), str(there[0]))


def _named(conn: Connection, query: sql.Composed) -> dict[str, int]:
    wrapped = sql.SQL("SELECT q.name, {} FROM ({}) q(name, text)").format(
        hash_of(sql.SQL("coalesce(q.text, '')"), server_major(conn)), query
    )
    return {str(name): int(value) for name, value in conn.execute(wrapped)}


def _digest(conn: Connection, catalog: sql.Identifier) -> tuple[int, str]:
    query = sql.SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM {} c").format(
        hash_of(sql.SQL("c::text"), server_major(conn)), catalog
    )
    rows: Iterator[tuple[int, str]] = iter(conn.execute(query))
    return next(rows)


def _may_read(conn: Connection, catalog: str) -> bool:
    query = "SELECT has_table_privilege(%s, 'SELECT')"
    return conn.execute(query, [f"pg_catalog.{catalog}"]).fetchone() == (True,)
