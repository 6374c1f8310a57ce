"""Sessions on servers whose data others have made: nothing of theirs is found, and run as us.

A function or an operator in a schema that is searched is taken instead of PostgreSQL's own
where it fits the arguments better, and roles and databases can carry a `search_path` that begins
with such a schema (documentation, "Secure Schema Usage Pattern"; CVE-2018-1058). What a session
is begun with counts more than what a role or a database carries.
"""

from __future__ import annotations

_SETTINGS = {"search_path": "pg_catalog,pg_temp"}


def options(given: str = "", **settings: str) -> str:
    """libpq's `options` of a wary session, with more `settings` (values without blanks).

    >>> options("-c work_mem=8MB", lock_timeout="0")
    '-c work_mem=8MB -c lock_timeout=0 -c search_path=pg_catalog,pg_temp'
    """
    ours = [f"-c {name}={value}" for name, value in {**settings, **_SETTINGS}.items()]
    return " ".join([given, *ours]).strip()
