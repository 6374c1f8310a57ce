"""Damage on the destination's disk: found by the page check, by amcheck, by the comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

import verify_lab
from fix_servers import Servers, fill
from landbridge.migration.evidence import write_evidence
from landbridge.migration.verify import examine_destination, verify


def test_changed_byte_fails_the_page_check(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    lab.damage("items", 3, b"a", b"b")
    result = verify(lab.task)
    (failure,) = result.page_checksums["failures"]
    assert failure["relation"] == "postgres.public.items" and failure["block"] == 3
    (table,) = [t for t in result.tables if not t.equal]
    assert table.table == "items" and table.error is not None


@pytest.mark.parametrize("major", [pytest.param(11, marks=pytest.mark.slow), 18])
def test_undamaged_pages_pass(servers: Servers, state_dir: Path, major: int) -> None:
    source = servers.source(major)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    result = verify(lab.task)
    assert result.page_checksums["failures"] == []
    assert result.page_checksums["blocks"] > 1000


def test_without_checksums_the_comparison_finds_it(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15, checksums=False)
    fill(source)
    source.sql("VACUUM FREEZE items")
    lab = verify_lab.make(servers, source, state_dir)
    ((text,),) = source.sql("SELECT t FROM items WHERE ctid = '(3,1)'")
    ((key,),) = source.sql("SELECT id FROM items WHERE ctid = '(3,1)'")
    # On the standby, before the switchover.
    lab.damage("items", 3, text.encode(), text[::-1].encode())
    result = verify(lab.task)
    (table,) = [t for t in result.tables if not t.equal]
    assert table.where is not None
    assert table.where["blocks"] == [3] and table.where["keys"] == [f"({key})"]
    assert any(s["what"] == "page checksums" for s in result.skipped)


@pytest.mark.parametrize("installed", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_broken_index_is_named(servers: Servers, state_dir: Path, installed: bool) -> None:
    source = servers.source(15, checksums=False)
    if "amcheck" not in source.distribution.extensions:
        pytest.skip("no amcheck")
    fill(source)
    if installed:
        source.sql("CREATE EXTENSION amcheck")
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    ((value,),) = source.sql("SELECT min(t) FROM items")
    # The first leaf page lies behind the metapage.
    lab.damage("items_t", 1, value.encode(), b"f" * len(value))
    result = verify(lab.task)
    (failure,) = result.indexes["failures"]
    assert failure["name"] == "postgres.public.items_t"
    assert result.indexes["checked"] > 50 and result.indexes["tables"] > 50
    ((left,),) = lab.there("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'")
    assert left == int(installed)


def test_a_destination_in_use_can_still_be_examined(servers: Servers, state_dir: Path) -> None:
    source = servers.source(14)
    fill(source)
    lab = verify_lab.make(servers, source, state_dir)
    lab.promote()
    lab.there("UPDATE items SET t = t")
    before = lab.there("SELECT oid FROM pg_namespace ORDER BY 1")
    result = examine_destination(lab.task)
    assert result.differences == 0
    assert result.indexes["checked"] > 50 and result.page_checksums["blocks"] > 1000
    assert (lab.task.folder / "examination.json").exists()
    assert lab.there("SELECT oid FROM pg_namespace ORDER BY 1") == before
    lab.destination.stop()
    write_evidence(lab.task)
    assert "The destination examined" in (lab.task.folder / "evidence.html").read_text()


def test_indexes_on_a_standby(servers: Servers, state_dir: Path) -> None:
    source = servers.source(15)
    fill(source)
    source.sql("CREATE DATABASE second")
    source.sql("CREATE EXTENSION amcheck", "second")
    lab = verify_lab.make(servers, source, state_dir)
    result = verify(lab.task)
    assert result.indexes["checked"] > 50 and result.indexes["failures"] == []
    why = {s["what"]: s["why"] for s in result.skipped}
    assert "not possible before promotion" in why["indexes of postgres"]
