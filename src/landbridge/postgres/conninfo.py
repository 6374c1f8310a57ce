"""Connection strings: parsed by libpq, masked by type, stored as passfiles.

A `Conninfo` cannot print its password: the password lives in a `Secret`, whose
text forms are all masked, and every rendering goes through an allow-list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import ServerUnreachable, UsageError
from . import wary
from .refusal import classify, remedy

# What may be shown. Everything else (password, sslpassword, options, ...) may hold a secret.
_SHOWN = ("host", "hostaddr", "port", "dbname", "user", "sslmode", "service")
_SECRET = ("password", "sslpassword", "passfile")
_SERVICE = ("service", "servicefile")
# Ours to say. The source is one server, and must let us in while it is fenced: read-only.
_OURS = (
    "application_name", "fallback_application_name", "client_encoding", "replication",
    "target_session_attrs", "load_balance_hosts",
)  # fmt: skip
_NOT_RESOLVED = (*_SECRET, *_SERVICE, *_OURS, "connect_timeout")

#: A dead wire is noticed after about 3 + 2 x 3 s, measured as 10 s (docs/copy.md).
KEEPALIVE = {
    "connect_timeout": "8",
    "keepalives": "1",
    "keepalives_idle": "3",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "8000",
}
# Defaults that libpq fills in without telling them as such.
_FILLED_IN = {b"sslcertmode": b"allow", b"channel_binding": b"prefer"}


class Secret:
    """A string that no text form reveals; call `reveal()` where it is really needed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be serialized")

    def __repr__(self) -> str:
        return "Secret('********')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class Conninfo:
    """Where and as whom to connect.

    >>> c = Conninfo.parse("postgresql://ann:s3cr3t@db.example:5433/app?sslmode=require")
    >>> str(c)
    'user=ann dbname=app host=db.example port=5433 sslmode=require'
    >>> c
    Conninfo('user=ann dbname=app host=db.example port=5433 sslmode=require')
    >>> c.password.reveal()
    's3cr3t'
    >>> str(Conninfo.parse("host=h user=u password='it''s'"))
    Traceback (most recent call last):
    ...
    landbridge.errors.UsageError: the connection string cannot be read
    """

    parameters: Mapping[str, str]
    password: Secret | None = field(default=None)
    is_wary: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a keyword/value string or a URI, as libpq does; UsageError if it is neither.

        What a session is for is left out: every session says that itself.
        """
        try:
            given = conninfo_to_dict(text).items()
            found = {k: str(v) for k, v in given if v is not None and k not in _OURS}
        except psycopg.Error:
            # libpq's message may quote a piece of the string, and with it the password.
            unknown = _unknown_keywords(text)
            raise UsageError(
                "the connection string cannot be read"
                + (f": libpq knows no {', '.join(unknown)}" if unknown else ""),
                id="conninfo.invalid",
                remedy="Use 'host=... port=... user=... dbname=...' or"
                " 'postgresql://user@host:port/dbname'; put the password into PGPASSWORD"
                " or a passfile, and quote special characters.",
            ) from None
        for number in found.get("port", "").split(","):
            if number:
                _port(number)
        password = found.pop("password", None)
        return cls(found, Secret(password) if password else None)

    @property
    def user(self) -> str:
        """The role to log in as (libpq's default where none was given)."""
        return self.parameters.get("user") or os.environ.get("PGUSER") or _os_user()

    @property
    def host(self) -> str:
        return self.parameters.get("host") or self.parameters.get("hostaddr") or "localhost"

    @property
    def port(self) -> int:
        return _port(self.parameters.get("port") or os.environ.get("PGPORT") or "5432")

    def with_(self, **parameters: str | int) -> Self:
        """A copy with some parameters set."""
        return replace(
            self, parameters={**self.parameters, **{k: str(v) for k, v in parameters.items()}}
        )

    def with_password(self, password: str | Secret | None) -> Self:
        """A copy with this password."""
        return replace(self, password=Secret(password) if isinstance(password, str) else password)

    def with_passfile(self, path: Path) -> Self:
        """A copy that reads its password from `path` and holds none itself."""
        return replace(self, parameters={**self.parameters, "passfile": str(path)}, password=None)

    def wary(self) -> Self:
        """A copy whose sessions find nothing of what others have put into the data.

        A replication connection, which runs nothing of theirs, shows settings as they are.
        """
        return replace(self, is_wary=True)

    def write_passfile(self, path: Path) -> None:
        """Store the password for this user, readable by us alone (mode 0600)."""
        secret = self.password.reveal() if self.password else ""
        escaped = [p.replace("\\", "\\\\").replace(":", "\\:") for p in (self.user, secret)]
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            os.fchmod(fd, 0o600)
            file.write("*:*:*:" + ":".join(escaped) + "\n")

    def public(self) -> dict[str, str]:
        """Everything but secrets, to be stored and read back with `Conninfo(...)`."""
        return {k: v for k, v in self.parameters.items() if k not in _SECRET[:2]}

    def keywords(self, **more: Any) -> dict[str, Any]:
        """Arguments for `psycopg.connect`, with keepalives that notice a dead wire in 10 s."""
        # In a database of encoding SQL_ASCII text would otherwise come as bytes; and the
        # environment may ask for a server that takes writes.
        ours = {
            "application_name": "landbridge", "client_encoding": "UTF8",
            "target_session_attrs": "any",
        }  # fmt: skip
        found: dict[str, Any] = {**KEEPALIVE, **ours, **self.parameters}
        if self.password is not None:
            found["password"] = self.password.reveal()
        if self.is_wary and "replication" not in more:
            found["options"] = wary.options(found.get("options", ""))
        return {**found, **more}

    def render(self, **more: str) -> str:
        """A keyword/value string for a configuration file: never with a password."""
        shown = {k: v for k, v in self.parameters.items() if k not in _SECRET[:2]}
        return make_conninfo(**{**KEEPALIVE, **shown, **more})

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        """An autocommit connection; ServerUnreachable (masked) if it cannot be had."""
        try:
            return psycopg.connect(autocommit=True, **self.keywords(**more))
        except psycopg.Error as error:
            raise unreachable(self, str(error)) from None

    def resolve_password(self) -> Self:
        """A copy that holds the password libpq would use (PGPASSWORD, passfile) explicitly."""
        if self.password is not None:
            return self
        with self._looked_up() as conn:
            found = conn.password.decode()
        return self.with_password(found or os.environ.get("PGPASSWORD"))

    def resolve(self) -> Self:
        """A copy that names itself what libpq takes from a service file or the environment.

        The server and our other processes have neither. The password is left as it is.
        """
        with self._looked_up() as conn:
            found = {
                option.keyword.decode(): option.val.decode()
                for option in conn.info
                if option.val and option.val != (option.compiled or _FILLED_IN.get(option.keyword))
            }
            place = {
                "host": conn.host.decode(), "port": conn.port.decode(),
                "dbname": conn.db.decode(), "user": conn.user.decode(),
            }  # fmt: skip
        known = {n: v for n, v in {**place, **found}.items() if v and n not in _NOT_RESOLVED}
        given = {n: v for n, v in self.parameters.items() if n not in _SERVICE}
        return replace(self, parameters={**known, **given})

    @contextmanager
    def _looked_up(self) -> Iterator[pq.abc.PGconn]:
        """A connection for which libpq has looked everything up, whatever becomes of it."""
        arguments = {k: v for k, v in self.parameters.items() if v}
        conn = pq.PGconn.connect_start(make_conninfo(**arguments).encode())
        try:
            yield conn
        finally:
            conn.finish()

    def __str__(self) -> str:
        shown = {k: self.parameters[k] for k in self.parameters if k in _SHOWN}
        return make_conninfo(**shown)

    def __repr__(self) -> str:
        return f"Conninfo({str(self)!r})"


def unreachable(conninfo: Conninfo, message: str) -> ServerUnreachable:
    """The error for a failed connection, with libpq's words but no password in them."""
    text = " ".join(message.split())
    if conninfo.password is not None and conninfo.password.reveal():
        text = text.replace(conninfo.password.reveal(), "********")
    return ServerUnreachable(f"cannot connect to {conninfo}: {text}", remedy=remedy(classify(text)))


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise UsageError(f"{text!r} is no port: 1 to 65535", id="conninfo.port")
    return int(text)


def _os_user() -> str:
    import getpass

    return getpass.getuser()


def _unknown_keywords(text: str) -> list[str]:
    """Keywords before `=` that libpq does not have; never a value, which may be a password.

    Only where the whole string is of plain `keyword=value` words, and none a password:
    elsewhere a piece of a value may look like a keyword.

    >>> _unknown_keywords("host=db bogus=1"), _unknown_keywords("password=a b=c")
    (['bogus'], [])
    """
    words = text.split()
    plain = re.compile(r"[a-z_]+=[^'\\=]*")
    if "pass" in text.lower() or not all(plain.fullmatch(word) for word in words):
        return []
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    return [name for name in (word.partition("=")[0] for word in words) if name not in known]
