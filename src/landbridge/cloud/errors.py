"""Every refusal of the control plane: the vendor's code, its HTTP status and a message.

Codes keep the vendor's spelling, misspellings included (`Forbbiden`). One that the vendor
does not have begins with `OperationDenied.` or is marked as ours.
"""

from __future__ import annotations

from typing import Any

from ..errors import LandbridgeError

_Table = dict[str, tuple[int, str]]

_COMMON: _Table = {
    "InvalidAccessKeyId.NotFound": (404, "The specified access key is not found."),
    "InvalidAccessKeyId.Inactive": (403, "The specified access key is disabled."),
    "EntityNotExist.Account": (404, "The account does not exist."),
    "EntityAlreadyExists.Account": (409, "An account of that name exists already."),
    "InvalidParameter": (400, "A parameter is not valid."),
}

#: code -> HTTP status, message.
CODES: _Table = {**_COMMON}


class CloudError(LandbridgeError):
    """A call was refused; `code` is one of CODES and `id` as well.

    `message` replaces the message of the table where facts help.
    """

    def __init__(self, code: str, message: str | None = None, **more: Any) -> None:
        self.http, said = CODES[code]
        self.code = code
        super().__init__(message or said, id=code, **more)
