"""The probe against real servers and against what only looks like one; the refusal to clients."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from fix_servers import QUICK, Servers, Source, free_port
from landbridge.errors import NetworkFailed
from landbridge.network.fabric import Outcome, ProbeAnswer
from landbridge.network.forward import Forwarder
from landbridge.network.pgwire import Dial, probe, probe_replication
from landbridge.postgres.process import wait_until
from test_standby_tls import certificate, switch_tls_on


def to(port: int) -> Dial:
    return lambda seconds: socket.create_connection(("127.0.0.1", port), seconds)


def reloaded(source: Source, *hba: str) -> None:
    """Give the server these pg_hba lines and wait until it follows them."""
    before = source.sql("SELECT pg_conf_load_time()")
    source.write_hba(hba)
    source.sql("SELECT pg_reload_conf()")
    assert wait_until(lambda: source.sql("SELECT pg_conf_load_time()") != before, 10)


@pytest.mark.parametrize("major", [10, 18])
def test_probe_tells_a_missing_hba_line_from_a_server_that_answers(
    servers: Servers, tmp_path: Path, major: int
) -> None:
    source = servers.source(major, prepared=False)
    answer = probe(to(source.port), 5)
    assert answer.outcome is Outcome.OK
    assert answer.words.startswith("asks for a password")
    assert probe_replication(to(source.port), 5).outcome is Outcome.OK

    reloaded(source, "host all all 127.0.0.1/32 trust")
    assert probe(to(source.port), 5).words == "lets in without a password"
    refused = probe_replication(to(source.port), 5)
    assert refused.outcome is Outcome.NOT_WHITELISTED
    assert 'replication connection from host "127.0.0.1"' in refused.words

    reloaded(source, "host replication all 127.0.0.1/32 trust")
    assert probe_replication(to(source.port), 5).outcome is Outcome.OK
    refused = probe(to(source.port), 5, user="ann", database="sales")
    assert refused.outcome is Outcome.NOT_WHITELISTED
    assert 'host "127.0.0.1", user "ann", database "sales"' in refused.words

    switch_tls_on(source, *certificate(tmp_path))
    for line in ("hostssl", "hostnossl"):  # either way in is found
        reloaded(source, f"{line} all all 127.0.0.1/32 md5")
        assert probe(to(source.port), 5).outcome is Outcome.OK, line


def test_server_that_is_not_ready_is_there_and_says_so(servers: Servers) -> None:
    source = servers.source(15, prepared=False)
    source.stop()
    source.configure({**QUICK, "hot_standby": "off"}, ["host all all 127.0.0.1/32 trust"])
    source.account.write(source.data / "standby.signal", "")
    source.start()
    answer = probe(to(source.port), 5)
    assert answer.outcome is Outcome.OK
    assert "not accepting connections" in answer.words or "starting up" in answer.words


@contextlib.contextmanager
def stranger(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A listener that treats every connection so; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    behave(client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def says(words: bytes) -> Callable[[socket.socket], None]:
    def behave(client: socket.socket) -> None:
        client.recv(100)
        client.sendall(words)

    return behave


@pytest.mark.parametrize(
    ("behave", "outcome", "words"),
    [
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), Outcome.REFUSED, "SSH-2.0-OpenSSH_9.2"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Outcome.REFUSED, "HTTP/1.1 400 Bad Request"),
        (says(b"EHLO mail.example\r\n"), Outcome.REFUSED, "EHLO mail.example"),
        (says(b"N"), Outcome.REFUSED, ""),
        (lambda client: None, Outcome.REFUSED, ""),
        (lambda client: client.recv(1 << 16) and client.recv(1), Outcome.TIMEOUT, "0.3 s"),
    ],
    ids=["ssh", "http", "smtp", "declines-tls-and-leaves", "closes", "silent"],
)
def test_what_is_not_postgresql_is_shown_in_its_own_words(
    behave: Callable[[socket.socket], None], outcome: Outcome, words: str
) -> None:
    with stranger(behave) as port:
        answer = probe(to(port), 0.3 if outcome is Outcome.TIMEOUT else 20)
    assert answer.outcome is outcome
    assert words in answer.words
    assert answer.words


def test_closed_port_is_refused() -> None:
    answer = probe(to(free_port()), 5)
    assert answer.outcome is Outcome.REFUSED
    assert answer.words == "Connection refused"


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ENETUNREACH, Outcome.UNREACHABLE),
        (errno.EHOSTUNREACH, Outcome.UNREACHABLE),
        (errno.EACCES, Outcome.UNREACHABLE),
        (errno.ECONNREFUSED, Outcome.REFUSED),
        (errno.ETIMEDOUT, Outcome.TIMEOUT),
    ],
)
def test_kernels_answers_fall_into_classes(number: int, outcome: Outcome) -> None:
    def dial(_: float) -> socket.socket:
        raise OSError(number, os.strerror(number))

    assert probe(dial, 1).outcome is outcome


def test_forwarder_tells_a_client_that_an_end_of_the_way_was_removed() -> None:
    def gone(_: float) -> socket.socket:
        raise NetworkFailed("instance pgm-a has no place")

    forwarder = Forwarder("127.0.0.1", 0, gone)
    try:
        with pytest.raises(psycopg.OperationalError, match="instance pgm-a has no place"):
            psycopg.connect(host=forwarder.address[0], port=forwarder.address[1], user="x")
    finally:
        forwarder.close()


def test_forwarder_tells_a_client_that_the_server_is_down() -> None:
    forwarder = Forwarder("127.0.0.1", 0, to(free_port()))
    try:
        with pytest.raises(psycopg.OperationalError, match=r"cannot reach the server: Connection"):
            psycopg.connect(host="127.0.0.1", port=forwarder.address[1], user="ann")
        answer: ProbeAnswer = probe(to(forwarder.address[1]), 5)
        assert answer.outcome is Outcome.UNREACHABLE
        assert answer.words == "cannot reach the server: Connection refused"
    finally:
        forwarder.close()
    assert probe(to(forwarder.address[1]), 5).outcome is Outcome.REFUSED
