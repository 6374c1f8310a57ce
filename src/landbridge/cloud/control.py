"""The control plane of one state directory: its database and its secrets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..errors import StoreFailed
from ..store import Database, Vault


@dataclass(frozen=True)
class Cloud:
    """What every service works on.

    ::

        STATE/cloud/            mode 0700
        ├── landbridge.sqlite   the database, unless it is elsewhere
        └── keyring             opens the secrets in it, mode 0600
    """

    folder: Path
    database: Database
    vault: Vault

    @classmethod
    def open(cls, state: Path, url: str | None = None) -> Self:
        """Open or begin the control plane of a state directory.

        `url` names another database than the file in `state`. Raises UsageError
        (database.url) and StoreFailed; its ids are in `store/`.
        """
        folder = state / "cloud"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as problem:
            raise StoreFailed(
                f"the folder {folder} cannot be used: {problem.strerror}",
                id="state.unreadable",
                remedy="Work as the account that began it, or name a folder of yours in"
                " LANDBRIDGE_STATE.",
            ) from None
        database = Database(url or f"sqlite:///{folder / 'landbridge.sqlite'}")
        return cls(folder, database, Vault.open(database, folder / "keyring"))

    def close(self) -> None:
        self.database.close()
