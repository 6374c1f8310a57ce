"""Passwords and keys at rest: sealed rows in one table, opened by keys in a private file.

The key file holds one Fernet key a line, the newest first: that one seals, all open.
Other tables, the journal and the engine hold only the number of a sealed row.
"""

from __future__ import annotations

import os
import secrets as random
from datetime import datetime
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..errors import StoreFailed
from .base import Base, RowNumber, utcnow
from .database import Database

#: The most secrets in clear that are kept in memory.
_REMEMBERED = 1_000


class SealedSecret(Base):
    """One secret, readable only with the key file."""

    __tablename__ = "sealed_secret"

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    sealed: Mapped[bytes]
    sealed_at: Mapped[datetime]


class Keyring:
    """The keys of one control plane, in a file that its account alone may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._keys: list[bytes] = []

    def create(self) -> None:
        """Make the key file, unless another process was quicker."""
        scratch = self._write_aside([Fernet.generate_key()])
        try:
            os.link(scratch, self.path)
        except FileExistsError:
            return
        finally:
            scratch.unlink()

    def keys(self) -> list[bytes]:
        """All keys, the sealing one first; read again whenever the file was replaced.

        Raises StoreFailed: keyring.missing, keyring.open (others may read it),
        keyring.damaged.
        """
        try:
            status = self.path.stat()
        except OSError as problem:
            raise StoreFailed(
                f"the key file {self.path} cannot be read: {problem.strerror}",
                id="keyring.missing",
                remedy="Put it back from where you keep it. Without it no stored password or"
                " access key can be opened.",
            ) from None
        if status.st_mode & 0o077:
            raise StoreFailed(
                f"the key file {self.path} is open to other accounts"
                f" (mode {status.st_mode & 0o777:04o})",
                id="keyring.open",
                remedy=f"chmod 600 {self.path}; if somebody may have read it, also replace the key:"
                " landbridge account reseal.",
            )
        if (seen := (status.st_ino, status.st_mtime_ns)) != self._seen:
            self._keys = self._read()
            self._seen = seen
        return self._keys

    def fernet(self) -> MultiFernet:
        """What seals with the newest key and opens with any."""
        return MultiFernet([Fernet(key) for key in self.keys()])

    def put_first(self, key: bytes) -> None:
        """Seal with `key` from now on."""
        self._write_aside([key, *self.keys()]).replace(self.path)

    def keep_first(self) -> None:
        """Forget all keys but the sealing one."""
        self._write_aside(self.keys()[:1]).replace(self.path)

    def _read(self) -> list[bytes]:
        keys = self.path.read_bytes().split()
        try:
            for key in keys:
                Fernet(key)
        except ValueError:
            keys = []
        if not keys:
            raise StoreFailed(f"{self.path} is no key file", id="keyring.damaged")
        return keys

    def _write_aside(self, keys: list[bytes]) -> Path:
        scratch = self.path.with_name(f".{self.path.name}.{random.token_hex(4)}")
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(b"\n".join(keys) + b"\n")
            file.flush()
            os.fsync(fd)
        return scratch


class Vault:
    """Keeps secrets in a database, under a keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self._opened: tuple[list[bytes], dict[bytes, str]] = ([], {})

    @staticmethod
    def is_empty(database: Database) -> bool:
        """Whether nothing is sealed in a database."""
        with database.read() as session:
            return not session.scalar(select(func.count()).select_from(SealedSecret))

    @classmethod
    def open(cls, database: Database, key_file: Path) -> Vault:
        """The vault of a database; its key file is made only while nothing is sealed.

        Raises StoreFailed (keyring.missing) rather than seal new secrets beside ones that
        nobody can open.
        """
        keyring = Keyring(key_file)
        if not key_file.exists() and cls.is_empty(database):
            keyring.create()
        keyring.keys()
        return cls(keyring)

    def keep(self, session: Session, secret: str) -> int:
        """Seal a secret; the number under which it is found. `session` must be a writer."""
        row = SealedSecret(sealed=self._seal(secret.encode()), sealed_at=utcnow())
        session.add(row)
        session.flush()
        return row.id

    def replace(self, session: Session, id: int, secret: str) -> None:
        """Seal another secret under the same number."""
        row = _row(session, id)
        row.sealed, row.sealed_at = self._seal(secret.encode()), utcnow()

    def reveal(self, session: Session, id: int) -> str:
        """The secret in clear. Raises StoreFailed: secret.unknown, keyring.foreign."""
        return self._open(_row(session, id).sealed).decode()

    def opened(self, sealed: bytes) -> str:
        """What every call needs: a sealed secret in clear, remembered while the keys are the same.

        Raises StoreFailed: keyring.foreign, and the ids of `Keyring.keys`.
        """
        keys = self.keyring.keys()
        under, known = self._opened
        if under is not keys or len(known) >= _REMEMBERED:
            self._opened = (keys, known := {})
        if sealed not in known:
            known[sealed] = self._open(sealed).decode()
        return known[sealed]

    def forget(self, session: Session, id: int) -> None:
        """Delete a secret; nothing happens if it is gone."""
        if (row := session.get(SealedSecret, id)) is not None:
            session.delete(row)

    def reseal(self, database: Database) -> int:
        """Seal everything under a new key and forget the old ones; how many secrets.

        A process that runs meanwhile notices by itself. Killed in between, both keys stay.
        """
        with database.write() as session:
            self.keyring.put_first(Fernet.generate_key())
            rows = session.scalars(select(SealedSecret)).all()
            for row in rows:
                row.sealed, row.sealed_at = self._seal(self._open(row.sealed)), utcnow()
        # As a writer: nobody is between reading the key file and committing what it sealed.
        with database.write():
            self.keyring.keep_first()
        return len(rows)

    def _seal(self, secret: bytes) -> bytes:
        return self.keyring.fernet().encrypt(secret)

    def _open(self, sealed: bytes) -> bytes:
        try:
            return self.keyring.fernet().decrypt(sealed)
        except InvalidToken:
            raise StoreFailed(
                f"a secret was sealed with a key that is not in {self.keyring.path}",
                id="keyring.foreign",
                remedy="Put back the key file that belongs to this database.",
            ) from None


def _row(session: Session, id: int) -> SealedSecret:
    if (row := session.get(SealedSecret, id)) is None:
        raise StoreFailed(f"there is no secret {id}", id="secret.unknown")
    return row
