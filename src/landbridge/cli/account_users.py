"""`landbridge account user`: the people of an account who sign in at the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .control.connection import read_text
from .local import AccountArgument, local_cloud, minute, pairs, table
from .options import JsonFlag
from .output import Mode, Output

if TYPE_CHECKING:
    from ..cloud.users import ConsoleUser
    from ..postgres.conninfo import Secret

user = typer.Typer(
    name="user",
    help="People of an account who sign in at the console with a password.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the user.", show_default=False)
]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file", metavar="FILE", show_default="a new one, which is shown",
        help="Where the password stands, alone; - for stdin.",
    ),
]  # fmt: skip
_ONCE = "The password is shown this once; nothing can show it again."


@user.command()
def add(
    account: AccountArgument,
    name: NameArgument,
    password_file: PasswordFile = None,
    json: JsonFlag = False,
) -> None:
    """Let somebody sign in at the console; they may do all that the account may."""
    from ..cloud import accounts, audit, users

    password, is_new = _password(password_file)
    with local_cloud() as cloud, cloud.database.write() as session:
        owner = accounts.find(session, account)
        made = users.create(session, owner, name, password)
        audit.record_local(session, "account.user.add", owner.uid, name)
    _show(json, owner.uid, made, password if is_new else None)


@user.command("list")
def list_(account: AccountArgument, json: JsonFlag = False) -> None:
    """List the users of an account."""
    from ..cloud import accounts, users

    with local_cloud() as cloud, cloud.database.read() as session:
        owner = accounts.find(session, account)
        found = users.every(session, owner)
    rows = table(("USER", "STATUS", "CREATED", "PASSWORD SET"))
    for each in found:
        facts = _facts(each)
        rows.add_row(each.name, facts["status"], minute(each.created_at), minute(each.changed_at))
    facts = {"account": owner.uid, "users": [_facts(each) for each in found]}
    Output(Mode.of(json)).result(facts, rows if found else "No users.")


@user.command()
def password(
    account: AccountArgument,
    name: NameArgument,
    password_file: PasswordFile = None,
    json: JsonFlag = False,
) -> None:
    """Give a user another password; what they have open at the console ends."""
    from ..cloud import accounts, audit, users

    password, is_new = _password(password_file)
    with local_cloud() as cloud, cloud.database.write() as session:
        owner = accounts.find(session, account)
        found = users.find(session, owner, name)
        found.set_password(password)
        audit.record_local(session, "account.user.password", owner.uid, name)
    _show(json, owner.uid, found, password if is_new else None)


@user.command()
def remove(account: AccountArgument, name: NameArgument, json: JsonFlag = False) -> None:
    """Delete a user; what they have open at the console ends."""
    from ..cloud import accounts, audit, users

    with local_cloud() as cloud, cloud.database.write() as session:
        owner = accounts.find(session, account)
        session.delete(users.find(session, owner, name))
        audit.record_local(session, "account.user.remove", owner.uid, name)
    Output(Mode.of(json)).result({"account": owner.uid, "user": name}, f"{name} is removed.")


def _password(file: str | None) -> tuple[Secret, bool]:
    """The password, and whether it was made here."""
    from ..cloud import users
    from ..postgres.conninfo import Secret

    if file is not None:
        return Secret(read_text(file)), False
    return users.new_password(), True


def _show(json: bool, uid: int, made: ConsoleUser, new: Secret | None) -> None:
    lines = [("UID", str(uid)), ("User", made.name)]
    facts = _facts(made)
    if new is None:
        Output(Mode.of(json)).result({"account": uid, "user": facts}, pairs(lines))
        return
    lines.append(("Password", new.reveal()))
    facts["password"] = new.reveal()
    Output(Mode.of(json)).result({"account": uid, "user": facts}, pairs(lines), "", _ONCE)


def _facts(of: ConsoleUser) -> dict[str, Any]:
    return {
        "name": of.name,
        "status": "Inactive" if of.is_disabled else "Active",
        "created_at": of.created_at,
        "password_set_at": of.changed_at,
    }
