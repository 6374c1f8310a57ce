"""How a login is protected: TLS, the server's certificate, the authentication method."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import pq

from ..conninfo import Conninfo
from .connect import PATIENCE

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
#: What `require_auth` of libpq 16+ may ask for, in the order tried, and what it means.
_METHODS = (
    ("scram-sha-256", "scram-sha-256"), ("none", "none"), ("md5", "md5"), ("password", "password"),
)  # fmt: skip


@dataclass(frozen=True)
class Tls:
    """TLS as the server offers it and as our login uses it."""

    in_use: bool
    offered: bool
    protocol: str | None = None
    problem: str | None = None
    """Why the certificate does not verify for this host name, or None if it does."""
    expires: datetime | None = None


def read_tls(conninfo: Conninfo, conn: psycopg.Connection[Any]) -> Tls:
    """Whether our connection is encrypted, and what the server's certificate is worth."""
    row = conn.execute(
        "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    ).fetchone()
    in_use, protocol = row if row else (False, None)
    if conninfo.host.startswith(("/", "@")):
        return Tls(in_use, offered=False)
    roots = conninfo.parameters.get("sslrootcert")
    try:
        strict = ssl.create_default_context(cafile=roots if roots != "system" else None)
        problem = None
        try:
            certificate = _certificate(conninfo, strict)
        except ssl.SSLCertVerificationError as error:
            problem = error.verify_message
            loose = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
            certificate = _certificate(conninfo, loose)
    except OSError as error:
        return Tls(in_use, offered=in_use, protocol=protocol, problem=str(error))
    if certificate is None:
        return Tls(in_use, offered=False)
    return Tls(in_use, True, protocol, problem, not_after(certificate))


def auth_method(conninfo: Conninfo) -> str | None:
    """The method the server demands: scram-sha-256, md5, password (clear text) or none.

    Found out by insisting on each in turn (require_auth); None if it is another one, or
    libpq is older than 16.
    """
    if pq.version() < 160000:
        return None
    for wanted, method in _METHODS:
        with contextlib.suppress(psycopg.Error):
            psycopg.connect(**conninfo.keywords(require_auth=wanted)).close()
            return method
    return None


def _certificate(conninfo: Conninfo, context: ssl.SSLContext) -> bytes | None:
    """The server's certificate (DER); None if it offers no TLS."""
    address = conninfo.parameters.get("hostaddr") or conninfo.host
    with socket.create_connection((address, conninfo.port), PATIENCE) as plain:
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            return None
        with context.wrap_socket(plain, server_hostname=conninfo.host) as encrypted:
            return encrypted.getpeercert(binary_form=True)


def not_after(certificate: bytes) -> datetime | None:
    """The end of a certificate's validity, read from its DER (RFC 5280, section 4.1)."""
    try:
        _, body, _ = _element(_element(certificate)[1])
        parts = []
        while body:
            tag, content, body = _element(body)
            parts.append((tag, content))
        if parts[0][0] == 0xA0:  # the optional version
            parts.pop(0)
        _, _, rest = _element(parts[3][1])  # serial, signature, issuer, validity
        tag, content, _ = _element(rest)
    except (IndexError, ValueError):
        return None
    # UTCTime has two digits for the year (1950-2049), GeneralizedTime four.
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
    return datetime.strptime(content.decode(), form).replace(tzinfo=UTC)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """One DER element: (tag, content, what follows)."""
    length, start = data[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(data[2:start])
    return data[0], data[start : start + length], data[start + length :]
