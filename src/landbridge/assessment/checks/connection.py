"""Whether the source can be reached and the account is what a migration needs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ...postgres import refusal as refusals
from ...postgres.facts.account import Account
from ...postgres.facts.connect import Attempt
from ...postgres.refusal import Refusal
from ..facts import Facts
from ..lines import admit, alter_system, enabling, ident, source_sql
from ..model import Act, Fix, Verdict, error, passed
from ._of import GIVE_BANDWIDTH


def address(facts: Facts) -> Iterator[Verdict]:
    attempt = facts.reached.address
    if attempt.ok:
        yield passed(f"{facts.address} answers")
        return
    host = facts.address.rpartition(":")[0]
    yield error(
        f"{facts.address} does not answer: {attempt.message} (after {attempt.seconds:.1f} s).",
        "Check the name, the route between the two networks and any firewall that drops"
        " packets; on the destination's host, `ping` and `ip route get` show where it ends.",
        Fix("shell", "destination", (f"ip route get {shlex.quote(host)}",)),
        message=attempt.message,
    )


def port(facts: Facts) -> Iterator[Verdict]:
    attempt = facts.reached.port
    assert attempt is not None
    number = facts.address.rpartition(":")[2]
    if attempt.ok:
        yield passed(f"port {number} is open")
        return
    yield error(
        f"The host answers, but port {number} is closed: {attempt.message}.",
        "Start the server, or make it listen on this address (listen_addresses, port), and"
        " open the port in the host's firewall.",
        source_sql("ALTER SYSTEM SET listen_addresses = '*';", needs_restart=True, act=Act.LISTEN),
        message=attempt.message,
    )


def login(facts: Facts) -> Iterator[Verdict]:
    attempt = facts.reached.login
    assert attempt is not None
    if attempt.ok:
        yield passed(f"{facts.user} logs in ({attempt.seconds * 1000:.0f} ms)")
        return
    cause, remedy, fixes = _why_refused(facts, attempt)
    yield error(cause, remedy, *fixes, message=attempt.message, refusal=_value(attempt.refusal))


def replication(facts: Facts) -> Iterator[Verdict]:
    """Tried for real: pg_hba.conf cannot be read, and `all` does not cover replication.

    From 12 on the server counts its WAL senders before it looks at the role and at
    pg_hba.conf, so one refusal may hide the others; whatever else is known to be missing
    is repaired in the same go.
    """
    attempt = facts.reached.replication
    assert attempt is not None
    if attempt.ok:
        yield passed("a replication connection opens")
        return
    cause, remedy, fixes = _why_no_replication(facts, attempt)
    yield error(cause, remedy, *fixes, message=attempt.message, refusal=_value(attempt.refusal))


def _why_no_replication(facts: Facts, attempt: Attempt) -> tuple[str, str, tuple[Fix, ...]]:
    said = f"A replication connection is refused: {attempt.message}."
    account = facts.source.account if facts.source else None
    lacking = account is not None and not (account.replication or account.superuser)
    attribute = (_give(facts.user, "REPLICATION"),) if lacking else ()
    if attempt.refusal is Refusal.NO_REPLICATION:
        return (
            f"{said} The role {facts.user} does not have the REPLICATION attribute.",
            "Give it the attribute (as a superuser; from 16 on a role with CREATEROLE and"
            " REPLICATION may do it too).",
            attribute or (_give(facts.user, "REPLICATION"),),
        )
    if attempt.refusal is Refusal.NO_HBA_LINE:
        return (
            said,
            "Add this line to pg_hba.conf, above any line that rejects, and reload; lines for"
            " database `all` do not cover replication."
            + (" The role needs the REPLICATION attribute too." if lacking else ""),
            (*admit(facts, "replication"), *attribute),
        )
    if attempt.refusal is Refusal.NO_WALSENDER:
        return (
            f"{said} All WAL sender processes are taken, or there are none"
            " (wal_level = minimal goes with max_wal_senders = 0)."
            + (f" The role {facts.user} lacks REPLICATION too." if lacking else ""),
            "Raise max_wal_senders and restart the source. Whether pg_hba.conf admits a"
            " replication connection shows only then; make sure that it has this line.",
            (
                alter_system(facts, {"max_wal_senders": _more_senders(facts)}, needs_restart=True),
                *attribute,
                *admit(facts, "replication", act=Act.LOOK),
            ),
        )
    cause, remedy, fixes = _why_refused(facts, attempt)
    return cause, remedy, (*fixes, *attribute)


def _more_senders(facts: Facts) -> str:
    """More than are taken now, which is all of them."""
    return str(facts.source.server.number("max_wal_senders") + 10 if facts.source else 20)


def _give(user: str, attribute: str) -> Fix:
    """A role attribute, and the way back."""
    return enabling(
        user,
        f"ALTER ROLE {ident(user)} {attribute};",
        undo=(f"ALTER ROLE {ident(user)} NO{attribute};",),
        automatic=True,
    )


def createrole(facts: Facts) -> Iterator[Verdict]:
    account = _account(facts)
    if account.createrole or account.superuser:
        yield passed(f"{account.name} has CREATEROLE")
        return
    yield error(
        f"The role {account.name} does not have CREATEROLE.",
        "Give it the attribute.",
        _give(account.name, "CREATEROLE"),
    )


def monitor(facts: Facts) -> Iterator[Verdict]:
    account = _account(facts)
    if account.monitor or account.superuser:
        yield passed(f"{account.name} is a member of pg_monitor")
        return
    name = ident(account.name)
    yield error(
        f"The role {account.name} is not a member of pg_monitor; without it settings, other"
        " sessions and WAL files stay hidden.",
        "Make it a member.",
        enabling(
            account.name,
            f"GRANT pg_monitor TO {name};",
            undo=(f"REVOKE pg_monitor FROM {name};",),
            automatic=True,
        ),
    )


def _account(facts: Facts) -> Account:
    assert facts.source is not None and facts.source.account is not None
    return facts.source.account


def _value(refusal: Refusal | None) -> str | None:
    return refusal.value if refusal else None


def _why_refused(facts: Facts, attempt: Attempt) -> tuple[str, str, tuple[Fix, ...]]:
    """Cause, remedy and lines for a refusal that any connection may meet."""
    user = ident(facts.user)
    said = f"The server refuses {facts.user}: {attempt.message}."
    advice = refusals.remedy(attempt.refusal or Refusal.OTHER)
    if attempt.refusal is Refusal.TIMEOUT:
        return (
            f"The port is open, but {facts.user} gets no answer in time ({attempt.message})."
            " Most probably the line between the two networks has next to no bandwidth (one to"
            " which none is allocated carries 1 kbit/s: enough to connect, not to work), or the"
            " server hangs.",
            f"{GIVE_BANDWIDTH} If it has some, look at the server and its log.",
            (),
        )
    if attempt.refusal is Refusal.PASSWORD:
        return (
            f"{said} {advice}",
            "Set the password again, as a superuser; \\password keeps it out of the logs.",
            (
                source_sql(
                    f"ALTER ROLE {user} VALID UNTIL 'infinity';",
                    f"\\password {user}",
                    act=Act.PASSWORD,
                    about={"account": facts.user},
                ),
            ),
        )
    if attempt.refusal is Refusal.NO_HBA_LINE:
        return (
            f"{said}",
            "Add these lines to pg_hba.conf, above any line that rejects, and reload.",
            admit(facts, "all", "replication"),
        )
    if attempt.refusal is Refusal.NO_ROLE:
        return (
            said,
            "Create the account, then set its password with \\password.",
            (
                enabling(
                    facts.user,
                    f"CREATE ROLE {user} LOGIN CREATEROLE REPLICATION;",
                    f"GRANT pg_monitor TO {user};",
                    f"\\password {user}",
                ),
            ),
        )
    if attempt.refusal is Refusal.NO_LOGIN:
        return said, "Let the role log in.", (enabling(facts.user, f"ALTER ROLE {user} LOGIN;"),)
    return said, advice, ()
