"""Start the standby, undo that, start it again with other settings."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from ...errors import LandbridgeError, ServerFailed
from ...postgres import careful
from ...postgres.cluster import Cluster
from ...postgres.hotstandby import hot_standby_parameters
from ...postgres.ports import taken_address
from ...postgres.positions import in_recovery
from ..copying.destination import Destination, is_partial
from ..states import State
from ..task import Request, Task
from . import configuration

_ATTEMPTS = 3


def start_standby(task: Task) -> None:
    """Configure the copy as a standby of the source and start it; waits until it is consistent.

    Idempotent: a standby that runs is left as it is. Raises LandbridgeError
    (start.partial_copy, start.setting_refused), ServerUnreachable (the source's settings
    cannot be read) or ServerFailed (start.port_taken, or with the server's own words).
    """
    cluster = task.cluster()
    if cluster.process() is None:
        refuse_partial_copy(cluster)
        _refuse_taken_port(task.request)
        if not configuration.recall(task).taken_over:
            _learn(task)
        configuration.write_standby(task)
    _start(task, cluster)
    with cluster.connect_warily(dbname(task)) as conn:
        if not in_recovery(conn):
            raise LandbridgeError(
                f"the server on {cluster.data} is no standby", id="start.not_a_standby"
            )


def _refuse_taken_port(request: Request) -> None:
    address = taken_address(request.listen, request.port)
    if address is not None:
        raise ServerFailed(
            f"port {request.port} is taken on {address} by another process",
            id="start.port_taken",
            remedy="End that process, or give another port with --port.",
        )


def _learn(task: Task) -> None:
    choice = configuration.learn(task)
    for id, text in choice.notes:
        task.journal.note(id, text, level="warning")
    if choice.left:
        task.journal.note(
            "standby.settings_left",
            "Settings of the source that belong to its host and were not taken over: "
            + ", ".join(sorted(choice.left)),
            names=sorted(choice.left),
        )


def _start(task: Task, cluster: Cluster) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            cluster.start()
            return
        except ServerFailed:
            # The source may have raised a parameter since we asked.
            if attempt == _ATTEMPTS or not raise_floors(task):
                raise
            configuration.write_standby(task)


def raise_floors(task: Task) -> dict[str, tuple[int, int]]:
    """Take over hot-standby parameters that the source has raised: name -> (before, now)."""
    with task.conninfo().connect() as conn:
        now = hot_standby_parameters(conn)
    choice = configuration.recall(task)
    raised = {
        name: (choice.floors.get(name, 0), value)
        for name, value in now.items()
        if value > choice.floors.get(name, 0)
    }
    if raised:
        choice.floors |= {name: value for name, (_, value) in raised.items()}
        configuration.remember(task, choice)
    return raised


def reconfigure(task: Task, extra: Mapping[str, str | int] | None = None) -> None:
    """Restart the standby with `extra` settings on top of its own; {} takes them back.

    Used to stop at a position (recovery_target_lsn) and to raise parameters. The source
    need not be reachable. Raises ServerFailed with the server's own words.
    """
    cluster = task.cluster()
    configuration.take_over(task, cluster)
    cluster.stop()
    configuration.write_standby(task, extra)
    cluster.start()


def undo_standby(task: Task) -> None:
    """Stop the destination and remove it, with the folder beside it.

    Nothing is removed before start_standby() has taken the copy over (the copy's own undo
    does that) nor after the promotion, when the directory may hold writes of its own:
    LandbridgeError (start.promoted; start.not_removed when files are left).
    """
    cluster, choice = task.cluster(), configuration.recall(task)
    ours = choice.taken_over
    if task.state in (State.PROMOTED, State.FINISHED) or (ours and cluster.left_recovery()):
        raise LandbridgeError(
            f"{task.request.data} has been promoted and is not removed", id="start.promoted"
        )
    if not ours:
        return
    cluster.stop("immediate")
    _end_leftovers(task)
    if cluster.data.exists() and not is_partial(cluster.data):
        # What is left when we die in the midst shall neither start nor pass for promoted.
        Destination(cluster.data, task.id, task.folder / "copy", task.request.os_account).unseal()
    folders = [cluster.data, cluster.side]
    if not cluster.is_guarded:
        folders.append(cluster.socket_dir)
    for folder in folders:
        careful.erase(folder)
    if cluster.data.exists():
        raise LandbridgeError(f"{cluster.data} could not be removed", id="start.not_removed")


def _end_leftovers(task: Task) -> None:
    """End what the stopped server has left running; LandbridgeError (start.not_ended)."""
    if not (command := task.request.ending):
        return
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LandbridgeError(
            f"programs of the destination's server do not end: {' '.join(done.stderr.split())}",
            id="start.not_ended",
        )


def refuse_partial_copy(cluster: Cluster) -> None:
    """Raise LandbridgeError (start.partial_copy) unless the directory holds a complete copy."""
    data = cluster.data
    if is_partial(data):
        raise LandbridgeError(
            f"{data} does not hold a complete copy",
            id="start.partial_copy",
            remedy="Let the copy run to its end, or cancel the migration and begin anew.",
        )


def dbname(task: Task) -> str:
    """A database that certainly exists on both sides: the one the source was named with."""
    return task.request.source.get("dbname") or "postgres"
