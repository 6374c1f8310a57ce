"""The one interface of everything that makes VPCs and lines real.

Guarantees, held by the tests of the drivers that build (`external` refuses to):

- Each `ensure_*` is idempotent, converges from any half-made state, and returns only after
  the result was read back; on an intact fabric it creates nothing. `drop_*` of something
  absent succeeds.
- No attachment, no packet, in both directions; attachments of different CENs never meet;
  a transit router carries only the blocks of its own CEN.
- A line without a confirmed shaper stays down; one without bandwidth carries 1 kbit/s.
- A driver touches only what carries its own prefix. Names derive from the installation and
  the id of the thing. What is wanted is kept above; the fabric holds no truth.
- Servers live on when the process of the driver ends; after a boot everything is built anew.
- Who may attach what is decided above: a driver is only given what was granted.

Errors: NetworkRefused (a rule forbids it), NetworkFailed (the machine did not do it).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path as FilePath
from typing import Protocol

from .things import Attachment, Instance, Line, TransitRouter, Vpc, Vswitch


class Isolation(Enum):
    """What keeps those out who may not pass."""

    KERNEL = "kernel"
    COOPERATIVE = "cooperative"
    """Whoever goes the way that `path` names is stopped; whoever goes round is not."""
    NONE = "none"


class Bandwidth(Enum):
    """What keeps a line's bandwidth."""

    KERNEL = "kernel"
    RELAY = "relay"
    NONE = "none"
    """Only the copy's own limit (`--max-rate`)."""


@dataclass(frozen=True)
class Capabilities:
    """What a driver can do on this machine, found out by doing it."""

    driver: str
    isolation: Isolation
    bandwidth: Bandwidth
    latency: bool
    """Whether a line can be given a latency."""
    encrypted: bool
    real_private_ip: bool
    """Whether a server sees its client's private address."""
    reasons: tuple[str, ...] = ()
    """In sentences: why this driver, why not a better one."""


class Outcome(Enum):
    """What a client saw that tried to reach a server."""

    OK = "ok"
    """A PostgreSQL server answered."""
    REFUSED = "refused"
    """The host is there; nothing listens on the port, or not PostgreSQL."""
    UNREACHABLE = "unreachable"
    """Network, host or route unknown: one class, the kernel gives any of three answers."""
    TIMEOUT = "timeout"
    """No answer in time: what a forbidden packet meets where the kernel keeps silent."""
    NOT_WHITELISTED = "not-whitelisted"
    """The server answered with SQLSTATE 28000: pg_hba has no line for this client."""


@dataclass(frozen=True)
class ProbeAnswer:
    """One probe: what was seen, in how many seconds, and in the words of the kernel or server."""

    outcome: Outcome
    seconds: float
    words: str = ""


@dataclass(frozen=True)
class Endpoint:
    """How a server of an instance has to be started, and what it will see."""

    listen: str
    """Address to put into listen_addresses."""
    port: int
    decides_whitelist: bool
    """True: the fabric keeps the whitelist, pg_hba shall admit `clients`. False: pg_hba does."""
    clients: tuple[str, ...] = ()
    """CIDR blocks that clients come from when the fabric keeps the whitelist; otherwise those
    that clients at other instances come from, whatever their own addresses are."""


@dataclass(frozen=True)
class Path:
    """What goes into a connection string of `client` for `server`."""

    host: str
    hostaddr: str
    port: int


@dataclass(frozen=True)
class Meter:
    """Bytes that a line has carried since it was made.

    Headers included where a kernel shapes; payload alone where a relay does.
    """

    a_to_b: int
    b_to_a: int


@dataclass(frozen=True)
class Observed:
    """Something of ours that is really there."""

    kind: str
    """vpc, vswitch, endpoint, transit_router, attachment, line"""
    id: str


class Verbs(Protocol):
    """What can be asked of a fabric."""

    def capabilities(self) -> Capabilities: ...

    def ensure_vpc(self, vpc: Vpc) -> None: ...
    def ensure_vswitch(self, vswitch: Vswitch) -> None: ...
    def ensure_endpoint(self, instance: Instance) -> Endpoint: ...
    def ensure_transit_router(self, router: TransitRouter) -> None: ...
    def ensure_attachment(self, attachment: Attachment) -> None: ...
    def ensure_line(self, line: Line) -> None:
        """Make the line, or change a living one without interrupting what runs over it."""

    def drop_vpc(self, id: str) -> None: ...
    def drop_vswitch(self, id: str) -> None: ...
    def drop_endpoint(self, id: str) -> None: ...
    def drop_transit_router(self, id: str) -> None: ...
    def drop_attachment(self, id: str) -> None: ...
    def drop_line(self, id: str) -> None: ...

    def endpoint(self, instance: str) -> Endpoint:
        """What `ensure_endpoint` gave last; NetworkFailed (network.missing) without a place."""

    def path(self, client: str, server: str) -> Path:
        """How `client` names `server`; says nothing about whether a packet would pass."""

    def probe(self, client: str, address: IPv4Address, port: int, timeout: float) -> ProbeAnswer:
        """Try, from the place of instance `client`, to speak to a PostgreSQL server."""

    def publish(self, instance: str, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Let this machine reach an instance's server; returns where. Port 0: any free one.

        Clients from there meet no whitelist but pg_hba, which sees them as the instance's own
        address (netns) or as 127.0.0.1 (relay). Only the relay remembers it over a restart.
        """

    def unpublish(self, instance: str) -> None: ...

    def meter(self, line: str) -> Meter: ...

    def observe(self) -> list[Observed]:
        """What of ours is really there."""

    def gc(self, valid: Collection[str]) -> list[Observed]:
        """Remove everything of ours whose id is not in `valid`; returns what was removed."""

    def status(self) -> list[str]:
        """What would keep `ensure_*` from working, in sentences; empty when all is well."""


class Driver(Verbs, Protocol):
    """What makes it so, in the one process that may (see `daemon`)."""

    def namespace(self, instance: str) -> FilePath | None:
        """The file that pins the instance's network namespace; None where there is none.

        NetworkFailed (network.missing) if the instance has no place.
        """


class Fabric(Verbs, Protocol):
    """The connection to a driver, or one that needs no process of its own."""

    def command(
        self, instance: str, command: Sequence[str], account: str = "", *, apart: bool = False
    ) -> list[str]:
        """A command line that runs `command` at the place of an instance.

        It becomes `command` itself (exec): same process number, environment, folder, open
        files and terminal. As an ordinary user `command` has no capabilities; root keeps
        those over files and accounts only, and hands `command` to another `account` of this
        host here: the launcher itself has to be started by root then. With `apart` it shares
        no System V memory, semaphores or queues with others, where we may have that.
        """
