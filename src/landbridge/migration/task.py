"""A migration task: what was asked for, and the folder in which it lives.

::

    STATE/tasks/ID/
    ├── request.json      what was asked, without secrets; changed under request.lock
    ├── journal.jsonl     what happened (journal.py)
    ├── live.json         the latest figures, replaced several times a second
    ├── assessment.json   the findings
    ├── secrets/          passfiles and own pg_hba lines, mode 0600, removed at the end
    ├── copy/             the copier's specification, progress, result, log
    ├── switchover/       the attempt under way: values to put back, deadline
    ├── verification.json, examination.json   what the comparison, a look at the copy, found
    ├── verifying         while a verification holds the standby (standby/hold.py)
    ├── engine.sqlite     the durable engine's own database
    ├── lock              held (flock) by the one process that works on the task
    └── evidence.json, evidence.html
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from .. import lock
from ..errors import LandbridgeError, UsageError
from ..postgres.cluster import Cluster
from ..postgres.conninfo import Conninfo
from ..postgres.distribution import find
from ..postgres.osaccount import OsAccount
from .journal import Journal, now
from .states import State, is_end

FENCES = ("sync", "lockout", "manual")
WAL_POLICIES = ("protect-source", "protect-migration")
COPY_ENGINES = ("plain",)
#: Seconds within which whoever merely looks at a lock has let it go.
_LOOKED_AT = 0.5
#: Seconds within which another call has written its request.
_WRITTEN = 10.0
#: What stands in request.json for pg_hba lines: the file that holds them.
_HBA = "secrets/pg_hba.conf"


@dataclass(frozen=True)
class Request:
    """What a migration was asked to do. Conninfo parameters are without passwords."""

    source: dict[str, str]
    data: str
    """Data directory of the destination."""
    port: int
    major: int
    superuser: str
    """Name of the source's bootstrap superuser (role 10); it arrives with the copy."""
    system_identifier: str
    fence: str = "sync"
    fence_as: dict[str, str] | None = None
    verify_as: dict[str, str] | None = None
    listen: str = "localhost"
    allow: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    """CIDR blocks whose clients the destination admits (pg_hba)."""
    hba_file: str | None = None
    """pg_hba lines of the user's own, instead of those made from `allow`; they may hold
    secrets (ldapbindpasswd, radiussecrets). Empty once the task's secrets are removed."""
    settings: dict[str, str] = field(default_factory=dict)
    """postgresql.conf settings of the user's own for the destination."""
    tablespaces: dict[str, str] = field(default_factory=dict)
    """Location on the source -> location here."""
    copy_engine: str = "plain"
    compression: str = "auto"
    """auto, none, or METHOD[:LEVEL[:WORKERS]] with METHOD gzip, lz4, zstd."""
    max_rate: int | None = None
    """Bytes per second the copy may take from the source."""
    sync: bool = True
    """fsync the copy (False only for tests)."""
    switchover: str = "wait"
    """wait: until somebody asks; auto: as soon as the destination has caught up."""
    time_limit: float = 60.0
    """Seconds from the fence to the promotion, after which all is put back."""
    wal_policy: str = "protect-source"
    wal_budget: int = 16 * 1024**3
    """Bytes of WAL our slot may keep on the source."""
    verify: str = "none"
    """none, or before: compare all tables at one LSN before the switchover."""
    reindex: bool = False
    archive_command: str | None = None
    waive: tuple[str, ...] = ()
    """Ids of findings of level error that shall not stand in the way."""
    replaces_empty_cluster: bool = False
    """The data directory held an empty cluster, which is kept aside until the end."""
    os_account: int | None = None
    """Number (user and group) of the account that runs the server; None: the usual one."""
    through: tuple[str, ...] = ()
    """Command that starts the server, see `Cluster`; empty: it is started as it is."""
    ending: tuple[str, ...] = ()
    """Command that ends whatever programs a stopped server has left; empty: it leaves none."""


