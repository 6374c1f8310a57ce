"""Connections for the accounts of a migration, each with its password.

A password is looked for in the connection string, in the account's environment
variable, in libpq's passfile, and is asked for on a terminal if the server wants
one. It then lives in a `Secret` and, for a task, in a passfile of its own.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import LandbridgeError
from ..postgres.conninfo import Conninfo
from .environment import VARIABLES, taken_password

if TYPE_CHECKING:
    from ..migration.task import Task
    from .output import Output

_PLACE = ("host", "hostaddr", "service")
_INHERITED = (*_PLACE, "port", "dbname", "sslmode", "sslrootcert", "sslcrl")


class Passwords:
    """Finds the passwords of one command."""

    def __init__(self, out: Output) -> None:
        self.out = out

    def source(self, text: str) -> Conninfo:
        """The source's connection, with its password if one could be had.

        Raises UsageError (conninfo.invalid) or LandbridgeError (credentials.missing).
        """
        return self.for_account(Conninfo.parse(text), "source")

    def other(self, text: str | None, role: str, source: Conninfo) -> Conninfo | None:
        """The account of `--fence-as` or `--verify-as`; what it leaves out is the source's."""
        if text is None:
            return None
        given = Conninfo.parse(text)
        elsewhere = any(name in given.parameters for name in _PLACE)
        inherited = {
            name: source.parameters[name]
            for name in _INHERITED
            if name in source.parameters and not (elsewhere and name in _PLACE)
        }
        whole = Conninfo({**inherited, **given.parameters}, given.password)
        if whole.password is None and whole.user == source.user and source.password is not None:
            return whole.with_password(taken_password(role) or source.password)
        return self.for_account(whole, role)

    def for_account(self, conninfo: Conninfo, role: str) -> Conninfo:
        """The connection with the password of its role, if one could be had.

        Raises LandbridgeError (credentials.missing) if the server wants one.
        """
        variable = VARIABLES[role]
        if conninfo.password is not None:
            self.out.warn(
                "a password on the command line can be read in the process list;"
                f" put it into {variable} or a passfile"
            )
            return conninfo
        found = conninfo.with_password(taken_password(role)).resolve_password()
        if found.password is not None or not _is_wanted(found):
            return found
        if not self.out.can_ask:
            raise LandbridgeError(
                f"the server wants a password for {conninfo}",
                id="credentials.missing",
                remedy=f"Put it into {variable} or into a passfile (~/.pgpass, PGPASSFILE).",
            )
        return found.with_password(getpass.getpass(f"Password for {conninfo}: "))

    @contextmanager
    def lent_to(self, task: Task) -> Iterator[None]:
        """Give a finished task, whose secrets were removed, its passwords for a while."""
        lent = False
        for role in ("source", "verify_as", "fence_as"):
            parameters = getattr(task.request, role)
            if parameters is None or task.passfile(role).exists():
                continue
            lent = True
            task.passfile(role).parent.mkdir(mode=0o700, exist_ok=True)
            known = Conninfo({k: v for k, v in parameters.items() if k != "passfile"})
            self.for_account(known, role).write_passfile(task.passfile(role))
        try:
            yield
        finally:
            if lent:
                task.remove_secrets()


def _is_wanted(conninfo: Conninfo) -> bool:
    """Whether the server asks this account for a password; other troubles come up later."""
    try:
        conninfo.connect().close()
    except LandbridgeError as error:
        return "no password supplied" in error.message
    return False
