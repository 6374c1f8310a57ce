"""The comparison of tables: equal is said to be equal, and every difference is found."""

from __future__ import annotations

from pathlib import Path

import pytest

import verify_lab
from fix_servers import Servers, fill
from landbridge.errors import VerificationFailed
from landbridge.migration.verify import verify


@pytest.mark.parametrize("major", [10, 12, 15, 18])
def test_equal_after_promotion(servers: Servers, state_dir: Path, major: int) -> None:
    source = servers.source(major)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    result = verify(lab.task)
    assert result.differences == 0
    (items,) = [t for t in result.tables if t.table == "items"]
    assert (items.rows_source, items.rows_destination) == (20_000, 20_000)
    assert items.hash_source == items.hash_destination


def test_destination_moved_on_is_an_error(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    lab.there("UPDATE items SET t = 'other' WHERE id = 7")
    with pytest.raises(VerificationFailed) as caught:
        verify(lab.task)
    assert caught.value.id == "verify.destination_moved"
