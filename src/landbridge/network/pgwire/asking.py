"""Asking whether a server answers: a start-up packet, and what comes back first.

It needs no login, because a server looks into pg_hba before it asks for a password.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from ..fabric import Outcome, ProbeAnswer
from .refusing import Refused
from .wire import HBA_ROUTINE, NO_HBA_LINE, NO_ROUTE, NotPostgres, Wire, left

#: Connects within so many seconds, or raises OSError, or `Refused`.
Dial = Callable[[float], socket.socket]

_PROTOCOL = 3 << 16
#: libpq's own limit for the first error of a server.
_LONGEST_ERROR = 30_000
_AUTHENTICATION = {
    0: "lets in without a password",
    3: "asks for a password",
    5: "asks for a password (md5)",
    10: "asks for a password (SCRAM)",
}


def probe(
    dial: Dial, timeout: float, *, user: str = "landbridge", database: str = "postgres"
) -> ProbeAnswer:
    """Whether a PostgreSQL server answers `user`, who need not exist; never raises OSError.

    Encrypted where the server can, and once more in the clear if pg_hba refuses that: the
    order of libpq's sslmode=prefer. No password is sent, so no certificate is looked at.
    """
    return _probe(dial, timeout, {"user": user, "database": database})


def probe_replication(dial: Dial, timeout: float, *, user: str = "landbridge") -> ProbeAnswer:
    """The same for physical replication, which needs a line of its own in pg_hba (measured)."""
    return _probe(dial, timeout, {"user": user, "replication": "true"})


def _probe(dial: Dial, timeout: float, parameters: Mapping[str, str]) -> ProbeAnswer:
    started = time.monotonic()
    deadline = started + timeout
    try:
        outcome, words = _ask_twice(dial, deadline, parameters)
    except Refused as refused:
        outcome, words = _judge(refused.refusal.fields(parameters))
    except TimeoutError:
        outcome, words = Outcome.TIMEOUT, f"no answer within {timeout:g} s"
    except NotPostgres as error:
        outcome, words = Outcome.REFUSED, str(error)
    except (ConnectionError, EOFError) as error:
        outcome, words = Outcome.REFUSED, _words(error)
    except OSError as error:
        outcome, words = Outcome.UNREACHABLE, _words(error)
    return ProbeAnswer(outcome, time.monotonic() - started, words)


def _ask_twice(dial: Dial, deadline: float, parameters: Mapping[str, str]) -> tuple[Outcome, str]:
    with suppress(ssl.SSLError):
        outcome, words, encrypted = _ask(dial, deadline, parameters, encrypt=True)
        if outcome is not Outcome.NOT_WHITELISTED or not encrypted:
            return outcome, words
    return _ask(dial, deadline, parameters, encrypt=False)[:2]


def _ask(
    dial: Dial, deadline: float, parameters: Mapping[str, str], *, encrypt: bool
) -> tuple[Outcome, str, bool]:
    """One connection: what came, its words, and whether it was encrypted."""
    wire = Wire(dial(left(deadline)), deadline)
    try:
        encrypted = encrypt and wire.encrypt()
        wire.send(_startup(parameters))
        return *_first_answer(wire), encrypted
    finally:
        wire.close()


def _first_answer(wire: Wire) -> tuple[Outcome, str]:
    kind = wire.exactly(1)
    while kind in (b"v", b"R", b"E"):
        (length,) = struct.unpack("!I", head := wire.exactly(4))
        if not 8 <= length <= _LONGEST_ERROR:
            raise NotPostgres(kind + head + wire.some())
        body = wire.exactly(length - 4)
        if kind == b"R":
            (method,) = struct.unpack_from("!I", body)
            return Outcome.OK, _AUTHENTICATION.get(method, "asks for authentication")
        if kind == b"E":
            return _judge(_fields(body))
        kind = wire.exactly(1)  # after "v": the server knows an older protocol only
    raise NotPostgres(kind + wire.some())


def _judge(error: Mapping[str, str]) -> tuple[Outcome, str]:
    """A server that has an error to tell is there, unless the error is about the way to it."""
    words, state = error.get("M", ""), error.get("C", "")
    if state == NO_HBA_LINE and error.get("R") == HBA_ROUTINE:
        return Outcome.NOT_WHITELISTED, words
    if state == NO_ROUTE:  # said by our own `refuse` alone
        return Outcome.UNREACHABLE, words
    return Outcome.OK, words


def _startup(parameters: Mapping[str, str]) -> bytes:
    text = b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0"
    return struct.pack("!II", 8 + len(text), _PROTOCOL) + text


def _fields(body: bytes) -> dict[str, str]:
    """An ErrorResponse by field letter; the server's encoding is not known yet."""
    parts = (part.decode(errors="replace") for part in body.split(b"\0") if part)
    return {part[0]: part[1:] for part in parts}


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
