"""The backup manifest (13+): what the source says it sent, held against what arrived.

(PostgreSQL documentation, "Backup Manifest Format".)
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from typing import Any

from ...errors import CopyFailed
from ...postgres.lsn import Lsn
from .files import Sums


@dataclass(frozen=True)
class WalRange:
    """WAL that is needed to make the copy consistent."""

    timeline: int
    start: Lsn
    end: Lsn


def verify(manifest: bytes, sums: Sums) -> list[WalRange]:
    """Compare a manifest with the files that arrived; return the WAL it asks for.

    Raises CopyFailed (copy.manifest_mismatch), naming up to five files, when the manifest
    is damaged, a file is missing or not in it, or has another size or checksum.
    """
    content = _parse(manifest)
    differences = []
    remaining = dict(sums)
    for entry in content["Files"]:
        name = _name(entry)
        found = remaining.pop(name, None)
        if found is None:
            differences.append(f"{name} did not arrive")
        elif found[0] != entry["Size"]:
            differences.append(f"{name} has {found[0]} bytes instead of {entry['Size']}")
        elif found[1].to_bytes(4, sys.byteorder).hex() != entry["Checksum"]:
            # The source prints the CRC's bytes as they lie in its memory.
            differences.append(f"{name} has another checksum")
    differences += [f"{name} is not in the manifest" for name in remaining]
    if differences:
        raise _mismatch(
            f"{len(differences)} files differ from the manifest: " + "; ".join(differences[:5])
        )
    return [
        WalRange(r["Timeline"], Lsn.parse(r["Start-LSN"]), Lsn.parse(r["End-LSN"]))
        for r in content["WAL-Ranges"]
    ]


def _parse(manifest: bytes) -> dict[str, Any]:
    """The manifest as JSON, its own checksum (of all but the last line) verified."""
    body, _, _ = manifest.rstrip(b"\n").rpartition(b"\n")
    try:
        content: dict[str, Any] = json.loads(manifest)
    except ValueError:
        raise _mismatch("the manifest cannot be read") from None
    if hashlib.sha256(body + b"\n").hexdigest() != content.get("Manifest-Checksum"):
        raise _mismatch("the manifest does not have its own checksum")
    return content


def _name(entry: dict[str, Any]) -> str:
    if "Encoded-Path" in entry:
        return bytes.fromhex(entry["Encoded-Path"]).decode(errors="surrogateescape")
    return str(entry["Path"])


def _mismatch(message: str) -> CopyFailed:
    return CopyFailed(
        message,
        id="copy.manifest_mismatch",
        remedy="Bytes were changed on the way or on this disk: look at both, then copy again.",
        retryable=True,
    )
