"""How the way to the source is protected, and who will be admitted at the destination."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ...postgres.units import count, duration
from ..facts import Facts
from ..lines import RELOAD, enabling, hba_name, ident, source_sql
from ..model import Act, Fix, Verdict, info, passed, warning
from ._of import on_loopback, server, source

#: A certificate or an account that ends sooner is worth a word.
SOON = timedelta(days=30)
#: Copy (backup, WAL, progress), then stream, lag, fence and comparison.
CONNECTIONS = 8


def tls(facts: Facts) -> Iterator[Verdict]:
    found = source(facts).tls
    assert found is not None
    if found.in_use:
        yield passed(f"the connection is encrypted ({found.protocol or 'TLS'})")
    elif on_loopback(facts) or server(facts).unix_socket:
        yield passed("the connection does not leave this host")
    elif found.offered:
        yield warning(
            "The connection is not encrypted although the source offers TLS: all data crosses the"
            " network in clear text.",
            "Ask for it in the connection string.",
            Fix("shell", "destination", ("sslmode=verify-full sslrootcert=/path/to/ca.crt",)),
        )
    else:
        yield warning(
            "The source offers no TLS: all data crosses the network in clear text.",
            "Switch TLS on at the source, or use a private line.",
            source_sql("ALTER SYSTEM SET ssl = on;", RELOAD, act=Act.ENCRYPT),
        )


def certificate(facts: Facts) -> Iterator[Verdict]:
    found = source(facts).tls
    assert found is not None
    if not found.offered:
        yield passed("the source offers no TLS, so there is no certificate")
        return
    if found.expires is not None:
        left = found.expires - datetime.fromisoformat(facts.started)
        if left < SOON:
            when = f"{found.expires:%Y-%m-%d}"
            state = f"ends on {when}" if left > timedelta(0) else f"has ended on {when}"
            yield warning(
                f"The source's certificate {state}; a connection that verifies it fails then.",
                "Renew it; a reload is enough.",
                source_sql(RELOAD, act=Act.ENCRYPT),
                expires=found.expires.isoformat(),
            )
    if found.problem is not None:
        yield info(
            f"The source's certificate cannot be verified: {found.problem}. The connection is"
            " encrypted, but who is at its other end is not proven.",
            "Name the authority that signed it.",
            Fix("shell", "destination", ("sslmode=verify-full sslrootcert=/path/to/ca.crt",)),
            problem=found.problem,
        )
    elif found.expires is not None:
        yield passed(f"the certificate verifies, until {found.expires:%Y-%m-%d}")


def method(facts: Facts) -> Iterator[Verdict]:
    of = source(facts)
    found = of.auth_method
    private = on_loopback(facts) or of.server.unix_socket or bool(of.tls and of.tls.in_use)
    if found in ("none", "password") and not private:
        what = (
            "asks for no password (trust)" if found == "none"
            else "takes the password in clear text, and the connection is not encrypted"
        )  # fmt: skip
        yield warning(
            f"The source {what}: whoever is on the way can become {facts.user}.",
            "Let its pg_hba.conf ask for scram-sha-256.",
            method=found,
        )
    elif found == "md5":
        yield info(
            f"The password of {facts.user} is kept as md5, which is weak and on its way out of"
            " PostgreSQL.",
            "Set it again with scram-sha-256 when every client can do that.",
            source_sql(
                "SET password_encryption = 'scram-sha-256';", f"\\password {ident(facts.user)}"
            ),
            method=found,
        )
    else:
        yield passed(f"authentication: {found or 'neither password nor trust'}")


def expiry(facts: Facts) -> Iterator[Verdict]:
    account = source(facts).account
    assert account is not None
    if account.valid_until is None:
        yield passed("the password does not expire")
        return
    left = account.valid_until - datetime.fromisoformat(facts.started)
    if left < SOON:
        name = ident(account.name)
        yield warning(
            f"The password of {account.name} expires in {duration(left.total_seconds())}: a"
            " connection that has to be made again after that fails, and with it the migration.",
            "Extend it.",
            enabling(
                account.name,
                f"ALTER ROLE {name} VALID UNTIL 'infinity';",
                undo=[f"ALTER ROLE {name} VALID UNTIL '{account.valid_until.isoformat()}';"],
                automatic=True,
            ),
            valid_until=account.valid_until.isoformat(),
        )
    else:
        yield passed(f"the password is valid until {account.valid_until:%Y-%m-%d}")


def limit(facts: Facts) -> Iterator[Verdict]:
    account = source(facts).account
    assert account is not None
    if 0 <= account.connection_limit < CONNECTIONS and not account.superuser:
        name = ident(account.name)
        yield warning(
            f"{account.name} may open {count(account.connection_limit, 'connection')} at a time; a"
            f" migration takes up to {CONNECTIONS}, WAL senders included.",
            "Raise the limit.",
            enabling(
                account.name,
                f"ALTER ROLE {name} CONNECTION LIMIT -1;",
                undo=[f"ALTER ROLE {name} CONNECTION LIMIT {account.connection_limit};"],
                automatic=True,
            ),
            limit=account.connection_limit,
        )


def hba(facts: Facts) -> Iterator[Verdict]:
    """Who may connect is in a file of the host, which does not move."""
    if facts.plan.hba_given:
        yield passed("pg_hba lines for the destination are given")
        return
    lines = source(facts).hba
    remedy = "Give the destination its lines (--hba-file), or the networks it admits (--allow)."
    if lines is None:
        yield info(
            f"Who may connect to the source (pg_hba.conf) cannot be seen by {facts.user}, and is"
            " not carried over.",
            remedy,
        )
        return
    kept = tuple(
        " ".join((r.type, _names(r.databases), _names(r.users), r.address, r.method))
        for r in lines
        if r.type != "local" and "replication" not in r.databases
    )
    yield info(
        f"pg_hba.conf is not carried over: the destination's networks are others. The source has"
        f" {count(len(kept), 'line')} for hosts.",
        remedy,
        Fix("hba", "destination", kept),
        lines=len(kept),
    )


def _names(found: tuple[str, ...]) -> str:
    """Names as pg_hba.conf takes them; keywords (`all`) and groups (`+name`) as they stand."""
    return ",".join(n if n == "all" or n.startswith("+") else hba_name(n) for n in found)
