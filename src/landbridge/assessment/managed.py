"""The owner's way to what a superuser does, at a source that is an instance of the control plane.

Its owner has the actions of the API and the pages of the console, and privileged accounts that
are no superusers (docs/instances.md).
"""

from __future__ import annotations

import json

from ..postgres.refusal import Refusal
from .facts import Facts
from .model import Fix

_ID = "DBInstanceId=SOURCE"
_PRIVILEGED = "Take a privileged account of the source, or have its owner make one (CreateAccount"
_PRIVILEGED += " with AccountType=Super; console: Accounts, Create Account, Privileged)."


def may_set(facts: Facts, parameter: str) -> bool:
    """Whether the source's owner can set a parameter at all."""
    return facts.plan.managed is None or parameter in facts.plan.managed


def parameters(values: dict[str, str], *, needs_restart: bool) -> Fix:
    """Set parameters (console: Parameters), and restart the instance if it takes that."""
    lines = [f"ModifyParameter {_ID} Parameters={json.dumps(values)}"]
    if needs_restart:
        lines.append(f"RestartDBInstance {_ID}")
    return Fix("api", "source", tuple(lines), needs_restart)


def whitelist(facts: Facts) -> Fix:
    """Admit the destination's network, or the address that the source sees us come from."""
    entries = ",".join(_entries(facts) or ("ADDRESSES",))
    line = f"ModifySecurityIps {_ID} DBInstanceIPArrayName=migration SecurityIps={entries}"
    return Fix("api", "source", (line,))


def _entries(facts: Facts) -> tuple[str, ...]:
    seen = facts.reached.seen_as
    return facts.plan.cidrs or ((seen,) if seen else ())


def privileged(facts: Facts) -> tuple[str, Fix]:
    """Remedy and lines for an account that lacks something."""
    line = f"CreateAccount {_ID} AccountName={facts.user} AccountType=Super"
    return _PRIVILEGED, Fix("api", "source", (line,))


def admit(facts: Facts, refusal: Refusal | None) -> tuple[str, tuple[Fix, ...]] | None:
    """Remedy and lines for a refused connection; None where it is as anywhere else."""
    match refusal:
        case Refusal.NO_HBA_LINE:
            network = ", ".join(_entries(facts)) or "the destination's network"
            said = f"The source's owner adds {network} to its whitelist (ModifySecurityIps;"
            said += " console: Whitelist and SecGroup)."
            return said, (whitelist(facts),)
        case Refusal.NO_WALSENDER:
            values = {"max_wal_senders": "20"}
            return (
                "Raise max_wal_senders (console: Parameters) and restart the instance.",
                (parameters(values, needs_restart=True),),
            )
        case Refusal.PASSWORD:
            line = f"ResetAccountPassword {_ID} AccountName={facts.user}"
            said = "Give the right password, or have another set (ResetAccountPassword; console:"
            said += " Accounts, Reset Password)."
            return said, (Fix("api", "source", (line,)),)
        case Refusal.NO_ROLE | Refusal.NO_LOGIN | Refusal.NO_REPLICATION:
            remedy, fix = privileged(facts)
            return remedy, (fix,)
    return None
