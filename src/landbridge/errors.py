"""Every error that a user may see.

::

    LandbridgeError                exit code 1, `id` stable, says what to do
    ├── UsageError                 exit code 2: the call was wrong, nothing was touched
    ├── AssessmentFailed           exit code 3: findings of level error stand in the way
    ├── ServerUnreachable          a server could not be reached or refused the login
    ├── ServerProgramsMissing      no PostgreSQL programs of the wanted major on this host
    ├── ServerFailed               a server process of ours did not start, stop or answer
    ├── ReplicationFailed          a replication connection was refused, broke or fell silent
    ├── CopyFailed                 the full copy ended early
    ├── FollowFailed               the destination cannot follow the source any more
    ├── SwitchoverRefused          a guardrail stands in the way; nothing was changed
    ├── SwitchoverUndone           the switchover was begun and put back; the source is writable
    ├── VerificationFailed         the two sides differ, or could not be compared
    ├── NetworkRefused             a rule of the network forbids it; nothing was changed
    ├── NetworkFailed              this machine did not make, change or find a part of the network
    ├── StoreFailed                the control plane's database or key file cannot be used
    ├── CloudError                 the control plane refused a call, with the vendor's code (cloud/)
    └── MigrationCancelled         somebody asked to cancel; everything was, or will be, put back

Each error carries facts in its message, never a password, and says in `retryable`
whether the same call may succeed later without anybody changing anything.
"""

from __future__ import annotations

from typing import Any, ClassVar


class LandbridgeError(Exception):
    """Base of all errors; `id` is stable and may be matched by programs."""

    id: str = "internal"
    exit_code: ClassVar[int] = 1
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        id: str | None = None,
        remedy: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        if id is not None:
            self.id = id
        if retryable is not None:
            self.retryable = retryable

    def as_dict(self) -> dict[str, Any]:
        """The error as it appears in `--json` output."""
        return {
            "id": self.id,
            "message": self.message,
            "remedy": self.remedy,
            "retryable": self.retryable,
        }


class UsageError(LandbridgeError):
    """The call itself is wrong; nothing was touched."""

    id = "usage"
    exit_code = 2


class AssessmentFailed(LandbridgeError):
    """The assessment found errors that nobody waived."""

    id = "assessment.errors"
    exit_code = 3


class ServerUnreachable(LandbridgeError):
    """A server could not be reached, or it refused the login."""

    id = "server.unreachable"
    retryable = True


class ServerProgramsMissing(LandbridgeError):
    """No PostgreSQL server programs of the wanted major version on this host."""

    id = "programs.missing"


class ServerFailed(LandbridgeError):
    """A server process of ours did not start, stop or answer."""

    id = "server.failed"


class ReplicationFailed(LandbridgeError):
    """A replication connection was refused, broke, fell silent or reported an error."""

    id = "replication.failed"
    sqlstate: str = ""
    """The server's SQLSTATE, where it gave one."""


class CopyFailed(LandbridgeError):
    """The full copy ended early; what was copied is marked as partial."""

    id = "copy.failed"


class FollowFailed(LandbridgeError):
    """The destination cannot follow the source any more; the source is unharmed."""

    id = "follow.failed"


class SwitchoverRefused(LandbridgeError):
    """A guardrail stands in the way of the switchover; nothing was changed."""

    id = "switchover.refused"


class SwitchoverUndone(LandbridgeError):
    """The switchover was begun and put back: the source is writable as before."""

    id = "switchover.undone"
    retryable = True


class VerificationFailed(LandbridgeError):
    """The two sides differ, or they could not be compared."""

    id = "verification.failed"


class NetworkRefused(LandbridgeError):
    """A rule of the network forbids it; nothing was changed."""

    id = "network.refused"


class NetworkFailed(LandbridgeError):
    """This machine did not make, change or find a part of the network."""

    id = "network.failed"


class StoreFailed(LandbridgeError):
    """The control plane's database or key file cannot be used."""

    id = "store.failed"


class MigrationCancelled(LandbridgeError):
    """Somebody asked to cancel the migration."""

    id = "migration.cancelled"
