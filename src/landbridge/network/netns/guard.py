"""What every verb of the driver does around its work: one at a time, and errors in words."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pyroute2.netlink.exceptions import NetlinkError

from ...errors import NetworkFailed


class _Locked(Protocol):
    @property
    def lock(self) -> Any: ...


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=_Locked)

_DENIED = (errno.EPERM, errno.EACCES)


def alone(verb: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A verb that changes the network: under the driver's lock, the kernel's errors translated."""

    @functools.wraps(verb)
    def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock, in_words():
            return verb(self, *args, **kwargs)

    return guarded


@contextmanager
def in_words() -> Iterator[None]:
    """NetworkFailed (network.kernel, network.denied) for what the kernel answered."""
    try:
        yield
    except NetlinkError as error:
        raise _failed(error.code, str(error)) from error
    except OSError as error:
        raise _failed(error.errno or 0, str(error)) from error


def _failed(code: int, words: str) -> NetworkFailed:
    if code in _DENIED:
        return NetworkFailed(
            f"this process may not change networks: {words}",
            id="network.denied",
            remedy="Run it as root, allow user namespaces, or take the relay driver.",
        )
    return NetworkFailed(
        f"the kernel did not do it: {words}",
        id="network.kernel",
        remedy="Try again: what is half made is completed.",
        retryable=True,
    )
