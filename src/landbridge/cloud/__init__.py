"""What accounts own, and the rules about it.

`Cloud` is the control plane of one state directory. A service is a function on a session
and the calling account; whatever it looks up by id goes through `ownership.owned`. What
it refuses is a `CloudError` with the vendor's code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ..postgres.conninfo import Secret
    from ..store import Vault, refuse_password
    from .control import Cloud
    from .errors import CloudError

__all__ = ["Cloud", "CloudError", "Secret", "Session", "Vault", "refuse_password"]

#: Imported when asked for: SQLAlchemy takes a second, and `migrations.place` needs none of it.
_FROM = {
    "Cloud": "landbridge.cloud.control",
    "CloudError": "landbridge.cloud.errors",
    "Secret": "landbridge.postgres.conninfo",
    "Session": "sqlalchemy.orm",
    "Vault": "landbridge.store",
    "refuse_password": "landbridge.store",
}


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FROM[name]), name)
