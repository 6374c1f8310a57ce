"""`landbridge account`: tenants of the control plane and their access keys.

Works on the state directory itself; whether the service runs makes no difference.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .account_users import user
from .local import AccountArgument, local_cloud, minute, pairs, table
from .options import JsonFlag
from .output import Mode, Output

if TYPE_CHECKING:
    from ..cloud.keys import AccessKey
    from ..postgres.conninfo import Secret

account = typer.Typer(
    name="account",
    help="Accounts of the control plane and their access keys, on this machine.",
    epilog="Begin with: landbridge account create NAME",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

account.add_typer(user)

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="Id of an access key.", show_default=False)
]
_ONCE = "The secret is shown this once; nothing can show it again."


@account.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the account.", show_default=False)
    ],
    json: JsonFlag = False,
) -> None:
    """Create an account and its first access key; shows the secret, once."""
    from ..cloud import accounts, audit, keys

    with local_cloud() as cloud, cloud.database.write() as session:
        made = accounts.create(session, name)
        key, secret = keys.create(session, cloud.vault, made)
        audit.record_local(session, "account.create", made.uid, key.id)
    facts = {"account": {"uid": made.uid, "name": made.name}, "access_key": _shown(key, secret)}
    lines = [("Account", made.name), ("UID", str(made.uid)), *_lines(key, secret)]
    Output(Mode.of(json)).result(facts, pairs(lines), "", _ONCE)


@account.command("list")
def list_(json: JsonFlag = False) -> None:
    """List the accounts, oldest first."""
    from ..cloud import accounts, keys

    with local_cloud() as cloud, cloud.database.read() as session:
        found = [
            (each, sum(key.is_active for key in keys.every(session, each)))
            for each in accounts.every(session)
        ]
    rows = table(("UID", "NAME", "CREATED", "ACTIVE KEYS"))
    for each, active in found:
        rows.add_row(str(each.uid), each.name, minute(each.created_at), str(active))
    facts = [
        {"uid": a.uid, "name": a.name, "created_at": a.created_at, "active_keys": active}
        for a, active in found
    ]
    nothing = f"No accounts in {cloud.folder}."
    Output(Mode.of(json)).result({"accounts": facts}, rows if found else nothing)


@account.command()
def keys(account: AccountArgument, json: JsonFlag = False) -> None:
    """List the access keys of an account, without their secrets."""
    from ..cloud import accounts
    from ..cloud import keys as service

    with local_cloud() as cloud, cloud.database.read() as session:
        owner = accounts.find(session, account)
        found = service.every(session, owner)
    rows = table(("ACCESS KEY", "STATUS", "CREATED", "DISABLED"))
    for key in found:
        disabled = minute(key.disabled_at) if key.disabled_at else ""
        rows.add_row(key.id, key.status.value, minute(key.created_at), disabled)
    facts = {"account": owner.uid, "access_keys": [_shown(key) for key in found]}
    Output(Mode.of(json)).result(facts, rows)


@account.command()
def rotate(
    key: KeyArgument,
    keep_old: Annotated[
        bool,
        typer.Option(
            "--keep-old", help="Let the old key go on working until `account disable KEY`."
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Make another key for the account of KEY, and disable KEY at once."""
    from ..cloud import audit
    from ..cloud import keys as service

    with local_cloud() as cloud, cloud.database.write() as session:
        old = service.find(session, key)
        if not keep_old:
            service.disable(session, old)
        new, secret = service.create(session, cloud.vault, old.owner)
        audit.record_local(session, "account.rotate", old.owner_uid, new.id)
    facts = {"account": old.owner_uid, "access_key": _shown(new, secret), "old": _shown(old)}
    lines = [("UID", str(old.owner_uid)), *_lines(new, secret), ("Old key", old.status.value)]
    Output(Mode.of(json)).result(facts, pairs(lines), "", _ONCE)


