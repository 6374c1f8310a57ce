"""The rules of the durable engine: what it must never do, whatever DBOS would do by default."""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from landbridge.engine import Context, Engine, send
from landbridge.errors import LandbridgeError

ENGINE_CODE = Path(__file__).parent.parent / "src/landbridge/engine"


def body(ctx: Context, argument: str) -> None:
    ctx.step("note the argument", lambda: argument)
    ctx.wait_signal("orders")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path, "host-1")
    made.register("wait", body, topics=("orders",))
    made.launch()
    yield made
    made.close()


def query(folder: Path, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(folder / "engine.sqlite")) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
        return found


def test_the_application_version_and_the_executor_are_pinned(
    engine: Engine, tmp_path: Path
) -> None:
    engine.start("t", "wait", "x")
    rows = query(tmp_path, "SELECT application_version, executor_id FROM workflow_status")
    assert rows == [("1", "host-1")]


def test_everything_stored_is_json(engine: Engine, tmp_path: Path) -> None:
    engine.start("t", "wait", "x")
    engine.signal("t", "elsewhere", {"a": [1, "b", None]})
    for table in ("workflow_status", "notifications"):
        kinds = query(tmp_path, f"SELECT DISTINCT serialization FROM {table}")
        assert kinds == [("portable_json",)]
    ((inputs,),) = query(tmp_path, "SELECT inputs FROM workflow_input")
    assert json.loads(str(inputs))["positionalArgs"] == ["t", "x"]


def test_two_processes_never_share_an_engine(engine: Engine, tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from landbridge.engine import Engine
        Engine(Path({str(tmp_path)!r}), "host-1").launch()
    """
    other = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert "another process runs the engine" in other.stderr


def test_one_process_runs_one_engine(engine: Engine, tmp_path: Path) -> None:
    second = Engine(tmp_path / "..", "host-1")
    with pytest.raises(LandbridgeError) as caught:
        second.launch()
    assert caught.value.id == "engine.busy"


def test_a_planted_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    first = Engine(tmp_path, "host-1")
    first.register("wait", body, topics=("orders",))
    first.launch()
    first.start("t", "wait", "x")
    first.close()
    trace = tmp_path / "executed"

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {trace}",)

    payload = base64.b64encode(pickle.dumps(Bomb())).decode()
    query(tmp_path, f"UPDATE workflow_input SET inputs='{payload}'")
    query(tmp_path, "UPDATE workflow_status SET serialization='py_pickle'")
    second = Engine(tmp_path, "host-1")
    second.register("wait", body, topics=("orders",))
    with pytest.raises(LandbridgeError) as caught:
        second.launch()
    assert caught.value.id == "engine.foreign_value"
    with pytest.raises(LandbridgeError) as caught:
        send(tmp_path, "t", "orders", "go")
    assert caught.value.id == "engine.foreign_value"
    assert not trace.exists()


def test_nothing_resumes_or_forks_which_would_forget_the_queue() -> None:
    for path in ENGINE_CODE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert not any(w in node.attr for w in ("resume", "fork", "rewind")), path


def test_signal_to_what_a_killed_start_left_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "engine.sqlite").touch()
    with pytest.raises(LandbridgeError) as caught:
        send(tmp_path, "t", "orders", {})
    assert caught.value.id == "engine.unknown"
    assert (tmp_path / "engine.sqlite").stat().st_size == 0


def test_files_are_readable_by_us_alone(engine: Engine, tmp_path: Path) -> None:
    for name in ("engine.sqlite", "engine.log", "engine.lock"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_no_socket_is_opened_and_nothing_is_printed_even_if_the_environment_asks(
    tmp_path: Path,
) -> None:
    code = f"""
        import os, sys, time
        from pathlib import Path
        from landbridge.engine import Engine
        assert "dbos" not in sys.modules, "importing the engine must stay cheap"
        engine = Engine(Path({str(tmp_path)!r}), "host-1")
        engine.register("wait", lambda ctx, x: ctx.wait_signal("orders"), topics=("orders",))
        engine.launch()
        engine.start("t", "wait", "x")
        time.sleep(0.3)
        mine = {{os.readlink(f"/proc/self/fd/{{n}}") for n in os.listdir("/proc/self/fd")
                 if os.path.exists(f"/proc/self/fd/{{n}}")}}
        inet = {{f"socket:[{{line.split()[9]}}]" for kind in ("tcp", "tcp6", "udp", "udp6")
                 for line in open(f"/proc/net/{{kind}}").readlines()[1:]}}
        assert not mine & inet, mine & inet
        engine.close()
    """
    environment = {
        **os.environ,
        "DBOS__CLOUD": "true",
        "DBOS__CONDUCTOR_KEY": "k",
        "DBOS__CONDUCTOR_URL": "wss://127.0.0.1:1",
        "DBOS__APPVERSION": "other",
        "DBOS__VMID": "other",
        "DBOS__OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1",
    }
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert query(tmp_path, "SELECT application_version, executor_id FROM workflow_status") == [
        ("1", "host-1")
    ]
