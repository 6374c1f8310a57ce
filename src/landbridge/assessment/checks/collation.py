"""Whether text indexes built on the source are still in order at the destination."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ...postgres.facts.collations import Collation, LocalOrder, TextIndex
from ...postgres.units import count, size
from ..facts import Facts
from ..lines import ident
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import listing, programs, source


def order(facts: Facts) -> Iterator[Verdict]:
    """The canary: the same strings, sorted on both sides."""
    here, used = programs(facts), _used(facts)
    if not used:
        yield passed("no index depends on the order of libc or ICU")
        return
    if here.canary_failed is not None:
        yield info(
            f"The destination's order could not be found out: {here.canary_failed}",
            "Rebuild text indexes after the promotion (--reindex) if in doubt.",
        )
        return
    broken = [c for c in used if _differs(c, here.orders.get(c.order))]
    for collation in broken:
        yield _out_of_order(facts, collation, here.orders[collation.order])
    if not broken:
        compared = sum(c.fingerprint is not None for c in used)
        yield passed(f"{compared} of {len(used)} collations in use were compared and sort alike")


def _out_of_order(facts: Facts, collation: Collation, local: LocalOrder) -> Verdict:
    indexes = _indexes(facts, collation)
    total = size(sum(i.size for i in indexes))
    said = (
        f"Collation {_name(collation)} of database {collation.database} sorts differently on the"
        f" destination (version {collation.actual or 'unknown'} there, {local.version or 'unknown'}"
        f" here): {count(len(indexes), 'index', 'indexes')}, {total} in all, would be out of"
        f" order: {listing(i.name for i in indexes)}."
    )
    data = {
        "database": collation.database,
        "collation": collation.name,
        "indexes": [i.name for i in indexes],
    }
    if facts.plan.reindex:
        return warning(
            f"{said} They are rebuilt after the promotion (--reindex).",
            "Expect wrong answers from them on the standby until then.",
            **data,
        )
    rebuild = tuple(f"REINDEX INDEX {index.name};" for index in indexes)
    return error(
        said,
        "Have them rebuilt right after the promotion (--reindex), or take server programs with the"
        " same libraries; until then they give wrong answers.",
        Fix("shell", "destination", ("landbridge migrate ... --reindex",)),
        Fix("sql", "destination", rebuild, database=collation.database),
        **data,
    )


def version(facts: Facts) -> Iterator[Verdict]:
    """Other versions of the library, even where the canary sees no difference."""
    here = programs(facts)
    for collation in _used(facts):
        local = here.orders.get(collation.order)
        if local is None or _differs(collation, local):
            continue
        ours = local.version
        if collation.actual and ours and collation.actual != ours:
            alike = (
                "sort alike in the comparison" if collation.fingerprint
                else "could not be compared (the database is not UTF8)"
            )  # fmt: skip
            yield warning(
                f"Collation {_name(collation)} of database {collation.database} comes from version"
                f" {collation.actual} of its library on the source and {ours} here; they {alike}."
                " The server will warn about it.",
                "After the promotion Landbridge records the new version; rebuild the indexes"
                " (--reindex) if in doubt.",
                Fix("shell", "destination", ("landbridge migrate ... --reindex",)),
                database=collation.database,
                collation=collation.name,
                source=collation.actual,
                destination=ours,
            )
        elif collation.fingerprint is None and not collation.actual:
            yield info(
                f"Collation {_name(collation)} of database {collation.database} could be compared"
                " neither by version (not recorded by this major) nor by order (the database is"
                " not UTF8).",
                "Rebuild its indexes after the promotion (--reindex) if the hosts differ.",
                Fix("shell", "destination", ("landbridge migrate ... --reindex",)),
                database=collation.database,
                collation=collation.name,
            )


def locale(facts: Facts) -> Iterator[Verdict]:
    """A database whose locale the host does not have admits nobody."""
    here = programs(facts)
    for name in here.missing_locales:
        where = [d.name for d in source(facts).databases or () if name in (d.collate, d.ctype)]
        language, _, encoding = name.partition(".")
        yield error(
            f"Locale {name}, used by {listing(where) or 'an index'}, does not exist on this host:"
            " the database could not be opened.",
            "Make the locale.",
            Fix(
                "shell", "destination",
                (
                    f"localedef -i {shlex.quote(language)} -f {encoding or 'UTF-8'}"
                    f" {shlex.quote(name)}",
                ),
            ),
            locale=name, databases=where,
        )  # fmt: skip
    icu = sorted({d.name for d in source(facts).databases or () if d.provider == "i"}
                 | {c.database for c in _used(facts) if c.order.provider == "i"})  # fmt: skip
    if icu and here.icu is None:
        yield error(
            f"{listing(icu)} use ICU collations; the destination's programs are built without ICU.",
            "Take server programs with ICU.",
            Fix("shell", "destination", (f"apt-get install postgresql-{here.major}",)),
            databases=icu,
        )


def outdated(facts: Facts) -> Iterator[Verdict]:
    """Versions that do not agree on the source already: somebody upgraded its system."""
    of = source(facts)
    names = {
        (f"database {d.name}", d.recorded, d.actual, f"ALTER DATABASE {ident(d.name)}", d.name)
        for d in of.databases or ()
        if d.connectable and d.recorded and d.actual and d.recorded != d.actual
    } | {
        (
            f"collation {_name(c)} in {c.database}", c.recorded, c.actual,
            f"ALTER COLLATION {ident(c.schema)}.{ident(c.name)}", c.database,
        )
        for c in _used(facts)
        if c.name != "default" and c.recorded and c.actual and c.recorded != c.actual
    }  # fmt: skip
    for what, recorded, actual, alter, database in sorted(names):
        yield warning(
            f"On the source itself, {what} was made with version {recorded} of its library, which"
            f" is {actual} now: indexes on text may be out of order already, and so in the copy.",
            "Rebuild the indexes on text there, then record the version.",
            Fix(
                "sql",
                "source",
                (f"REINDEX DATABASE {ident(database)};", f"{alter} REFRESH COLLATION VERSION;"),
                database=database,
            ),
            recorded=recorded,
            actual=actual,
        )


def _used(facts: Facts) -> list[Collation]:
    return [c for contents in source(facts).contents for c in contents.collations]


def _differs(collation: Collation, local: LocalOrder | None) -> bool:
    return (
        local is not None
        and None not in (collation.fingerprint, local.fingerprint)
        and collation.fingerprint != local.fingerprint
    )


def _indexes(facts: Facts, collation: Collation) -> list[TextIndex]:
    return [
        index
        for contents in source(facts).contents
        if contents.database == collation.database
        for index in contents.text_indexes
        if collation.oid in index.collations
    ]


def _name(collation: Collation) -> str:
    kind = "ICU" if collation.order.provider == "i" else "libc"
    return f"{collation.name} ({kind} {collation.order.locale})"
