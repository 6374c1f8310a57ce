"""A connection in PostgreSQL's wire protocol, read with a deadline."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress

#: Codes in the place of a protocol version.
CANCEL, SSL, GSS = 80877102, 80877103, 80877104
#: SQLSTATEs: pg_hba has no line for the client; there is no way to the server.
NO_HBA_LINE, NO_ROUTE = "28000", "08001"
#: The function that looks into pg_hba; 28000 from elsewhere comes after it let the client in.
HBA_ROUTINE = "ClientAuthentication"


class NotPostgres(Exception):
    """Somebody answered, in another language."""

    def __init__(self, said: bytes) -> None:
        line = said.decode(errors="replace").splitlines()[0][:80]
        super().__init__(f"what listens there is not PostgreSQL, it says {line!r}")


class Wire:
    """A connection that is read with a deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def encrypt(self) -> bool:
        """Ask for TLS; whether the server has it. ssl.SSLError if the handshake fails."""
        self.send(struct.pack("!II", 8, SSL))
        answer = self.exactly(1)
        if answer == b"S":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self._sock.settimeout(left(self._deadline))
            self._sock = context.wrap_socket(self._sock)
        elif answer != b"N":
            raise NotPostgres(answer + self.some())
        return answer == b"S"

    def send(self, data: bytes) -> None:
        self._sock.settimeout(left(self._deadline))
        self._sock.sendall(data)

    def exactly(self, count: int) -> bytes:
        """So many bytes; EOFError if the other side closes before."""
        data = b""
        while len(data) < count:
            self._sock.settimeout(left(self._deadline))
            piece = self._sock.recv(count - len(data))
            if not piece:
                raise EOFError("the connection was closed without an answer")
            data += piece
        return data

    def some(self) -> bytes:
        """What else is there at once."""
        with suppress(OSError):
            self._sock.settimeout(min(0.1, left(self._deadline)))
            return self._sock.recv(200)
        return b""

    def close(self) -> None:
        self._sock.close()


def left(deadline: float) -> float:
    """Seconds until a deadline (`time.monotonic`); TimeoutError when it is over."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
