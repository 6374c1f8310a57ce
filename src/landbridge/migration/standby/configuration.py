"""The destination's configuration files, as a standby and after its promotion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict

from ...errors import LandbridgeError
from ...postgres import careful
from ...postgres.cluster import CONFIG_HEADER, Cluster, quote
from ...postgres.configcheck import refused_settings
from ...postgres.hotstandby import HOT_STANDBY
from ..task import Request, Task, read_json, write_json
from . import connection
from .roles import read_only_overrides, roles_by_login
from .settings import Choice, choose, read_settings

Settings = dict[str, str | int]

#: Files of the copy that configured the source; kept beside the data directory to be read.
_FROM_SOURCE = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")
#: Files that would make the copy something other than our standby.
_RECOVERY_FILES = ("recovery.conf", "recovery.done", "recovery.signal", "standby.signal")
#: Lines that may hold a secret: of a connection string, a URI, a key, LDAP or RADIUS.
#: In a longer line nothing is looked for, and none of ours is so long.
_LONG_LINE = 4096
_SECRET = re.compile(r"passw(?!ord_encryption)|passphrase|secret|://[^/\s]*:[^/\s]*@", re.I)
#: Bytes of one of these files that are read; somebody else has written it.
_MOST = 4 << 20
#: The file that ALTER SYSTEM writes.
_AUTOMATIC = "postgresql.auto.conf"
#: Until 11 these stand in recovery.conf, from 12 on in postgresql.conf.
_RECOVERY = ("primary_", "recovery_", "restore_command", "standby_mode", "archive_cleanup_command")


def learn(task: Task) -> Choice:
    """Read the source's settings, choose among them, and keep the choice with the task."""
    distribution = task.cluster().distribution
    settings, floors, subscriptions = read_settings(task.conninfo())
    choice = choose(settings, floors, distribution=distribution, subscriptions=subscriptions)
    with task.conninfo().connect() as conn:
        choice.read_only = read_only_overrides(conn)
        choice.login_roles = roles_by_login(conn, login=True)
    remember(task, choice)
    return choice


def remember(task: Task, choice: Choice) -> None:
    write_json(task.folder / "standby.json", asdict(choice))


def recall(task: Task) -> Choice:
    """The choice made when the standby was first configured; an empty one before that."""
    return Choice(**(read_json(task.folder / "standby.json") or {}))


def standby_settings(task: Task, extra: Mapping[str, str | int] | None = None) -> Settings:
    """Every setting of the destination while it follows, `extra` last."""
    request, choice = task.request, recall(task)
    settings = _own(request) | choice.carried | request.settings
    for name in HOT_STANDBY:
        asked = str(settings.get(name, ""))
        floor = choice.floors.get(name, 0)
        settings[name] = max(floor, int(asked)) if asked.isdigit() else floor
    if "max_logical_replication_workers" in choice.later:
        settings["max_logical_replication_workers"] = 0
    # What is the default already is left out: taking it out after the promotion would need a
    # restart, and the server's log would complain of that.
    timeline = {"recovery_target_timeline": "latest"} if request.major < 12 else {}
    return (
        settings
        | timeline
        | {
            "lc_messages": "C",
            # Readers shall not hold up the replay, and with it the switchover.
            "max_standby_streaming_delay": "1s",
            "primary_conninfo": connection.primary_conninfo(task, task.cluster()),
            "primary_slot_name": task.slot,
            "wal_receiver_status_interval": "1s",
            "wal_receiver_timeout": "5s",
            # People may terminate all sessions by hand, repeatedly: a second kill of the stream
            # within this interval costs all of it, measured as 3.8 s with the default of 5 s.
            "wal_retrieve_retry_interval": "200ms",
            **(extra or {}),
        }
    )


def final_settings(task: Task) -> Settings:
    """Every setting of the destination once it is on its own."""
    request, choice = task.request, recall(task)
    floors = {name: choice.floors[name] for name in HOT_STANDBY if name in choice.floors}
    return _own(request) | floors | choice.carried | choice.later | request.settings


def brought(task: Task) -> Settings:
    """What a promoted destination has of its source's settings and nobody asked for.

    Not the language of its messages, which whoever looks after it reads.
    """
    asked, choice = task.request.settings, recall(task)
    taken = {n: v for n, v in (choice.carried | choice.later).items() if n not in asked}
    taken.pop("lc_messages", None)
    higher = {n: v for n, v in choice.floors.items() if v > int(asked.get(n, 0))}
    return taken | higher


def _own(request: Request) -> Settings:
    keep = "wal_keep_size" if request.major >= 13 else "wal_keep_segments"
    settings: Settings = {
        "listen_addresses": request.listen,
        # Old WAL lets a failed-over or rewound server find its way back.
        keep: "256MB" if request.major >= 13 else 16,
    }
    if request.archive_command:
        # On a standby `on` archives nothing; it begins with the promotion, without a restart.
        settings |= {"archive_mode": "on", "archive_command": request.archive_command}
    else:
        settings["archive_mode"] = "off"
    return settings


