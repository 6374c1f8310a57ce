"""`landbridge engines`: the PostgreSQL server programs of this host."""

from __future__ import annotations

from .options import JsonFlag
from .output import Mode, Output


def engines(json: JsonFlag = False) -> None:
    """List the PostgreSQL server programs of this host, preferred ones first."""
    from rich.table import Table

    from ..postgres.distribution import SEARCH_VARIABLE, discover

    found = discover()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("VERSION", "ORIGIN", "TLS", "LZ4", "ZSTD", "ICU", "TOOLS", "FOLDER"):
        table.add_column(heading, no_wrap=heading != "FOLDER", overflow="fold")
    for d in found:
        flags = ("yes" if flag else "-" for flag in (d.tls, d.lz4, d.zstd))
        table.add_row(d.version, d.origin, *flags, d.icu or "-", str(len(d.tools)), str(d.bin))
    hint = f"Others are searched for in the folders that {SEARCH_VARIABLE} names."
    Output(Mode.of(json)).result({"engines": [d.as_dict() for d in found]}, table, "", hint)
