"""The database behind the control plane: transactions, schema versions, secrets at rest.

`Database` runs on SQLite (a file) or PostgreSQL (by URL). Each package declares its own
tables on `Base`; every change of a table is a file in `migrations/versions`. A password
or a key is kept by `Vault`, and nowhere else in the database.
"""

from .base import Base, RowNumber, utcnow
from .database import Database, refuse_password
from .secrets import Keyring, Vault

__all__ = ["Base", "Database", "Keyring", "RowNumber", "Vault", "refuse_password", "utcnow"]
