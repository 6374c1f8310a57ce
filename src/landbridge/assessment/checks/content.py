"""What lies in the databases and behaves differently after a physical copy."""

from __future__ import annotations

from collections.abc import Iterator

from ...postgres.facts.databases import Database, ForeignServer
from ...postgres.facts.names import ForeignName
from ...postgres.units import count, size
from ..facts import Facts
from ..lines import admit, ident, may_run, source_sql
from ..model import Act, Fix, Verdict, error, info, passed, warning
from ._of import listing, server, source

_HOME = ("localhost", "127.0.0.1", "::1", "")
#: Foreign data wrappers that connect to PostgreSQL.
_POSTGRES = ("postgres_fdw", "dblink_fdw")


def databases(facts: Facts) -> Iterator[Verdict]:
    """Databases nobody could look into: their contents were not assessed."""
    of = source(facts)
    known = of.databases or ()
    closed = [d for d in known if d.allows and not d.connectable]
    sealed = [d.name for d in known if not d.allows and d.name != "template0"]
    if closed:
        yield warning(
            f"{facts.user} has no CONNECT on {listing((d.name for d in closed), 10)}; what lies"
            " there (extensions, unlogged tables, indexes) was not assessed. It is copied all the"
            " same.",
            "Let the account in and assess again.",
            *_let_in(facts, closed),
            databases=[d.name for d in closed],
        )
    if sealed:
        yield info(
            f"{listing(sealed)} admit no connections at all; their contents were not assessed.",
            databases=sealed,
        )
    refused = {
        fact: why for fact, why in of.unseen.items() if " in " in fact or "database " in fact
    }
    if refused:
        yield warning(
            "Not everything could be read: "
            + "; ".join(f"{fact} ({why})" for fact, why in sorted(refused.items())),
            "Repair what the messages name and assess again.",
            *(admit(facts, "all") if "pg_hba" in str(refused) else ()),
            refused=refused,
        )
    if not (closed or sealed or refused):
        yield passed(f"{len(of.contents)} databases were looked into")


def _let_in(facts: Facts, closed: list[Database]) -> Iterator[Fix]:
    """What gives our account CONNECT on them; an owner of some may run the lines of these."""
    user = ident(facts.user)
    owned: dict[tuple[str, ...], list[str]] = {}
    for database in closed:
        owned.setdefault(may_run(facts, database.owner), []).append(ident(database.name))
    for by, names in owned.items():
        yield source_sql(
            *(f"GRANT CONNECT ON DATABASE {name} TO {user};" for name in names),
            undo=[f"REVOKE CONNECT ON DATABASE {name} FROM {user};" for name in names],
            automatic=True,
            by=by,
        )


def unlogged(facts: Facts) -> Iterator[Verdict]:
    found = [u for c in source(facts).contents for u in c.unlogged]
    if not found:
        yield passed("no unlogged tables")
        return
    total = sum(u.size for u in found)
    yield warning(
        f"{count(len(found), 'unlogged table')} ({size(total)}) will be empty on arrival, because"
        " such contents are not in the WAL: "
        + listing(f"{u.database}.{u.name} ({size(u.size)})" for u in found)
        + ".",
        "Make those logged whose contents are needed (this rewrites the table under an exclusive"
        " lock), or fill them again after the switchover.",
        *(source_sql(f"ALTER TABLE {u.name} SET LOGGED;", database=u.database) for u in found),
        tables=[{"database": u.database, "name": u.name, "size": u.size} for u in found],
    )


def names(facts: Facts) -> Iterator[Verdict]:
    """Names that nothing of ours, which speaks UTF-8, could put in order or compare."""
    of = source(facts)
    found = [*(of.foreign_names or ()), *(n for c in of.contents for n in c.foreign_names)]
    if not found:
        yield passed("all names are UTF-8")
        return
    yield error(
        "Names that are not UTF-8 stop the clean-up after the switchover and every comparison: "
        + listing(f"{n.kind.lower()} {n.shown}" for n in found)
        + ".",
        "Rename them on the source, and tell its clients; the lines find them by number. A role"
        " with an MD5 password needs a new one afterwards.",
        *(source_sql(_rename(n), database=n.database) for n in found),
        names=[n.shown for n in found],
    )


#: Kind -> how its name is found by number.
_NAMED = {
    "DATABASE": "(SELECT datname FROM pg_database WHERE oid = {})",
    "ROLE": "(SELECT rolname FROM pg_roles WHERE oid = {})",
    "TABLESPACE": "(SELECT spcname FROM pg_tablespace WHERE oid = {})",
    "SCHEMA": "(SELECT nspname FROM pg_namespace WHERE oid = {})",
}


def _rename(name: ForeignName) -> str:
    """One line; the name itself never leaves the server, so its bytes do not matter."""
    # A regclass is quoted as it is.
    place = "%I" if name.kind in _NAMED else "%s"
    old = _NAMED.get(name.kind, "{}::regclass").format(name.oid)
    alter = f"'ALTER {name.kind} {place} RENAME TO {name.kind.lower()}_{name.oid}', {old}"
    return f"DO $$ BEGIN EXECUTE format({alter}); END $$;"


