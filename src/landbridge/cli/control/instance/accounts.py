"""`landbridge instance account`: database accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from ..api import Api
from ..passwords import PasswordFile, password
from ..tables import Column, Listing, Row
from ..verbs import Description, InstanceArgument, Wait, argument, group, verb
from ..waiting import until, until_gone
from .group import instance

account = group("account", "Database accounts of an instance.")
instance.add_typer(account)

_RIGHTS = {"CreateDB": "CREATEDB", "CreateRole": "CREATEROLE", "Replication": "REPLICATION"}


def _rights(row: Row) -> list[str]:
    return [word for name, word in _RIGHTS.items() if row.get(name) == "t"]


def _owned(row: Row) -> list[str]:
    return [one["DBName"] for one in row["DatabasePrivileges"]["DatabasePrivilege"]]


_ACCOUNTS = Listing(
    "accounts", "rds", "DescribeAccounts", "Accounts.DBInstanceAccount",
    (
        Column("Account", "AccountName"),
        Column("Kind", lambda row: "privileged" if row["AccountType"] == "Super" else "normal"),
        Column("Status", "AccountStatus"),
        Column("May", _rights),
        Column("Databases", _owned),
        Column("Description", "AccountDescription"),
        Column("Trouble", lambda row: row.get("AccountTrouble", "")),
    ),
)  # fmt: skip

NameArgument = Annotated[str, argument("NAME", "Name of a database account.")]


@verb(account)
def create(
    api: Api,
    instance: InstanceArgument,
    name: NameArgument,
    privileged: Annotated[
        bool,
        typer.Option(
            "--privileged", metavar="", help="It may create roles and databases, and replicate."
        ),
    ] = False,
    password_file: PasswordFile = None,
    description: Description = None,
    wait: Wait = False,
) -> None:
    """Create a database account."""
    answer = api.call(
        "rds", "CreateAccount", DBInstanceId=instance, AccountName=name,
        AccountType="Super" if privileged else "Normal", AccountDescription=description,
        AccountPassword=password(api.out, password_file, name, new=True),
    )  # fmt: skip
    if wait:
        until(api, name, _ACCOUNTS, _where(instance, name), "Available", status="AccountStatus")
    api.done(answer, f"{name} is {'' if wait else 'being '}created on {instance}.")


@verb(account, "list")
def list_(api: Api, instance: InstanceArgument) -> None:
    """List the database accounts, as the server's own catalog has them."""
    api.show(_ACCOUNTS, api.rows(_ACCOUNTS, DBInstanceId=instance))


@verb(account)
def reset(
    api: Api, instance: InstanceArgument, name: NameArgument, password_file: PasswordFile = None
) -> None:
    """Give a database account another password."""
    answer = api.call(
        "rds", "ResetAccountPassword", DBInstanceId=instance, AccountName=name,
        AccountPassword=password(api.out, password_file, name, new=True),
    )  # fmt: skip
    api.done(answer, f"{name} gets another password on {instance}.")


@verb(account)
def delete(api: Api, instance: InstanceArgument, name: NameArgument, wait: Wait = False) -> None:
    """Delete a database account that owns nothing."""
    answer = api.call("rds", "DeleteAccount", DBInstanceId=instance, AccountName=name)
    if wait:
        until_gone(api, name, _ACCOUNTS, _where(instance, name), status="AccountStatus",
                   trouble="AccountTrouble")  # fmt: skip
    api.done(answer, f"{name} is {'' if wait else 'being '}deleted from {instance}.")


def _where(instance: str, name: str) -> dict[str, object]:
    return {"DBInstanceId": instance, "AccountName": name}
