"""Whoever answers on a private socket may be anybody: nothing it says goes on for ever."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from landbridge.errors import ServerFailed
from landbridge.postgres import careful, private
from landbridge.postgres.process import ProcessId

OWN = ProcessId.of(os.getpid())
assert OWN is not None
READY = b"Z" + struct.pack("!I", 5) + b"I"
ADMITTED = b"R" + struct.pack("!II", 8, 0)
#: One column of text, then rows without end.
COLUMNS = b"T" + struct.pack("!IH", 26, 1) + b"x\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)
ROW = b"D" + struct.pack("!IHI", 10 + 60_000, 1, 60_000) + b"x" * 60_000


@contextmanager
def _server(folder: Path, serve: Callable[[socket.socket], None]) -> Iterator[Path]:
    """A program of ours that speaks the protocol as it likes."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / ".s.PGSQL.5432"))
        listening.listen()

        def run() -> None:
            with suppress(OSError):
                other, _ = listening.accept()
                with other:
                    serve(other)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield folder
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _connect(
    folder: Path, process: ProcessId | None = OWN, uid: int | None = None
) -> psycopg.Connection:
    return private.connect(
        os.getuid() if uid is None else uid, process,
        host=str(folder), user="pgsql", dbname="postgres", connect_timeout=30, autocommit=True,
    )  # fmt: skip


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    def endless(other: socket.socket) -> None:
        other.recv(9999)
        other.sendall(ADMITTED + READY)
        other.recv(9999)
        other.sendall(COLUMNS)
        while True:
            other.sendall(ROW)

    with _server(tmp_path, endless) as folder, _connect(folder) as conn:
        with pytest.raises(psycopg.OperationalError, match="does not end"):
            conn.execute("SELECT 1")
        assert conn.closed


def test_silence_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    def silent(other: socket.socket) -> None:
        other.recv(9999)
        other.sendall(ADMITTED + READY)
        while other.recv(9999):
            pass

    with _server(tmp_path, silent) as folder, _connect(folder) as conn:
        conn.patience = 0.3
        with pytest.raises(psycopg.OperationalError, match="does not end"):
            conn.execute("SELECT 1")


def test_a_password_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "Hidden-77")
    heard = b""

    def curious(other: socket.socket) -> None:
        nonlocal heard
        other.recv(9999)
        other.sendall(b"R" + struct.pack("!II", 8, 3))  # in clear, please
        heard = other.recv(9999)

    with _server(tmp_path, curious) as folder, pytest.raises(psycopg.OperationalError):
        _connect(folder)
    assert b"Hidden" not in heard


@pytest.mark.parametrize(("process", "uid"), [(ProcessId(1, 1), None), (None, 4_000_000_000)])
def test_nothing_is_said_to_another_than_who_is_meant(
    tmp_path: Path, process: ProcessId | None, uid: int | None
) -> None:
    heard = []

    def polite(other: socket.socket) -> None:
        other.recv(9999)
        other.sendall(ADMITTED + READY)
        while more := other.recv(9999):
            heard.append(more)

    with _server(tmp_path, polite) as folder, pytest.raises(ServerFailed) as refused:
        _connect(folder, process, uid)
    assert refused.value.id == "server.not_ours"
    assert [m[:1] for m in heard] in ([], [b"X"])  # goodbye at most


def test_a_file_of_others_is_read_plainly_or_not_at_all(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "global").mkdir(parents=True)
    (root / "global/real").write_bytes(b"x" * 100)
    assert careful.read(root, "global/real", 8) == b"x" * 8
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("/etc/passwd")
    (root / "folder").symlink_to(root / "global")
    for name in ("pipe", "link", "folder/real", "global", "absent", "global/../global/real"):
        with pytest.raises(OSError):
            careful.read(root, name)


def test_a_file_is_replaced_without_writing_through_links(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    for name in ("file", ".file.new"):
        (tmp_path / name).symlink_to(target)
    with careful.replaced(tmp_path / "file", 0o600) as file:
        os.write(file, b"new")
    assert target.read_text() == "kept" and (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()
