"""Database accounts: what is ordered about them. The server's catalog says which there are."""

from __future__ import annotations

import re

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ...store import Vault
from .. import names, quotas
from ..errors import CloudError
from .scram import verifier
from .states import AccountState, AccountType, Role
from .tables import DatabaseAccount, DBInstance

SUPERUSER_ROLE = "pg_rds_superuser"
"""Every privileged account is a member of it."""
#: The service's own roles. The statement of the cross-account procedure that ends all
#: sessions spares these names.
INTERNAL = ("pgsql", "aurora", "replicator", "monitor")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,61}[a-z0-9]")
_SPECIAL = "!@#$%^&*()_+-="
#: Names that mean something else where an account is named.
_RESERVED = {*INTERNAL, "postgres", "public", "none", "all", "replication", "root", "admin"}

#: Reserved words of PostgreSQL 10 to 18 (pg_get_keywords, R and T): a name of them would have
#: to be quoted in every statement.
_WORDS = (
    "all analyse analyze and any array as asc asymmetric authorization binary both case cast"
    " check collate collation column concurrently constraint create cross current_catalog"
    " current_date current_role current_schema current_time current_timestamp current_user"
    " default deferrable desc distinct do else end except false fetch for foreign freeze from"
    " full grant group having ilike in initially inner intersect into is isnull join lateral"
    " leading left like limit localtime localtimestamp natural not notnull null offset on only"
    " or order outer overlaps placing primary references returning right select session_user"
    " similar some symmetric system_user table tablesample then to trailing true union unique"
    " user using variadic verbose when where window with"
)


def create(
    session: Session,
    vault: Vault,
    instance: DBInstance,
    name: str,
    password: str,
    *,
    type: AccountType = AccountType.NORMAL,
    description: str | None = None,
) -> DatabaseAccount:
    """Order a new account.

    CloudError: InvalidAccountName.Malformed, .Duplicate, InvalidAccountPassword.Malformed,
    InvalidAccountDescription.Malformed, IncorrectDBInstanceType, QuotaExceeded.Account.
    """
    _check_writable(instance)
    if (
        not _NAME.fullmatch(name)
        or name.startswith("pg_")
        or name in _RESERVED
        or name in _WORDS.split()
    ):
        raise CloudError("InvalidAccountName.Malformed", f"{name!r} cannot be an account's name")
    check_password(password)
    row = _find(session, instance, name)
    if row is not None and row.state is not AccountState.DELETE:
        raise CloudError("InvalidAccountName.Duplicate")
    if row is None:
        row = _added(instance, DatabaseAccount(name=name))
    row.type = type
    row.description = names.ACCOUNT_DESCRIPTION.check(
        description, "InvalidAccountDescription.Malformed", "the description"
    )
    _order(session, vault, instance, row, AccountState.CREATE, password)
    return row


def reset(session: Session, vault: Vault, instance: DBInstance, name: str, password: str) -> None:
    """Order another password, also for an account that a migration or a statement brought.

    CloudError: InvalidAccountName.NotFound (when the server is told, as well),
    InvalidAccountPassword.Malformed, IncorrectDBInstanceType.
    """
    _check_writable(instance)
    check_password(password)
    row = _known(session, instance, name)
    state = AccountState.CREATE if row.state is AccountState.CREATE else AccountState.RESET
    _order(session, vault, instance, row, state, password)


def delete(session: Session, vault: Vault, instance: DBInstance, name: str) -> None:
    """Order that an account goes; it stays while it owns something."""
    _check_writable(instance)
    _order(session, vault, instance, _known(session, instance, name), AccountState.DELETE)


def check_password(password: str) -> None:
    """CloudError InvalidAccountPassword.Malformed unless it is as the vendor wants it."""
    kinds = (
        any(c.isupper() for c in password),
        any(c.islower() for c in password),
        any(c.isdigit() for c in password),
        any(c in _SPECIAL for c in password),
    )
    is_known = all((c.isascii() and c.isalnum()) or c in _SPECIAL for c in password)
    if not (8 <= len(password) <= 32 and is_known and sum(kinds) >= 3):
        raise CloudError(
            "InvalidAccountPassword.Malformed",
            "a password has 8 to 32 characters, of three of: upper case, lower case, digits,"
            f" {_SPECIAL}",
        )


def settle(
    session: Session, vault: Vault, instance_id: str, name: str, order: int, trouble: str = ""
) -> None:
    """An order was carried out, or not for `trouble`; the row of a deleted account goes."""
    row = session.scalar(_query(instance_id, name))
    if row is None or row.order != order:
        return
    _forget_verifier(session, vault, row)
    if row.state is AccountState.DELETE and not trouble:
        session.delete(row)
    row.state, row.trouble = AccountState.DONE, trouble


def _known(session: Session, instance: DBInstance, name: str) -> DatabaseAccount:
    """The row of an account; made for one that only the catalog knows."""
    row = _find(session, instance, name)
    if row is not None:
        return row
    if name in _RESERVED or name.startswith("pg_"):
        raise CloudError("InvalidAccountName.NotFound")
    row = DatabaseAccount(
        name=name, type=AccountType.NORMAL, description="", state=AccountState.DONE
    )
    return _added(instance, row)


def _added(instance: DBInstance, row: DatabaseAccount) -> DatabaseAccount:
    quotas.DATABASE_ACCOUNTS.require_room(len(instance.accounts))
    instance.accounts.append(row)
    return row


def _order(
    session: Session,
    vault: Vault,
    instance: DBInstance,
    row: DatabaseAccount,
    state: AccountState,
    password: str | None = None,
) -> None:
    row.state, row.trouble = state, ""
    _forget_verifier(session, vault, row)
    if password is not None:
        row.verifier_id = vault.keep(session, verifier(password))
    session.flush()
    row.order += 1
    instance.change()


def _forget_verifier(session: Session, vault: Vault, row: DatabaseAccount) -> None:
    id, row.verifier_id = row.verifier_id, None
    if id is not None:
        session.flush()
        vault.forget(session, id)


def _find(session: Session, instance: DBInstance, name: str) -> DatabaseAccount | None:
    return session.scalar(_query(instance.id, name))


def _query(instance_id: str, name: str) -> Select[DatabaseAccount]:
    return select(DatabaseAccount).where(
        DatabaseAccount.instance_id == instance_id, DatabaseAccount.name == name
    )


def _check_writable(instance: DBInstance) -> None:
    if instance.role is Role.READ_ONLY:
        raise CloudError(
            "IncorrectDBInstanceType", "a read-only instance has the accounts of its primary"
        )