def foreign_servers(facts: Facts) -> Iterator[Verdict]:
    found = [f for c in source(facts).contents for f in c.foreign_servers]
    home = [f for f in found if _points_home(facts, f)]
    away = [f for f in found if f not in home and f.wrapper in _POSTGRES]
    if home:
        names = listing(f"{f.name} in {f.database} ({f.host or 'no host'})" for f in home)
        yield warning(
            f"Foreign servers point at the source's own host: {names}. After the switchover they"
            " lead to the old server, or to whatever runs on the new host.",
            "Correct them on the destination after the promotion (or use a name that moves).",
            *(
                Fix(
                    "sql",
                    "destination",
                    (
                        f"ALTER SERVER {ident(f.name)} OPTIONS"
                        f" ({'SET' if f.host else 'ADD'} host 'NEW_HOST');",
                    ),
                    database=f.database,
                )
                for f in home
            ),
            servers=[f.name for f in home],
        )
    if away:
        names = listing(f"{f.name} in {f.database} ({f.host})" for f in away)
        yield info(
            f"Foreign servers lead elsewhere: {names}.",
            "Make sure that the destination's host reaches them and that they admit it.",
            servers=[f.name for f in away],
        )


def _points_home(facts: Facts, server: ForeignServer) -> bool:
    own = {facts.address.rpartition(":")[0], facts.reached.numeric or ""} | set(_HOME)
    return server.wrapper in _POSTGRES and (server.host or "") in own


def pages(facts: Facts) -> Iterator[Verdict]:
    """Damaged pages that the source itself has met; the full copy would stop at them."""
    known = source(facts).databases or ()
    bad = [d for d in known if d.checksum_failures]
    if bad:
        names = listing(f"{d.name} ({d.checksum_failures})" for d in bad)
        yield warning(
            f"Page checksums failed on the source since its statistics were reset: {names}. The"
            " full copy verifies checksums and stops at a damaged page.",
            "Look into the server's log for the file and block, and repair or restore it.",
            source_sql(
                "SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database"
                " WHERE checksum_failures > 0;"
            ),
            databases={d.name: d.checksum_failures for d in bad},
        )
    elif server(facts).checksums is False or all(d.checksum_failures is None for d in known):
        why = (
            "it has no data checksums" if server(facts).checksums is False
            else f"PostgreSQL {server(facts).major} does not count them"
        )  # fmt: skip
        yield info(f"Whether pages of the source are damaged cannot be seen from here: {why}.")
    else:
        yield passed("no page checksum has failed on the source")


def indexes(facts: Facts) -> Iterator[Verdict]:
    """A sample checked by amcheck, so that old damage is not blamed on the move."""
    looked = [c.indexes for c in source(facts).contents if c.indexes is not None]
    broken = [(health.database, *entry) for health in looked for entry in health.broken]
    for database, name, words in broken:
        yield warning(
            f"Index {name} of database {database} is damaged on the source: {words}. It arrives as"
            " it is.",
            "Rebuild it on the source before the copy.",
            source_sql(f"REINDEX INDEX {name};", database=database),
            database=database,
            index=name,
        )
    closed = [h for h in looked if not h.allowed and h.database not in ("template1", "postgres")]
    checked = sum(h.checked for h in looked)
    if broken:
        return
    if checked == 0 and closed:
        yield info(
            "Whether indexes are sound on the source could not be checked: amcheck is not"
            f" installed there, or {facts.user} may not run it. Damage that exists moves along.",
            "Let the account run amcheck if you want to know before the copy. After it the"
            " destination can be checked (`landbridge verify`).",
            *(
                source_sql(
                    *(() if h.installed else ("CREATE EXTENSION amcheck;",)),
                    f"GRANT EXECUTE ON FUNCTION bt_index_check(regclass) TO {ident(facts.user)};",
                    database=h.database,
                    act=Act.LOOK,
                )
                for h in closed
            ),
        )
    else:
        yield passed(f"amcheck found {checked} indexes of a sample sound", checked=checked)


def roles(facts: Facts) -> Iterator[Verdict]:
    taken = [r.name for r in source(facts).roles or () if r.name in facts.plan.reserved_roles]
    for name in taken:
        yield error(
            f"The source has a role {name}, a name that the destination's service needs itself.",
            "Rename the role (a role with an md5 password loses it).",
            source_sql(
                f"ALTER ROLE {ident(name)} RENAME TO {ident(name + '_old')};",
                undo=[f"ALTER ROLE {ident(name + '_old')} RENAME TO {ident(name)};"],
            ),
            role=name,
        )


def powerful(facts: Facts) -> Iterator[Verdict]:
    """Roles and passwords come along: whoever was superuser there is superuser here."""
    found = [r.name for r in source(facts).roles or () if r.superuser and r.login]
    if found:
        yield info(
            f"All roles come with their passwords; superusers at the destination will be:"
            f" {listing(found, 10)}.",
            "Nothing to repair; lock or change those who shall have no part in the destination.",
            superusers=found,
        )
