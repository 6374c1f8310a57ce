"""The last gate before anything leaves the task's folder: secrets are taken out.

Nothing of ours writes a secret into the journal in the first place; but settings and
error messages come from users and servers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MASK = "********"

_NAMES = re.compile(r"passw|passfile|secret|token|credential|pgpass", re.I)
_PATTERNS = (
    re.compile(r"(?i)(\b(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.|'')*'|[^\s'\"]+)"),
    # Of a statement, which may be cut off.
    re.compile(
        r"(?is)(\bpassword\s+)((?:e|u&)?'(?:[^'\\]|\\.|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\3\$|$))"
    ),
    re.compile(r"(?i)(\bpostgres(?:ql)?://[^\s/@:]*:)([^\s/@]+)(?=@)"),
    re.compile(r"()(SCRAM-SHA-256\$\S+|\bmd5[0-9a-f]{32}\b)"),
)
#: Shorter passwords would turn up inside ordinary words.
_SHORTEST = 4


def known_secrets(folder: Path) -> list[str]:
    """The passwords in the passfiles of a task, while they are still there."""
    found = set()
    for passfile in folder.glob("secrets/*.pgpass"):
        for line in passfile.read_text().splitlines():
            # host:port:database:user:password, with backslash before a colon or backslash
            fields = re.findall(r"((?:\\.|[^:\\])*)(?::|$)", line)
            if len(fields) >= 5:
                found.add(re.sub(r"\\(.)", r"\1", fields[4]))
    return sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True)


def scrub(value: Any, secrets: Iterable[str] = ()) -> Any:
    """A JSON value without secrets: by name of the key, by pattern, and the known ones.

    >>> scrub({"dsn": "host=h password=x9 user=u", "sslpassword": "p"})
    {'dsn': 'host=h password=******** user=u', 'sslpassword': '********'}
    >>> scrub(["postgresql://ann:s3cr3t@h/db", "it is 4711 here"], ["4711"])
    ['postgresql://ann:********@h/db', 'it is ******** here']
    >>> scrub(["ALTER ROLE a PASSWORD E'x\\\\'y' LOGIN", "alter role b password $$cut o"])
    ['ALTER ROLE a PASSWORD ******** LOGIN', 'alter role b password ********']
    """
    secrets = list(secrets)
    if isinstance(value, dict):
        return {
            k: MASK if _NAMES.search(k) and isinstance(v, str) and v else scrub(v, secrets)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrub(v, secrets) for v in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        for pattern in _PATTERNS:
            value = pattern.sub(rf"\g<1>{MASK}", value)
    return value
