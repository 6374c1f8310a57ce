"""What a server that came from elsewhere says of itself need not be true, or make sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landbridge.cloud import CloudError
from landbridge.cloud.instances import sessions, storage
from landbridge.cloud.instances.storage import Scales
from landbridge.postgres.process import wait_until

ROW = (
    7, "2026-01-01T00:00:00.000000Z", "ann", "postgres", "10.1.1.1", "psql", "client backend",
    "idle", "", "2026-01-01T00:00:01.000000Z", "SELECT 1", 1.5, False,
)  # fmt: skip


def test_sessions_that_no_server_would_tell_of_are_a_refusal() -> None:
    (told,) = sessions.told([ROW], {"10.1.1.1": "10.9.9.9"})
    assert (told.pid, told.client, told.transaction_seconds) == (7, "10.9.9.9", 1.5)
    forged: list[tuple[Any, ...]] = [
        ("no number", *ROW[1:]), (None, *ROW[1:]), (float("inf"), *ROW[1:]), ROW[:5], (),
        (*ROW[:11], "soon", True), (*ROW[:11], float("nan"), True), (*ROW[:11], [1], True),
    ]  # fmt: skip
    for row in forged:
        with pytest.raises(CloudError) as refused:
            sessions.told([ROW, row], {})
        assert refused.value.code == "IncorrectDBInstanceState", row


def test_storage_that_cannot_be_read_keeps_what_was_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int | OSError] = [5000, PermissionError("no"), 6000]

    def measure(_: Path) -> int:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(storage, "used_bytes", measure)
    monkeypatch.setattr(storage, "_SHARE", 1e9)  # measured again at once
    scales, seen = Scales(), []
    while answers:
        seen.append(scales.used("pgm-x", tmp_path))
        assert wait_until(scales._last["pgm-x"].job.done, 20)
    seen.append(scales._known["pgm-x"])
    scales.close()
    assert seen == [None, 5000, 5000, 5000]
