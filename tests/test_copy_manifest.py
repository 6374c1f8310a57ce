"""The manifest against what arrived: every difference is found and named."""

from __future__ import annotations

import hashlib
import json
import sys

import google_crc32c
import pytest

from landbridge.errors import CopyFailed
from landbridge.migration.copying.files import Sums
from landbridge.migration.copying.manifest import WalRange, verify
from landbridge.postgres.lsn import Lsn

CONTENT = {"base/1/2": b"two", "global/pg_control": b"control", "odd\udcff": b""}


def arrived() -> Sums:
    return {name: (len(data), google_crc32c.value(data)) for name, data in CONTENT.items()}


def manifest() -> bytes:
    """As a server prints it: one file a line, its own checksum over all before."""
    lines = []
    for name, (size, crc) in arrived().items():
        plain = name.isascii()
        path = name if plain else name.encode(errors="surrogateescape").hex()
        lines.append(json.dumps({
            "Path" if plain else "Encoded-Path": path, "Size": size,
            "Last-Modified": "2026-01-01 00:00:00 GMT", "Checksum-Algorithm": "CRC32C",
            "Checksum": crc.to_bytes(4, sys.byteorder).hex(),
        }))  # fmt: skip
    body = (
        '{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n' + ",\n".join(lines) + "\n],\n"
        '"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n],\n'
    ).encode()
    digest = hashlib.sha256(body).hexdigest().encode()
    return body + b'"Manifest-Checksum": "' + digest + b'"}\n'


def test_what_was_sent_passes_and_names_its_wal() -> None:
    assert verify(manifest(), arrived()) == [WalRange(1, Lsn(0x2000028), Lsn(0x2000100))]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base/1/2": None}, "base/1/2 did not arrive"),
        ({"base/1/3": (0, 0)}, "base/1/3 is not in the manifest"),
        ({"base/1/2": (4, 0)}, "base/1/2 has 4 bytes instead of 3"),
        ({"base/1/2": (3, 1)}, "base/1/2 has another checksum"),
    ],
)
def test_each_difference_is_named(change: dict[str, tuple[int, int] | None], said: str) -> None:
    sums = {k: v for k, v in {**arrived(), **change}.items() if v is not None}
    with pytest.raises(CopyFailed, match=said) as caught:
        verify(manifest(), sums)
    assert caught.value.id == "copy.manifest_mismatch"


@pytest.mark.parametrize("damaged", [b"", b"{", manifest().replace(b"0/2000100", b"0/2000108")])
def test_damaged_manifest_is_not_believed(damaged: bytes) -> None:
    with pytest.raises(CopyFailed) as caught:
        verify(damaged, arrived())
    assert caught.value.id == "copy.manifest_mismatch"