class Task:
    """One migration on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.jsonl")

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def request(self) -> Request:
        raw = json.loads((self.folder / "request.json").read_text())
        for name in ("allow", "waive", "through", "ending"):
            raw[name] = tuple(raw.get(name, ()))
        if raw["hba_file"] == _HBA:
            lines = self.folder / _HBA
            raw["hba_file"] = lines.read_text() if lines.exists() else ""
        return Request(**raw)

    def write_request(self, request: Request) -> None:
        """Keep what was asked; what may hold secrets goes to them."""
        raw = asdict(request)
        if request.hba_file is not None:
            _write(self.folder / _HBA, request.hba_file)
            raw["hba_file"] = _HBA
        write_json(self.folder / "request.json", raw)

    def amend(
        self,
        *,
        fence: str | None = None,
        time_limit: float | None = None,
        fence_as: Conninfo | None = None,
        port: int | None = None,
        listen: str | None = None,
        hba_file: str | None = None,
        settings: Mapping[str, str] | None = None,
        through: tuple[str, ...] | None = None,
        ending: tuple[str, ...] | None = None,
    ) -> None:
        """Change what may still change; None leaves a thing as it is.

        `settings` are added to those of the request. They, `port`, `listen`, `hba_file` (its
        text) and `through` count from the next start of the destination on. Raises
        LandbridgeError (task.busy) while others change it.
        """
        changes: dict[str, Any] = {
            "fence": fence, "time_limit": time_limit, "port": port, "listen": listen,
            "hba_file": hba_file, "through": through, "ending": ending,
        }  # fmt: skip
        with _alone(self.folder / "request.lock", f"changes task {self.id}", _WRITTEN):
            if settings:
                changes["settings"] = {**self.request.settings, **settings}
            if fence_as is not None:
                fence_as.write_passfile(self.passfile("fence_as"))
                changes["fence_as"] = fence_as.public()
            given = {name: value for name, value in changes.items() if value is not None}
            if given:
                self.write_request(replace(self.request, **given))

    @property
    def state(self) -> State:
        return self.journal.state() or State.ASSESSING

    @property
    def slot(self) -> str:
        """Name of our replication slot, and of the standby in pg_stat_replication."""
        return "landbridge_" + self.id.replace("-", "_")

    def conninfo(self, role: str = "source") -> Conninfo:
        """The connection for `source`, `fence_as` or `verify_as`, with the task's passfile.

        Raises LandbridgeError (credentials.missing) when it was not given or is gone.
        """
        parameters = getattr(self.request, role)
        if parameters is None:
            raise LandbridgeError(f"no {role} account was given", id="credentials.missing")
        return Conninfo({**parameters, "passfile": str(self.passfile(role))}).wary()

    def passfile(self, role: str) -> Path:
        return self.folder / "secrets" / f"{role}.pgpass"

    def cluster(self) -> Cluster:
        """The destination."""
        request = self.request
        return Cluster(
            Path(request.data), find(request.major), request.port, superuser=request.superuser,
            account=OsAccount.numbered(request.os_account), through=request.through,
        )  # fmt: skip

    def write_live(self, **figures: Any) -> None:
        """Replace the latest figures (`live.json`); watchers read them several times a second."""
        write_json(self.folder / "live.json", {"at": now(), **figures}, durable=False)

    def read_live(self) -> dict[str, Any]:
        return read_json(self.folder / "live.json") or {}

    def remove_secrets(self) -> None:
        shutil.rmtree(self.folder / "secrets", ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that works on this task; LandbridgeError (task.busy) otherwise."""
        # Patient with those who only look.
        with _alone(self.folder / "lock", f"works on task {self.id}", _LOOKED_AT):
            yield

    def is_worked_on(self) -> bool:
        """Whether a living process holds this task."""
        return lock.is_taken(self.folder / "lock")


class Tasks:
    """All tasks of one state directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def default(cls) -> Self:
        """`$LANDBRIDGE_STATE`, for root /var/lib/landbridge, else ~/.local/state/landbridge."""
        if explicit := os.environ.get("LANDBRIDGE_STATE"):
            return cls(Path(explicit).absolute())
        if os.geteuid() == 0:
            return cls(Path("/var/lib/landbridge"))
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        return cls(Path(base) / "landbridge")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who adds a task; LandbridgeError (task.busy) after ten seconds."""
        self.root.mkdir(parents=True, exist_ok=True)
        with _alone(self.root / "tasks.lock", f"begins a migration in {self.root}", _WRITTEN):
            yield

    def create(self, request: Request, credentials: dict[str, Conninfo]) -> Task:
        """Write a new task: the request, and each account's password into its passfile."""
        folder = self.root / "tasks" / f"m-{secrets.token_hex(4)}"
        (folder / "secrets").mkdir(parents=True, mode=0o700)
        for private in (self.root / "tasks", folder, folder / "secrets"):
            private.chmod(0o700)
        task = Task(folder)
        for role, conninfo in credentials.items():
            conninfo.write_passfile(task.passfile(role))
        task.write_request(request)
        task.journal.enter(State.ASSESSING)
        return task

    def all(self) -> list[Task]:
        """Every task, oldest first; LandbridgeError (state.unreadable) if they are closed."""
        folder, found = self.root / "tasks", []
        try:
            for path in folder.iterdir() if folder.exists() else ():
                # Any of them may be forgotten meanwhile.
                with suppress(FileNotFoundError):
                    (path / "request.json").stat()
                    found.append((path.stat().st_ctime, path))
        except OSError as problem:
            raise LandbridgeError(
                f"the tasks in {folder} cannot be read: {problem.strerror}",
                id="state.unreadable",
                remedy="Work as the account that began them, or name a folder of yours in"
                " LANDBRIDGE_STATE.",
            ) from None
        return [Task(path) for _, path in sorted(found)]

    def get(self, id: str) -> Task:
        """The task of that id (an unambiguous beginning is enough); UsageError otherwise."""
        found = [t for t in self.all() if t.id == id] or [
            t for t in self.all() if t.id.startswith(id) or t.id.startswith(f"m-{id}")
        ]
        if len(found) != 1:
            known = ", ".join(t.id for t in self.all()) or "none"
            raise UsageError(
                f"no task {id!r} in {self.root}" if not found else f"{id!r} names several tasks",
                id="task.unknown",
                remedy=f"Known tasks: {known}.",
            )
        return found[0]

    def for_destination(self, data: Path) -> Task | None:
        """The unfinished task that owns a data directory, if there is one."""
        for task in self.all():
            with suppress(FileNotFoundError):  # forgotten meanwhile
                if Path(task.request.data).resolve() == data.resolve() and not is_end(task.state):
                    return task
        return None


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replace a small JSON file atomically, readable by us alone."""
    _write(path, json.dumps(value, default=str, indent=1), durable=durable)


def _write(path: Path, text: str, *, durable: bool = True) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(fd)
    scratch.replace(path)


@contextmanager
def _alone(path: Path, does: str, patience: float) -> Iterator[None]:
    """Hold a lock; LandbridgeError (task.busy) when another process does for all of `patience`."""
    fd = lock.take(path, patience)
    if fd is None:
        raise LandbridgeError(f"another process {does}", id="task.busy", retryable=True)
    try:
        yield
    finally:
        os.close(fd)


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None if there is none."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
