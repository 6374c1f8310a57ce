"""Page checksums of the destination: the server reads every page and checks it, online.

BASE_BACKUP verifies checksums on its way (PostgreSQL documentation, VERIFY_CHECKSUMS,
from 11 on) and works on a standby too. What it sends is thrown away; from 15 on it is not
even sent (TARGET 'blackhole').
"""

from __future__ import annotations

import contextlib
import re

import psycopg
from psycopg import pq

from ...errors import ReplicationFailed
from ...postgres.basebackup import copy_data
from ...postgres.cluster import Cluster
from ...postgres.conninfo import Conninfo
from ...postgres.replication import ReplicationConnection
from ...postgres.walsender import rows_of
from .result import Verification

_NEW = (
    "BASE_BACKUP (LABEL 'landbridge check', PROGRESS true, CHECKPOINT 'fast', WAL false,"
    " WAIT false, MANIFEST 'no', TARGET 'blackhole', VERIFY_CHECKSUMS true)"
)
_OLD = "BASE_BACKUP LABEL 'landbridge check' PROGRESS FAST NOWAIT"
_FAILED = re.compile(r'checksum verification failed in file "(?:\./)?([^"]+)", block (\d+)')
_TOTAL = re.compile(r'file "(?:\./)?([^"]+)" has a total of (\d+) checksum')
_PAGE = 8192
#: base/DATABASE/FILE, or pg_tblspc/TABLESPACE/VERSION/DATABASE/FILE
_PATH = re.compile(r"(?:base|pg_tblspc/(?P<space>\d+)/[^/]+)/(?P<db>\d+)/(?P<file>\d+)")


def check_pages(cluster: Cluster, dbname: str, result: Verification) -> None:
    """Fill `result.page_checksums` with blocks, damaged, failures and how, or say why not.

    `failures` has file, block and relation of at most five damaged blocks a file, which is
    what the server reports. Raises ReplicationFailed, ServerFailed.
    """
    with cluster.connect_warily(dbname) as conn:
        enabled = conn.execute("SHOW data_checksums").fetchone() == ("on",)
        version = conn.info.server_version
    if not enabled:
        result.skip("page checksums", "the cluster was made without data checksums")
        return
    if version < 110000:
        result.skip("page checksums", "PostgreSQL 10 cannot check them while it runs")
        return
    size, notices = _read_all(cluster, _NEW if version >= 150000 else _OLD)
    failures = [
        {"file": match[1], "block": int(match[2]), "relation": relation(cluster, dbname, match[1])}
        for text in notices
        if (match := _FAILED.search(text))
    ]
    result.page_checksums = {
        "blocks": size // _PAGE,
        "damaged": max(len(failures), sum(int(m[2]) for t in notices if (m := _TOTAL.search(t)))),
        "failures": failures,
        "how": "server-side read of every page",
    }


def _read_all(cluster: Cluster, command: str) -> tuple[int, list[str]]:
    """Bytes the server read, by its own estimate, and its warnings."""
    conninfo = Conninfo(
        {"host": str(cluster.socket_dir), "port": str(cluster.port), "user": cluster.superuser,
         "options": "-c lc_messages=C"}
    )  # fmt: skip
    sizes = []
    with ReplicationConnection.connect(conninfo) as conn:
        conn.send(command.encode())
        try:
            while (answer := conn.next_result(None)) is not None:
                if answer.status == pq.ExecStatus.COPY_OUT:
                    for _ in copy_data(conn):
                        pass
                elif rows := rows_of(answer):
                    # The row of a tablespace ends with its size in kB.
                    sizes += [int(row[2] or 0) * 1024 for row in rows if len(row) == 3]
        except ReplicationFailed as error:
            if "checksum verification failure" not in error.message:
                raise
        return sum(sizes), conn.notices


def relation(cluster: Cluster, dbname: str, path: str) -> str | None:
    """The relation that a file belongs to: database.schema.name, or None if it has gone."""
    match = _PATH.match(path)
    if match is None:
        return None
    with contextlib.suppress(psycopg.Error, StopIteration), cluster.connect_warily(dbname) as conn:
        query = "SELECT datname FROM pg_database WHERE oid = %s::oid"
        (name_of,) = next(conn.execute(query, [match["db"]]))
        with cluster.connect_warily(name_of) as there:
            query = (
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n"
                " ON n.oid = c.relnamespace WHERE c.oid = pg_filenode_relation(%s::oid, %s::oid)"
            )
            schema, name = next(there.execute(query, [match["space"] or "0", match["file"]]))
            return f"{name_of}.{schema}.{name}"
    return None
