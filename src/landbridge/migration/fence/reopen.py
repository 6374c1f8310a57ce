"""How the source is left after a switchover, and the lines that open it again.

Nobody but a person opens it: from then on the two sides diverge.
"""

from __future__ import annotations

import shlex

from .attempt import Attempt
from .lockout import BEFORE
from .manual import LIFT, VENDOR
from .settings import READ_ONLY, alter_system

#: Fence -> what it leaves behind.
_LEFT = {
    "sync": f"The source is read-only by default ({READ_ONLY}).",
    "lockout": "The source is closed: its pg_hba.conf admits nobody but our own accounts, and"
    f" {READ_ONLY} is on.",
    "manual": "The source stays as you fenced it.",
}
_OPEN = (
    "The source accepts writes, as it did all the time: keep the applications away from it, or"
    " the two sides diverge."
)
DIVERGE = (
    "Open it only to go on without the destination: what is written there never arrives here,"
    " and the two sides diverge for good."
)


def left(attempt: Attempt, *, fenced: bool) -> str:
    """How the source is left, in a sentence; `fenced`: we saw that it refused writes."""
    return _LEFT[attempt.fence] if fenced or attempt.fence != "manual" else _OPEN


def reopening(attempt: Attempt, *, fenced: bool, released: bool) -> list[dict[str, str]]:
    """The lines that let the source take writes again, in order: where (shell, sql), line.

    `released`: only what stays after a promotion is still set.
    """
    if attempt.fence == "manual":
        return [_sql(_VENDOR_LINE), *map(_sql, LIFT)] if fenced else []
    lines = []
    if attempt.hba_file is not None:
        lines.append({"where": "shell", "line": put_file_back(attempt.hba_file)})
    for name, value in attempt.settings.items():
        if name == READ_ONLY or not released:
            lines.append(_sql(f"{alter_system(name, value).as_string(None)};"))
    return [*lines, _sql("SELECT pg_reload_conf();")] if lines else []


def put_file_back(path: str) -> str:
    """The shell line that makes a pg_hba.conf of ours what it was: it stands at its end.

    A file that is not ours is left alone.
    """
    file = shlex.quote(path)
    return (
        f"grep -qx '{BEFORE}' {file} &&"
        f" sed -i --follow-symlinks -e '1,/^{BEFORE}$/d' -e 's/^# //' {file}"
    )


_VENDOR_LINE = f"-- ApsaraDB: set {VENDOR} to off instead."


def _sql(line: str) -> dict[str, str]:
    return {"where": "sql", "line": line}
