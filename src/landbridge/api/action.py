"""What an action is: the declarations from which everything else derives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..cloud import Cloud, Session
from ..cloud.accounts import Account


class Product(Enum):
    """A product; its value is the version that its calls name."""

    STS = "2015-04-01"
    VPC = "2016-04-28"
    CBN = "2017-09-12"
    RDS = "2014-08-15"
    LANDBRIDGE = "2026-11-01"
    """Ours: what the vendor's lack."""

    @property
    def label(self) -> str:
        """Its name in lower case."""
        return self.name.lower()


class Kind(Enum):
    """What a parameter's text becomes."""

    TEXT = "text"
    INTEGER = "integer"
    """Up to 18 digits."""
    BOOLEAN = "boolean"
    """`true` or `false`; Python's `True` and `False` too."""
    NAMES = "names, with commas between"
    SECRET = "secret"
    """A `Secret`; in no log and no digest."""
    STRUCTURE = "JSON"


class Lane(Enum):
    """Calls that take turns; one lane does not wait for another."""

    READ = "read"
    WRITE = "write"
    ASK = "ask"


@dataclass(frozen=True)
class Param:
    """One parameter. An absent one is None; a list is empty then."""

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    """Bounds of an integer; `most` also of how many NAMES there may be."""
    many: int = 0
    """A list of up to so many: `Name.1`, `Name.2` ..., or a JSON array."""
    parts: tuple[Param, ...] = ()
    """An object: `Name.Part`, in a list `Name.1.Part`, or JSON. Empty for a plain value."""
    code: str = "InvalidParameter"
    """With which code a value is refused."""
    ours: bool = False
    """Whether the vendor's action has no such parameter."""


CLIENT_TOKEN = Param("ClientToken")
DRY_RUN = Param("DryRun", Kind.BOOLEAN)


@dataclass(frozen=True)
class Call:
    """One authenticated call, in its transaction."""

    account: Account
    arguments: Mapping[str, Any]
    """All parameters of the action by name, typed and validated."""
    session: Session
    """A writer where the action writes."""
    cloud: Cloud
    host: str
    """How the caller reached us, like `127.0.0.1:8450`."""
    seen: Any = None
    """The answer of the action's `look`; None where it was refused."""

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]


Handler = Callable[[Call], dict[str, Any]]


@dataclass(frozen=True)
class Action:
    """One action of one product; one that writes understands ClientToken (see `understood`)."""

    product: Product
    name: str
    summary: str
    handler: Handler
    parameters: tuple[Param, ...] = ()
    writes: bool = False
    acts: bool = False
    """Whether it does something at once that is in no table: in the trail, but not repeatable."""
    asks: bool = False
    """Whether it asks an instance's server, which may keep it waiting for seconds."""
    look: Callable[[Call], Any] | None = None
    """What one that writes asks of a server: before its transaction, for which others wait."""
    resource: str = ""
    """Field of the answer, or parameter, that says for the audit trail what it was about."""
    dry_run: bool = False
    """Whether it understands DryRun: all is checked, nothing kept, answer DryRunOperation."""
    shows_secret: bool = False
    """Whether a secret is in its answer, which is then not kept for a ClientToken."""
    errors: tuple[str, ...] = ()
    """Codes of refusal beyond those of the gateway."""
    differences: str = ""
    """What is not as in the cloud, for docs/coverage.md."""

    @property
    def understood(self) -> tuple[Param, ...]:
        """All its parameters, those that many actions share included."""
        repeatable = self.writes and not self.shows_secret
        shared = (CLIENT_TOKEN,) * repeatable + (DRY_RUN,) * self.dry_run
        return (*self.parameters, *shared)

    @property
    def lane(self) -> Lane:
        """With which others it takes turns."""
        if self.asks or self.acts or self.look:
            return Lane.ASK
        return Lane.WRITE if self.writes else Lane.READ

    @property
    def label(self) -> str:
        """Like `vpc.CreateVpc`, for logs, metrics and the audit trail."""
        return f"{self.product.label}.{self.name}"
