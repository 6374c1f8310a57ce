"""What accounts own, and the rules about it.

`Cloud` is the control plane of one state directory. A service is a function on a session
and the calling account; whatever it looks up by id goes through `ownership.owned`. What
it refuses is a `CloudError` with the vendor's code.
"""

from sqlalchemy.orm import Session

from ..postgres.conninfo import Secret
from ..store import Vault, refuse_password
from .control import Cloud
from .errors import CloudError

__all__ = ["Cloud", "CloudError", "Secret", "Session", "Vault", "refuse_password"]