def hba_lines(request: Request) -> list[str]:
    """The user's own pg_hba lines, or one for each network that is let in."""
    if request.hba_file is not None:
        return request.hba_file.splitlines()
    # md5 admits SCRAM verifiers too, and those of roles that still have an MD5 one.
    return [f"host all all {cidr} md5" for cidr in request.allow]


def write_standby(task: Task, extra: Mapping[str, str | int] | None = None) -> None:
    """Write the standby's whole configuration; its server must be down.

    A setting taken over that this server refuses (a locale or a compression this host does
    not have) is dropped with a note; one of the user's own raises LandbridgeError.
    """
    cluster, request = task.cluster(), task.request
    take_over(task, cluster)
    connection.provide_files(task, cluster)
    while True:
        _write_files(cluster, standby_settings(task, extra), hba_lines(request))
        refused = refused_settings(cluster)
        if not refused:
            return
        _drop_refused(task, refused)


def write_final(task: Task) -> None:
    """Write the configuration of a server that has been promoted; ALTER SYSTEM's is kept."""
    cluster = task.cluster()
    altered = _altered(cluster)
    cluster.configure(final_settings(task) | cluster.lasting_socket, hba_lines(task.request))
    cluster.account.write(cluster.data / _AUTOMATIC, altered)
    for name in _RECOVERY_FILES:
        (cluster.data / name).unlink(missing_ok=True)


def _altered(cluster: Cluster) -> str:
    """What ALTER SYSTEM has set; nothing if its file is none, but somebody's link."""
    try:
        return careful.read(cluster.data, _AUTOMATIC, 1 << 20).decode()
    except OSError:
        return ""


def _write_files(cluster: Cluster, settings: Settings, hba: list[str]) -> None:
    recovery = {n: v for n, v in settings.items() if n.startswith(_RECOVERY)}
    _write_recovery(cluster, recovery)
    if cluster.distribution.major >= 12:
        cluster.configure(settings, hba)
    else:
        cluster.configure({n: v for n, v in settings.items() if n not in recovery}, hba)


def _write_recovery(cluster: Cluster, recovery: Settings) -> None:
    """The file that makes it a standby; with the recovery settings in it before 12."""
    if cluster.distribution.major >= 12:
        cluster.account.write(cluster.data / "standby.signal", f"{CONFIG_HEADER}\n")
        return
    lines = [f"{n} = {quote(v)}" for n, v in {"standby_mode": "on", **recovery}.items()]
    text = "\n".join((CONFIG_HEADER, *lines)) + "\n"
    cluster.account.write(cluster.data / "recovery.conf", text)


def _drop_refused(task: Task, refused: Mapping[str, str]) -> None:
    choice = recall(task)
    for name, words in refused.items():
        if name in task.request.settings or name not in choice.carried:
            raise LandbridgeError(
                f"the destination refuses the setting {name}: {words}",
                id="start.setting_refused",
                remedy=f"Give another value with --set {name}=VALUE.",
            )
        value = choice.carried.pop(name)
        choice.left.append(name)
        task.journal.note(
            "standby.setting_refused",
            f"{name} = {value} of the source is not taken over: {words}",
            level="warning",
        )
    remember(task, choice)


def take_over(task: Task, cluster: Cluster) -> None:
    """Move the source's configuration out of the copy, once; without its passwords.

    LandbridgeError start.configuration_size: a file of it is too large to be read. Afterwards
    start.promoted when the directory is no standby any more: writing a standby's configuration
    would turn the promotion back.
    """
    choice = recall(task)
    if choice.taken_over:
        if cluster.left_recovery():
            raise LandbridgeError(
                f"{cluster.data} has been promoted and is no standby", id="start.promoted"
            )
        return
    cluster.make_side()
    for name in (*_FROM_SOURCE, *_RECOVERY_FILES):
        target = cluster.side / f"source-{name}"
        if not target.exists() and (text := _copied(cluster, name)) is not None:
            cluster.account.write(target, _without_secrets(text))
        (cluster.data / name).unlink(missing_ok=True)
    _write_recovery(cluster, {})
    choice.taken_over = True
    remember(task, choice)


def _copied(cluster: Cluster, name: str) -> str | None:
    """A file of the copy; None where there is none, or something else in its place."""
    try:
        raw = careful.read(cluster.data, name, _MOST + 1)
    except OSError:
        return None
    if len(raw) > _MOST:
        raise LandbridgeError(
            f"the source's {name} has more than {_MOST >> 20} MiB",
            id="start.configuration_size",
            remedy=f"Make {name} on the source shorter, and begin again.",
        )
    return raw.decode(errors="replace")


def _without_secrets(text: str) -> str:
    return "".join(
        f"# {' '.join(line[:64].split()[:1])}: not kept, it may hold a secret\n"
        if len(line) > _LONG_LINE or _SECRET.search(line)
        else line
        for line in text.splitlines(keepends=True)
    )
