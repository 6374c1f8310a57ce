"""Just enough of PostgreSQL's wire protocol to ask whether a server answers, and to say no.

`probe` sends a start-up packet and reads the first answer; it needs no login, because a
server looks into pg_hba before it asks for a password. `refuse` is the other side: it turns
a client away with an error that libpq shows as if the server had said it.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from .fabric import Outcome, ProbeAnswer

#: Connects within so many seconds, or raises OSError, or `Refused`.
Dial = Callable[[float], socket.socket]

_PROTOCOL = 3 << 16
_CANCEL, _SSL, _GSS = 80877102, 80877103, 80877104
#: libpq's own limits for a start-up packet and for the first error of a server.
_LONGEST_STARTUP, _LONGEST_ERROR = 10_000, 30_000
_NO_HBA_LINE, _NO_ROUTE = "28000", "08001"
#: The function that looks into pg_hba; 28000 from elsewhere comes after it let the client in.
_HBA_ROUTINE = "ClientAuthentication"
#: What a client may take for its start-up packet, in seconds.
_PATIENCE = 10.0
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
    except _NotPostgres as error:
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
    wire = _Wire(dial(_left(deadline)), deadline)
    try:
        encrypted = encrypt and wire.encrypt()
        wire.send(_startup(parameters))
        return *_first_answer(wire), encrypted
    finally:
        wire.close()


def _first_answer(wire: _Wire) -> tuple[Outcome, str]:
    kind = wire.exactly(1)
    while kind in (b"v", b"R", b"E"):
        (length,) = struct.unpack("!I", head := wire.exactly(4))
        if not 8 <= length <= _LONGEST_ERROR:
            raise _NotPostgres(kind + head + wire.some())
        body = wire.exactly(length - 4)
        if kind == b"R":
            (method,) = struct.unpack_from("!I", body)
            return Outcome.OK, _AUTHENTICATION.get(method, "asks for authentication")
        if kind == b"E":
            return _judge(_fields(body))
        kind = wire.exactly(1)  # after "v": the server knows an older protocol only
    raise _NotPostgres(kind + wire.some())


def _judge(error: Mapping[str, str]) -> tuple[Outcome, str]:
    """A server that has an error to tell is there, unless the error is about the way to it."""
    words, state = error.get("M", ""), error.get("C", "")
    if state == _NO_HBA_LINE and error.get("R") == _HBA_ROUTINE:
        return Outcome.NOT_WHITELISTED, words
    if state == _NO_ROUTE:  # said by our own `refuse` alone
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


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _NotPostgres(Exception):
    """Somebody answered, in another language."""

    def __init__(self, said: bytes) -> None:
        line = said.decode(errors="replace").splitlines()[0][:80]
        super().__init__(f"what listens there is not PostgreSQL, it says {line!r}")


class _Wire:
    """A connection that is read with a deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def encrypt(self) -> bool:
        """Ask for TLS; whether the server has it. ssl.SSLError if the handshake fails."""
        self.send(struct.pack("!II", 8, _SSL))
        answer = self.exactly(1)
        if answer == b"S":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self._sock.settimeout(_left(self._deadline))
            self._sock = context.wrap_socket(self._sock)
        elif answer != b"N":
            raise _NotPostgres(answer + self.some())
        return answer == b"S"

    def send(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._deadline))
        self._sock.sendall(data)

    def exactly(self, count: int) -> bytes:
        """So many bytes; EOFError if the other side closes before."""
        data = b""
        while len(data) < count:
            self._sock.settimeout(_left(self._deadline))
            piece = self._sock.recv(count - len(data))
            if not piece:
                raise EOFError("the connection was closed without an answer")
            data += piece
        return data

    def some(self) -> bytes:
        """What else is there at once."""
        with suppress(OSError):
            self._sock.settimeout(min(0.1, _left(self._deadline)))
            return self._sock.recv(200)
        return b""

    def close(self) -> None:
        self._sock.close()


@dataclass(frozen=True)
class Refusal:
    """Why a client is turned away, as PostgreSQL would say it."""

    sqlstate: str
    text: str
    hint: str = ""
    routine: str = ""

    def message(self, startup: Mapping[str, str]) -> str:
        """The primary message for a client that began with these parameters."""
        return self.text

    def fields(self, startup: Mapping[str, str]) -> dict[str, str]:
        """The ErrorResponse by field letter."""
        fields = {
            "S": "FATAL", "V": "FATAL", "C": self.sqlstate, "M": self.message(startup),
            "H": self.hint, "R": self.routine,
        }  # fmt: skip
        return {letter: text for letter, text in fields.items() if text}


class NotWhitelisted(Refusal):
    """The sentence of pg_hba, with the client's private address."""

    def message(self, startup: Mapping[str, str]) -> str:
        user, database = startup.get("user", ""), startup.get("database")
        if startup.get("replication", "false") in ("true", "on", "yes", "1"):
            who = f'replication connection from host "{self.text}", user "{user}"'
        else:
            who = f'host "{self.text}", user "{user}", database "{database or user}"'
        return f"no pg_hba.conf entry for {who}, no encryption"


class Refused(Exception):
    """Raised by a dial function that turns its client away in PostgreSQL's words."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def no_route(reason: str) -> Refusal:
    """The server cannot be reached, for this reason."""
    return Refusal(_NO_ROUTE, reason)


def not_whitelisted(address: str, hint: str = "") -> Refusal:
    """The server's whitelist does not let `address` in."""
    return NotWhitelisted(_NO_HBA_LINE, address, hint, _HBA_ROUTINE)


def refuse(client: socket.socket, refusal: Refusal) -> None:
    """Turn a connected client away with an ErrorResponse; leaves the socket to its owner.

    TLS is declined, so that libpq's default (sslmode=prefer) shows the message; a client with
    sslmode=require only learns that there is no TLS. OSError when the client is gone.
    """
    wire = _Wire(client, time.monotonic() + _PATIENCE)
    with suppress(EOFError):
        while True:
            length, code = struct.unpack("!II", wire.exactly(8))
            if not 8 <= length <= _LONGEST_STARTUP or code == _CANCEL:
                return
            if code not in (_SSL, _GSS):
                break
            wire.send(b"N")
        startup = _parameters(wire.exactly(length - 8))
        wire.send(_error(refusal.fields(startup)))


def _parameters(body: bytes) -> dict[str, str]:
    parts = [part.decode(errors="replace") for part in body.split(b"\0")]
    return dict(zip(parts[0::2], parts[1::2], strict=False))


def _error(fields: Mapping[str, str]) -> bytes:
    body = b"".join(f"{letter}{text}\0".encode() for letter, text in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", 4 + len(body)) + body
