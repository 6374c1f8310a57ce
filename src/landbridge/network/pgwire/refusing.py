"""Turning a client away with an error that libpq shows as if the server had said it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from .wire import CANCEL, GSS, HBA_ROUTINE, NO_HBA_LINE, NO_ROUTE, SSL, Wire

#: What a client may take for its start-up packet, in seconds.
_PATIENCE = 10.0
#: libpq's own limit for a start-up packet.
_LONGEST_STARTUP = 10_000


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
    return Refusal(NO_ROUTE, reason)


def not_whitelisted(address: str, hint: str = "") -> Refusal:
    """The server's whitelist does not let `address` in."""
    return NotWhitelisted(NO_HBA_LINE, address, hint, HBA_ROUTINE)


def refuse(client: socket.socket, refusal: Refusal) -> None:
    """Turn a connected client away with an ErrorResponse; leaves the socket to its owner.

    TLS is declined, so that libpq's default (sslmode=prefer) shows the message; a client with
    sslmode=require only learns that there is no TLS. OSError when the client is gone.
    """
    wire = Wire(client, time.monotonic() + _PATIENCE)
    with suppress(EOFError):
        while True:
            length, code = struct.unpack("!II", wire.exactly(8))
            if not 8 <= length <= _LONGEST_STARTUP or code == CANCEL:
                return
            if code not in (SSL, GSS):
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
