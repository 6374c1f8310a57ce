"""The control plane of one state directory: its database and its secrets."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import text

from .. import lock
from ..errors import LandbridgeError, StoreFailed
from ..network.external import ExternalDriver
from ..store import Database, Vault


@dataclass(frozen=True)
class Cloud:
    """What every service works on.

    ::

        STATE/cloud/            mode 0700
        ├── landbridge.sqlite   the database, unless it is elsewhere
        ├── database            the URL of the one that is elsewhere, without a password
        └── keyring             opens the secrets in the database, mode 0600
    """

    folder: Path
    database: Database
    vault: Vault
    external: ExternalDriver | None = None
    """The network, where it is somebody else's; only this process knows what it was told."""
    private_sources: bool = False
    """Whether tenants may name sources at private addresses that are no instances, where the
    service's own host opens the connections."""

    @classmethod
    def open(cls, state: Path, url: str | None = None, password: str | None = None) -> Self:
        """Open or begin the control plane of a state directory.

        `url` names another database than the file in `state`, from now on; `password` is for
        its server. Raises UsageError (database.url) and StoreFailed: state.unreadable,
        state.foreign, state.other_database, and the ids of `Database` and `Vault`.
        """
        folder = _private_folder(state / "cloud")
        elsewhere = folder / "database"
        own = f"sqlite:///{folder / 'landbridge.sqlite'}"
        known = elsewhere.read_text().strip() if elsewhere.exists() else own
        database = Database(url or known, password)
        try:
            if database.public_url != known and _is_used(known):
                raise _other(folder, known)
            control = cls(folder, database, Vault.open(database, folder / "keyring"))
            if url is not None:
                elsewhere.write_text(database.public_url + "\n")
            return control
        except BaseException:
            database.close()
            raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one service of the state directory; LandbridgeError (serve.running) otherwise."""
        held = lock.take(self.folder / "serve.lock")
        if held is None:
            raise LandbridgeError(
                f"a service works on {self.folder} already",
                id="serve.running",
                remedy="Stop it first, or name another --state.",
            )
        try:
            yield
        finally:
            os.close(held)

    def check(self) -> None:
        """StoreFailed if the database or the key file cannot be used at the moment."""
        self.vault.keyring.keys()
        with self.database.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close the connections to the database."""
        self.database.close()


def _is_used(url: str) -> bool:
    """Whether a database that was known before may hold an account, each of which has a secret."""
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///"):
        return True
    if not file.exists():
        return False
    database = Database(url)
    try:
        return not Vault.is_empty(database)
    finally:
        database.close()


def _other(folder: Path, known: str) -> StoreFailed:
    """Networks and servers of one database must not be taken for those of another."""
    return StoreFailed(
        f"{folder.parent} works with the database {known}",
        id="state.other_database",
        remedy="Name another --state for another database. Where the same one is only reached in"
        f" another way by now, write its URL into {folder / 'database'}.",
    )


def _private_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = folder.stat().st_uid
        if owner == os.geteuid():
            folder.chmod(0o700)
    except OSError as problem:
        raise StoreFailed(
            f"the folder {folder} cannot be used: {problem.strerror}",
            id="state.unreadable",
            remedy="Work as the account that began it, or name a folder of yours in"
            " LANDBRIDGE_STATE.",
        ) from None
    if owner != os.geteuid():
        # Files that we make would be closed to the service, which runs as the owner.
        raise StoreFailed(
            f"the folder {folder} belongs to the account {os_account(owner)}",
            id="state.foreign",
            remedy=f"Work as that account: sudo -u {os_account(owner)} ...",
        )
    return folder


def os_account(uid: int) -> str:
    """The name of an account of the operating system, or its number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
