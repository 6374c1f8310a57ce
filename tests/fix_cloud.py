"""A control plane of its own for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from landbridge.cloud import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An empty control plane, in `tmp_path`."""
    cloud = Cloud.open(tmp_path)
    yield cloud
    cloud.close()
