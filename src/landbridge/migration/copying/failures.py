"""What went wrong, in terms of the copy."""

from __future__ import annotations

import errno
import re

from ...errors import CopyFailed, LandbridgeError, ReplicationFailed

# Id of a replication error -> id of the copy's.
_IDS = {
    "replication.closed": "copy.source_gone",
    "replication.silent": "copy.wire_dead",
    "replication.wal_removed": "copy.wal_removed",
    "replication.slot_missing": "copy.slot_missing",
}
_DATA_CORRUPTED = "XX001"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def as_copy_failed(error: BaseException) -> CopyFailed:
    """The same failure as a CopyFailed with a stable id and a remedy.

    ========================= ======================================================
    copy.source_gone          the source was stopped, or ended our connection
    copy.wire_dead            nothing came over the line any more
    copy.disk_full            no space left where the copy is written
    copy.corrupt_page         the source found a damaged page in one of its files
    copy.cannot_write         the destination's folders do not let us write
    ========================= ======================================================
    """
    if isinstance(error, CopyFailed):
        return error
    if isinstance(error, ReplicationFailed) and error.sqlstate == _DATA_CORRUPTED:
        return corrupt_page(error.message)
    if isinstance(error, ReplicationFailed):
        id = _IDS.get(error.id, error.id)
        return CopyFailed(error.message, id=id, remedy=error.remedy, retryable=error.retryable)
    if isinstance(error, LandbridgeError):
        return CopyFailed(
            error.message, id=error.id, remedy=error.remedy, retryable=error.retryable
        )  # fmt: skip
    if isinstance(error, OSError) and error.errno in _FULL:
        return CopyFailed(
            f"no space left while writing the copy: {error}",
            id="copy.disk_full",
            remedy="Make room (the size of the source, and its WAL meanwhile), then copy again.",
        )
    if isinstance(error, OSError):
        return CopyFailed(f"the copy could not be written: {error}", id="copy.cannot_write")
    return CopyFailed(f"the copier failed: {type(error).__name__}: {error}", id="copy.internal")


def corrupt_page(message: str) -> CopyFailed:
    """The failure for a page whose checksum the source found wrong, in the source's words.

    The words name the file and block; the remedy says how to find the relation.
    """
    found = re.search(r"base/(\d+)/(\d+)", message)
    remedy = "Repair it on the source (restore it, or drop and rebuild the relation), then retry."
    if found:
        remedy = (
            f"In the source's database with oid {found[1]},"
            f" SELECT pg_filenode_relation(0, {found[2]}) names the relation. {remedy}"
        )
    return CopyFailed(
        f"the source has a damaged page: {message}", id="copy.corrupt_page", remedy=remedy
    )
