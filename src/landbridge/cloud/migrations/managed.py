"""How the owner of an instance does what a fix of an assessment does: by actions, or on pages.

Its owner has privileged accounts that are no superusers (docs/instances.md), and no files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...assessment.model import Act, Finding, Fix, Level, Report
from ..remedies import Remedy

_ID = "DBInstanceId=SOURCE"
_UP_TO_US = "The owner of an instance cannot set {}; the operator of this service can."
_NOBODY = "No account is known that may: ask the operator of this service."


@dataclass(frozen=True)
class Way:
    """What the owner does instead of the lines of a fix."""

    said: Remedy
    calls: tuple[str, ...] = ()
    """The actions, in which SOURCE stands for the id of the source."""


def way(act: Act, about: Mapping[str, str], *, restarts: bool = False) -> Way | None:
    """The owner's way to what a fix does; None where its lines are the way."""
    match act:
        case Act.ADMIT:
            return _admit(about["network"])
        case Act.SET:
            return _set(about, restarts)
        case Act.ENABLE:
            said = "Take a privileged account of the source, or have its owner make one"
            return Way(
                Remedy(
                    f"{said} (CreateAccount with AccountType=Super).",
                    f"{said} (Accounts, Create Account, Privileged).",
                ),
                (f"CreateAccount {_ID} AccountName={about['account']} AccountType=Super",),
            )
        case Act.PASSWORD:
            said = "Give the right password, or have another set"
            return Way(
                Remedy(f"{said} (ResetAccountPassword).", f"{said} (Accounts, Reset Password)."),
                (f"ResetAccountPassword {_ID} AccountName={about['account']}",),
            )
        case Act.LISTEN:
            return Way(
                Remedy(
                    "See that the source runs (DescribeDBInstanceAttribute) and has this port"
                    " (DescribeDBInstanceNetInfo).",
                    "See that the source runs and has this port (Database Connection).",
                ),
                (f"DescribeDBInstanceNetInfo {_ID}",),
            )
        case Act.ENCRYPT:
            said = "An instance offers none inside its VPC: what keeps it private is the CEN."
            return Way(Remedy(said))
    return None


def _admit(network: str) -> Way:
    said = f"The source's owner adds {network or 'our network'} to its whitelist"
    group = f"DBInstanceIPArrayName=migration SecurityIps={network or 'ADDRESSES'}"
    return Way(
        Remedy(f"{said} (ModifySecurityIps).", f"{said} (Whitelist and SecGroup)."),
        (f"ModifySecurityIps {_ID} {group}",),
    )


def _set(values: Mapping[str, str], restarts: bool) -> Way:
    said = "Set " + " and ".join(f"{name} to {value}" for name, value in values.items())
    calls = [f"ModifyParameter {_ID} Parameters={json.dumps(dict(values))}"]
    if not restarts:
        said += " at the source"
        return Way(Remedy(f"{said} (ModifyParameter).", f"{said} (Parameters)."), tuple(calls))
    return Way(
        Remedy(
            f"{said} at the source (ModifyParameter), and restart it (RestartDBInstance).",
            f"{said} at the source (Parameters), and restart it (Restart Instance).",
        ),
        (*calls, f"RestartDBInstance {_ID}"),
    )


def told(report: Report, parameters: Collection[str]) -> Report:
    """A report for the owner of its source, who may set these `parameters`."""
    findings = tuple(
        each if each.level is Level.OK else _told(each, parameters) for each in report.findings
    )
    return replace(report, findings=findings)


def _told(finding: Finding, parameters: Collection[str]) -> Finding:
    fixes: list[Fix] = []
    instead: list[str] = []
    more: list[str] = []
    for fix in finding.fixes:
        found = way(fix.act, fix.about, restarts=fix.needs_restart)
        if fix.where == "destination":
            fixes.append(fix)
        elif fix.act is Act.SET and not set(fix.about) <= set(parameters):
            more.append(_UP_TO_US.format(", ".join(fix.about)))
        elif found is not None:
            instead.append(found.said)
            fixes += _calls(fix, found)
        elif fix.act is Act.RUN and fix.automatic and not fix.by:
            more.append(_NOBODY)
        elif fix.act is Act.RUN:
            fixes.append(fix)
    words = dict.fromkeys((*(instead or filter(None, [finding.remedy])), *more))
    return replace(finding, remedy=" ".join(words) or None, fixes=tuple(dict.fromkeys(fixes)))


def _calls(fix: Fix, found: Way) -> Iterable[Fix]:
    """What takes the place of a fix; nothing where no action does it."""
    if found.calls:
        yield Fix("api", "source", found.calls, fix.needs_restart, act=fix.act, about=fix.about)


def on_page(fixes: Iterable[Mapping[str, Any]]) -> str:
    """What the owner does on pages of the console, by the fixes of a finding that was `told`."""
    ways = (
        way(Act(fix["act"]), fix["about"], restarts=fix["needs_restart"])
        for fix in fixes
        if fix.get("kind") == "api" and "act" in fix
    )
    return " ".join(dict.fromkeys(found.said.on_page for found in ways if found))
