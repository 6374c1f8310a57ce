"""Bodies survive: records replace repeated work, signals wait, a stop leaves no trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from landbridge.engine import Context, Engine, Status, send
from landbridge.errors import CopyFailed, LandbridgeError, SwitchoverRefused
from landbridge.postgres.process import wait_until

_launched: list[Engine] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """A process runs one engine: whatever fails, the next test can have its own."""
    yield
    while _launched:
        _launched.pop().close()


def launched(folder: Path, body: Callable[[Context, str], None]) -> Engine:
    engine = Engine(folder, "host-1")
    _launched.append(engine)
    engine.register("body", body, topics=("orders",))
    engine.launch()
    engine.start("t", "body", "argument")
    return engine


def over(engine: Engine) -> bool:
    return engine.status("t") is not Status.RUNNING


def test_a_finished_step_is_not_run_again_and_its_result_is_kept(tmp_path: Path) -> None:
    ran: list[str] = []
    results: list[Any] = []

    def body(ctx: Context, argument: str) -> None:
        results.append(ctx.step("first", lambda: ran.append("first") or {"lsn": "0/10"}))
        results.append(ctx.wait_signal("orders"))
        ctx.step("second", lambda: ran.append("second"))

    engine = launched(tmp_path, body)
    assert wait_until(lambda: len(results) == 1, 60)
    engine.close()
    engine = launched(tmp_path, body)
    assert wait_until(lambda: len(results) == 2, 60)
    engine.signal("t", "orders", {"do": "go"})
    assert wait_until(lambda: over(engine), 60)
    assert engine.status("t") is Status.DONE
    assert ran == ["first", "second"]
    assert results == [{"lsn": "0/10"}, {"lsn": "0/10"}, {"do": "go"}]
    assert [n for n in engine.progress("t") if not n.startswith("DBOS")] == ["first", "second"]
    engine.close()


def test_a_signal_from_another_process_arrives_within_300_ms(tmp_path: Path) -> None:
    arrived: list[float] = []

    def body(ctx: Context, argument: str) -> None:
        for _ in range(5):
            ctx.wait_signal("orders")
            arrived.append(time.time())

    engine = launched(tmp_path, body)
    code = f"""
        import time
        from pathlib import Path
        from landbridge.engine import send
        import dbos
        for n in range(5):
            send(Path({str(tmp_path)!r}), "t", "orders", n)
            print(time.time(), flush=True)
            time.sleep(0.37)
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert wait_until(lambda: over(engine), 60)
    engine.close()
    sent = [float(line) for line in answer.stdout.split()]
    delays = sorted(b - a for a, b in zip(sent, arrived, strict=True))
    assert delays[2] <= 0.3, delays


def test_a_signal_sent_while_nobody_lives_is_kept(tmp_path: Path) -> None:
    got: list[Any] = []

    def body(ctx: Context, argument: str) -> None:
        got.append(ctx.wait_signal("orders"))

    launched(tmp_path, body).close()
    send(tmp_path, "t", "orders", "later")
    engine = launched(tmp_path, body)
    assert wait_until(lambda: over(engine), 60)
    engine.close()
    assert got == ["later"]


def test_a_wait_with_a_timeout_ends_empty(tmp_path: Path) -> None:
    got: list[Any] = []
    engine = launched(tmp_path, lambda ctx, _: got.append(ctx.wait_signal("orders", timeout=0.3)))
    assert wait_until(lambda: over(engine), 60)
    engine.close()
    assert got == [None]


def test_a_signal_to_nobody_is_an_error(tmp_path: Path) -> None:
    for attempt in (lambda: send(tmp_path, "t", "orders", 1), lambda: _empty(tmp_path)):
        try:
            attempt()
        except LandbridgeError as error:
            assert error.id == "engine.unknown"
        else:
            raise AssertionError("no error")


def _empty(folder: Path) -> None:
    engine = Engine(folder, "host-1")
    engine.launch()
    engine.close()
    send(folder, "t", "orders", 1)


def test_errors_of_a_step_are_recorded_with_class_and_facts(tmp_path: Path) -> None:
    seen: list[LandbridgeError] = []
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        raise CopyFailed("wire cut", id="copy.wire", remedy="mend it", retryable=True)

    def body(ctx: Context, argument: str) -> None:
        try:
            ctx.step("fails", fail)
        except CopyFailed as error:
            seen.append(error)
        ctx.wait_signal("orders")
        ctx.step("refuses", lambda: (_ for _ in ()).throw(SwitchoverRefused("no")))

    engine = launched(tmp_path, body)
    assert wait_until(lambda: len(seen) == 1, 60)
    engine.close()
    engine = launched(tmp_path, body)
    assert wait_until(lambda: len(seen) == 2, 60)
    engine.signal("t", "orders", "go on")
    assert wait_until(lambda: over(engine), 60)
    assert engine.status("t") is Status.FAILED
    engine.close()
    assert len(runs) == 1
    assert [e.as_dict() for e in seen] == [
        {"id": "copy.wire", "message": "wire cut", "remedy": "mend it", "retryable": True}
    ] * 2


def test_a_defect_of_ours_leaves_the_body_to_be_taken_up_again(tmp_path: Path) -> None:
    runs: list[int] = []

    def body(ctx: Context, argument: str) -> None:
        runs.append(1)
        if len(runs) == 1:
            ctx.step("stumbles", lambda: {}["nothing"])
        ctx.step("stumbles", lambda: None)

    engine = launched(tmp_path, body)
    assert wait_until(lambda: engine.defect is not None, 60)
    assert isinstance(engine.defect, KeyError)
    assert engine.status("t") is Status.RUNNING
    engine.close()
    assert "KeyError" in (tmp_path / "engine.log").read_text()
    engine = launched(tmp_path, body)
    assert wait_until(lambda: over(engine), 60)
    assert engine.status("t") is Status.DONE
    engine.close()


def test_cancel_ends_a_body_at_its_next_step(tmp_path: Path) -> None:
    ran: list[str] = []

    def body(ctx: Context, argument: str) -> None:
        ctx.step("first", lambda: ran.append("first"))
        ctx.wait_signal("orders")
        ctx.step("second", lambda: ran.append("second"))

    engine = launched(tmp_path, body)
    assert wait_until(lambda: bool(ran), 60)
    engine.cancel("t")
    engine.signal("t", "orders", "go")
    assert wait_until(lambda: engine.status("t") is Status.CANCELLED, 60)
    engine.close()
    assert ran == ["first"]


def test_a_killed_process_is_continued_by_the_next(tmp_path: Path) -> None:
    code = f"""
        import time
        from pathlib import Path
        from landbridge.engine import Engine
        folder = Path({str(tmp_path)!r})
        def body(ctx, argument):
            ctx.step("first", lambda: (folder / "first").write_text("done"))
            ctx.step("second", lambda: time.sleep(600))
        engine = Engine(folder, "host-1")
        engine.register("body", body)
        engine.launch()
        engine.start("t", "body", "argument")
        time.sleep(600)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    assert wait_until((tmp_path / "first").exists, 60)
    time.sleep(0.2)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    ran: list[str] = []

    def body(ctx: Context, argument: str) -> None:
        ctx.step("first", lambda: ran.append("first"))
        ctx.step("second", lambda: ran.append(f"second with {argument}"))

    engine = launched(tmp_path, body)
    assert wait_until(lambda: over(engine), 60)
    engine.close()
    assert ran == ["second with argument"]
