"""A step's result or error as JSON, so that a body run again sees the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import LandbridgeError


class Unrecorded(BaseException):
    """Carries an unexpected exception past DBOS, which records every Exception for good."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause


def outcome_of(function: Callable[[], Any]) -> dict[str, Any]:
    """Run `function`; its result, or the LandbridgeError it raised, as JSON.

    Raises Unrecorded for any other exception.
    """
    try:
        return {"result": function()}
    except LandbridgeError as error:
        return {"error": facts_of(error)}
    except Exception as error:
        raise Unrecorded(error) from error


def result_of(outcome: dict[str, Any]) -> Any:
    """The result in a recorded outcome; raises the error in it, of its own class."""
    error = outcome.get("error")
    if error is None:
        return outcome["result"]
    raise error_of(error)


def facts_of(error: LandbridgeError) -> dict[str, Any]:
    """The error as JSON, with the name of its class."""
    return {"kind": type(error).__name__, **error.as_dict()}


def error_of(facts: dict[str, Any]) -> LandbridgeError:
    """The error that `facts_of` described: same class if it is known, same id."""
    kinds = {cls.__name__: cls for cls in _kinds(LandbridgeError)}
    made = kinds.get(facts["kind"], LandbridgeError).__new__(
        kinds.get(facts["kind"], LandbridgeError)
    )
    # Some classes have constructors of their own; the base holds all that is recorded.
    LandbridgeError.__init__(
        made,
        facts["message"],
        id=facts["id"],
        remedy=facts["remedy"],
        retryable=facts["retryable"],
    )
    return made


def _kinds(base: type[LandbridgeError]) -> Iterator[type[LandbridgeError]]:
    yield base
    for cls in base.__subclasses__():
        yield from _kinds(cls)
