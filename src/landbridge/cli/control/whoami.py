"""`landbridge whoami`: whose access key it is."""

from __future__ import annotations

from .api import Api


def whoami(api: Api) -> None:
    """Print the UID of the account whose access key signs."""
    answer = api.call("sts", "GetCallerIdentity")
    api.done(answer, str(answer["AccountId"]))
