"""Runs the command line in this process, as a user would, and takes its output apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from landbridge.cli.entry import run


@dataclass(frozen=True)
class Called:
    """What one call left behind."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The one object on stdout; fails if there is anything else."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


class Cli:
    """Calls `landbridge` with arguments; keeps everything it ever said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.said = ""

    def __call__(self, *arguments: object) -> Called:
        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        self.said += captured.out + captured.err
        return Called(code, captured.out, captured.err)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)