@account.command()
def disable(key: KeyArgument, json: JsonFlag = False) -> None:
    """Disable an access key for good; calls in flight finish."""
    from ..cloud import audit
    from ..cloud import keys as service

    with local_cloud() as cloud, cloud.database.write() as session:
        found = service.find(session, key)
        service.disable(session, found)
        audit.record_local(session, "account.disable", found.owner_uid, found.id)
    facts = {"account": found.owner_uid, "access_key": _shown(found)}
    Output(Mode.of(json)).result(facts, f"{found.id} is disabled.")


@account.command()
def trail(
    account: AccountArgument,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="How many entries at most.")
    ] = 50,
    json: JsonFlag = False,
) -> None:
    """Show the audit trail of an account, newest first."""
    from ..cloud import accounts, audit, retention

    with local_cloud() as cloud, cloud.database.read() as session:
        owner = accounts.find(session, account)
        found = audit.trail(session, owner, limit)
        since = retention.complete_since(session, owner, audit.AuditEntry)
    rows = table(("TIME", "FROM", "ACCESS KEY", "ACTION", "RESOURCE", "RESULT"))
    for entry in found:
        rows.add_row(
            f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}", entry.source, entry.access_key_id or "",
            entry.action, entry.resource or "", entry.outcome,
        )  # fmt: skip
    facts = {"entries": [e.as_dict() for e in found], "complete_since": since and since.isoformat()}
    said = [f"Some up to {since.astimezone():%Y-%m-%d %H:%M:%S} were removed."] if since else []
    Output(Mode.of(json)).result(facts, rows, *said)


@account.command()
def cost(
    account: AccountArgument,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since", formats=["%Y-%m-%d"], metavar="DATE", help="The first day, in UTC.",
            show_default="the first of this month",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", formats=["%Y-%m-%d"], metavar="DATE", help="The day after the last, in UTC.",
            show_default="now",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:  # fmt: skip
    """Estimate what the networks of an account would cost, from what was counted."""
    from ..cloud import accounts, prices

    end = (until or datetime.now(UTC)).replace(tzinfo=UTC, microsecond=0)
    begin = (since or prices.month_before(end)).replace(tzinfo=UTC)
    if begin >= end:
        raise UsageError("--until is not later than --since")
    with local_cloud() as cloud, cloud.database.read() as session:
        owner = accounts.find(session, account)
        found = prices.estimate(session, owner, begin, end, prices.PriceList.of(cloud))
    rows = table(("ITEM", "RESOURCE", "QUANTITY", "PRICE", found.currency))
    for one in found.costs:
        quantity = f"{one.quantity:.6g} {one.unit}"
        amount = f"{one.amount:.2f}"
        rows.add_row(one.item.value, one.resource_id, quantity, f"{one.price:g}", amount)
    rows.add_row("total", "", "", "", f"{found.total:.2f}")
    said = f"From {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC. {prices.MEANING}"
    facts = {"account": owner.uid, **found.as_dict()}
    Output(Mode.of(json)).result(facts, rows, "", f"{said} {found.note}")


@account.command()
def reseal(json: JsonFlag = False) -> None:
    """Replace the key that seals all stored secrets; the service may run meanwhile.

    Access keys and passwords stay what they are. Copies of the database that were made
    before can then only be opened with a copy of the old key file.
    """
    from ..cloud import audit

    with local_cloud() as cloud:
        count = cloud.vault.reseal(cloud.database)
        with cloud.database.write() as session:
            audit.record_local(session, "account.reseal", None, None)
        path = cloud.vault.keyring.path
    said = f"{count} secrets are sealed with a new key, which is in {path}."
    Output(Mode.of(json)).result({"secrets": count, "keyring": str(path)}, said)


def _shown(key: AccessKey, secret: Secret | None = None) -> dict[str, Any]:
    given = {"secret": secret.reveal()} if secret else {}
    return {
        "id": key.id,
        **given,
        "status": key.status.value,
        "created_at": key.created_at,
        "disabled_at": key.disabled_at,
    }


def _lines(key: AccessKey, secret: Secret) -> list[tuple[str, str]]:
    return [("Access key id", key.id), ("Access key secret", secret.reveal())]
