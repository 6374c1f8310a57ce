"""Sizes, rates and durations, in and out."""

from __future__ import annotations

import doctest

import pytest

import landbridge.cli.display.spark
import landbridge.cli.options
import landbridge.cli.units
from landbridge.cli.units import parse_size


@pytest.mark.parametrize(
    "module", [landbridge.cli.units, landbridge.cli.options, landbridge.cli.display.spark]
)
def test_examples_in_docstrings_hold(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert tried and not failed


@pytest.mark.parametrize(
    ("text", "bytes"),
    [
        ("1", 1), ("8kB", 8192), ("50MB", 50 * 1024**2), ("50 mb", 50 * 1024**2),
        ("16GB", 16 * 1024**3), ("1.5TB", int(1.5 * 1024**4)), ("100M/s", 100 * 1024**2),
        ("1GiB", 1024**3),
    ],
)  # fmt: skip
def test_size_is_read(text: str, bytes: int) -> None:
    assert parse_size(text) == bytes


@pytest.mark.parametrize("text", ["", "0", "-5MB", "fifty", "5XB", "1e9", "5MBs", "0.0001kB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)
