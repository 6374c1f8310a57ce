"""What a record says, in words for the owner of the destination.

A record is written for whoever works on this machine. Its owner is told what can be done by
the API and at the source, and nothing of where things lie here.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .. import remedies
from ..instances.homes import installed
from ..remedies import Remedy
from . import managed
from .foreign import OF_THE_MACHINE

_FENCE = Remedy(
    "Set rds_force_trans_ro_non_sup to on at the source (ModifyParameter), or on a server that"
    " is none of ApsaraDB's ALTER SYSTEM SET default_transaction_read_only = on and SELECT"
    " pg_reload_conf(); end its sessions, then switch over again. Where nobody writes any more:"
    " Forced switchover (the console), or ForceSwitch=1 (ActivateMigrationTargetInstance).",
    "Set rds_force_trans_ro_non_sup to on at the source (Parameters), or on a server that is none"
    " of ApsaraDB's ALTER SYSTEM SET default_transaction_read_only = on and SELECT"
    " pg_reload_conf(); end its sessions, then switch over again. Where nobody writes any more:"
    " Switch over although the source accepts writes.",
)
_OURS = "It is up to the operator of this service."
_INSTALL = "What an instance's server has is up to the operator of this service."
_ANEW = Remedy(
    "CancelMigration, then begin another migration.",
    "Cancel the migration, then begin another migration.",
)
_PARAMETER = Remedy(
    "Set the parameter to another value at the destination (ModifyParameter).",
    "Set the parameter to another value at the destination (Parameters).",
)
_REINDEX = "REINDEX the text indexes at the destination after the switchover."
#: Id of an error or finding -> what its owner can do, where that differs.
REMEDIES = {
    "assessment.errors": Remedy(
        "The checks above name what stands in the way; DescribeAssessment of a new assessment"
        " gives the lines that repair it.",
        "The checks above name what stands in the way; the report of a new assessment gives the"
        " lines that repair it.",
    ),
    "auth.hba": Remedy(
        "The destination's whitelist says who may connect (ModifySecurityIps).",
        "The destination's whitelist says who may connect (Whitelist and SecGroup).",
    ),
    "collation.locale": _INSTALL,
    "collation.order": _REINDEX,
    "collation.version": _REINDEX,
    "connect.address": "Check the address, and the way to it: both VPCs are attached to one CEN,"
    " and the connection between their regions has bandwidth.",
    "destination.access": _OURS,
    "destination.disk": _OURS,
    "clock.difference": _OURS,
    "clock.timezone_data": _OURS,
    "extension.missing": f"Drop it at the source if nobody uses it. {_INSTALL}",
    "extension.version": f"Expect it, if nobody uses what is new. {_INSTALL}",
    "fence.account": "Nothing to repair: the switchover says how, and looks whether it is so.",
    "fence.broken": _FENCE,
    "fence.not_effective": _FENCE,
    "follow.slot_lost": _ANEW,
    "follow.wal_budget_exceeded": _ANEW,
    "library.functions": f"Drop the functions at the source if nobody uses them. {_INSTALL}",
    "library.preload": f"Take the setting back at the source if nobody needs it. {_INSTALL}",
    "platform.architecture": f"Move with pg_dump. {_INSTALL}",
    "platform.checksums": "Expect it.",
    "platform.sizes": f"Move with pg_dump. {_INSTALL}",
    "settings.hot_standby": _PARAMETER,
    "settings.left": Remedy(
        "Set those that an instance has after the migration (ModifyParameter).",
        "Set those that an instance has after the migration (Parameters).",
    ),
    "settings.refused": _PARAMETER,
    "settings.tls": "Expect it: an instance offers none inside its VPC.",
    "start.setting_refused": Remedy(
        "CancelMigration, set the parameter to another value at the destination (ModifyParameter),"
        " then begin another migration.",
        "Cancel the migration, set the parameter to another value at the destination (Parameters),"
        " then begin another migration.",
    ),
    "switchover.source_unreachable": "Look at the source's whitelist, at the way to it, and at the"
    " account of the migration there, which must keep its password and rights; then switch over"
    " again.",
    "switchover.time_limit": "Switch over again.",
    "tls.certificate": "Have it renewed where it ends soon; nobody is asked who has signed it.",
    "version.major": Remedy(
        "Take an instance of the source's major version (CreateDBInstance), and migrate into that;"
        " a source before 10 is upgraded first.",
        "Take an instance of the source's major version (Create Instance), and migrate into that;"
        " a source before 10 is upgraded first.",
    ),
    "version.minor": _INSTALL,
    "wal.archive": "Take a base backup after the switchover: an instance has no archive.",
    "wal.retention": "Have the destination nearer, write less meanwhile, or raise what limits it"
    " at the source.",
    "wal.source_disk": "Make sure that the source's disk has that to spare.",
}
#: A command or an option of the command line, in parentheses or as part of a sentence.
_ASIDE = re.compile(r"\s*\((?:[^()]*\s)?(?:--[a-z]|landbridge [a-z])[^()]*\)")
_COMMAND = re.compile(r"(?<!\w)--[a-z]|\blandbridge [a-z]+\b(?! \w+ to )|\bthe task's folder\b")
#: What libpq says of a server on this machine that does not answer: its reason is group 1.
_LOCAL_SOCKET = re.compile(
    r"cannot connect to the server on .*?:"
    r' (?:connection (?:is bad|failed): )?(?:connection to server on socket "[^"]*" failed: )?'
    r"(.*?)(?: Is the server running locally and accepting connections on that socket\?)?$",
    re.MULTILINE,
)
#: Where libpq had a password from, which is no news to whom it belongs.
_PASSFILE = re.compile(r',?\s*\(?password retrieved from file "[^"]*"\)?')
_SILENT = r"the destination's server does not answer: \1"
_SENTENCES = re.compile(r"(?<=[.;:])\s+|\n+")
_DESTINATION, _PROGRAMS = "the destination's folder", "the server's programs"


class Teller:
    """Tells what concerns the owner alone."""

    def __init__(self, here: Iterable[Path], programs: Iterable[Path]) -> None:
        """`here`: folders of the service's own; `programs`: those of servers."""
        here, programs = tuple(here), tuple(programs)
        self._asides = [
            re.compile(rf"\s*\([^()]*{re.escape(str(path))}[^()]*\)") for path in (*here, *programs)
        ]
        """What stands in parentheses and names a place says nothing without it."""
        self._places = [
            (re.compile(rf"{re.escape(str(path))}[^\s,;:)'\"]*"), said)
            for paths, said in ((here, _DESTINATION), (programs, _PROGRAMS))
            for path in paths
        ]

    @classmethod
    @cache
    def of(cls, state: Path) -> Teller:
        """Of the service with this state folder."""
        return cls((state.absolute(), Path(tempfile.gettempdir()) / "landbridge-"), _programs())

    def text(self, text: str) -> str:
        """A text without places of this machine and without its command line."""
        text = _PASSFILE.sub("", _LOCAL_SOCKET.sub(_SILENT, text))
        for aside in self._asides:
            text = aside.sub("", text)
        for place, said in self._places:
            text = place.sub(said, text)
        text = text.replace("--wal-budget", "the budget for WAL")
        if not _COMMAND.search(text):
            return text
        kept: list[str] = []
        for sentence in _SENTENCES.split(_ASIDE.sub("", text)):
            if not _COMMAND.search(sentence):
                kept.append(sentence)
            elif kept and kept[-1].endswith((":", ";")):
                kept.pop()
        return " ".join(kept)

    def remedy(self, id: str, text: str | None) -> str:
        """What the owner can do about an error or a finding; empty where nobody said."""
        return REMEDIES.get(id) or self.text(text or "")

    def value(self, value: Any) -> Any:
        """The same for all texts of a JSON value; errors and findings are known by their ids."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        if not isinstance(value, dict):
            return value
        told = {name: self.value(each) for name, each in value.items()}
        if "remedy" in value and "id" in value and not _is_told(value):
            told["remedy"] = self.remedy(value["id"], value["remedy"]) or None
        return told

    def report(self, report: dict[str, Any]) -> dict[str, Any]:
        """An assessment's report: of the destination its version, of fixes those of the source."""
        destination = report["destination"]
        findings = [
            finding | {"fixes": [fix for fix in finding["fixes"] if fix["where"] == "source"]}
            for finding in report["findings"]
            if finding["id"] not in OF_THE_MACHINE
        ]
        known = {"version": destination["version"]} if "version" in destination else {}
        told: dict[str, Any] = self.value(report | {"destination": known, "findings": findings})
        return told


def _is_told(finding: Mapping[str, Any]) -> bool:
    """Whether nothing is to be done about it, or the source's owner was told what already."""
    return finding.get("level") == "ok" or bool(managed.on_page(finding.get("fixes", ())))


def advice(id: str, remedy: str | None, fixes: Iterable[Mapping[str, Any]] = ()) -> str:
    """What was told an owner to do about an error or a finding, where pages are before him."""
    if not remedy:
        return ""
    return managed.on_page(fixes) or remedies.on_page(REMEDIES.get(id, remedy))


@cache
def _programs() -> tuple[Path, ...]:
    """Where the programs of servers and our own lie."""
    found = {path for each in installed() for path in (each.root, each.bin)} | {Path(sys.prefix)}
    # The longest first; a root like /usr is everybody's.
    return tuple(path for path in sorted(found, reverse=True) if len(path.parts) > 2)
