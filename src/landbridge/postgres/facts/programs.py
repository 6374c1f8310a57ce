"""Facts about server programs of this host that only the programs themselves know."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..distribution import Distribution
from .collations import LocalOrder, Order, local_orders
from .timezones import local_timezones

_ASKED = ("block_size", "wal_block_size", "segment_size", "wal_segment_size")


@dataclass(frozen=True)
class Programs:
    """One distribution as the destination would run it."""

    version: str
    origin: str
    bin: str
    glibc: str
    icu: str | None
    tls: bool
    architecture: str
    compiled: Mapping[str, int] = field(default_factory=dict)
    """Sizes fixed when it was compiled, by setting name; one is absent if it would not say."""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Name -> default version."""
    libraries: Mapping[str, bool] = field(default_factory=dict)
    """Whether each library that the source names is here."""
    missing_locales: tuple[str, ...] = ()
    """Those locales of the source that this host's C library does not have."""
    timezone_data: Mapping[str, float] = field(default_factory=dict)
    orders: Mapping[Order, LocalOrder] = field(default_factory=dict)
    """How these programs sort, for each order that indexes of the source rely on."""
    canary_failed: str | None = None
    """Why that could not be found out."""

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def minor(self) -> int:
        return int(self.version.split(".")[1])


def read_programs(
    distribution: Distribution,
    libraries: frozenset[str] = frozenset(),
    locales: frozenset[str] = frozenset(),
    orders: frozenset[Order] = frozenset(),
) -> Programs:
    """Facts about a distribution, with an answer for each library, locale and order asked
    about. Raises ServerFailed if orders were asked about and its initdb fails."""
    return Programs(
        version=distribution.version,
        origin=distribution.origin,
        bin=str(distribution.bin),
        glibc=distribution.glibc,
        icu=distribution.icu,
        tls=distribution.tls,
        architecture=os.uname().machine,
        compiled=compiled_sizes(distribution),
        extensions=distribution.extensions,
        libraries={name: distribution.has_library(name) for name in sorted(libraries)},
        timezone_data=local_timezones(distribution),
        missing_locales=tuple(sorted(name for name in locales if not has_locale(name))),
        orders=local_orders(distribution, sorted(orders, key=repr)),
    )


def compiled_sizes(distribution: Distribution) -> dict[str, int]:
    """What `postgres -C` answers without a cluster (8 ms each, measured; any user may)."""
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="landbridge-") as folder:
        (Path(folder) / "postgresql.conf").touch()
        for name in _ASKED:
            answer = subprocess.run(
                [distribution.bin / "postgres", "-C", name, "-D", folder],
                capture_output=True, text=True, env=distribution.environment, check=False,
            )  # fmt: skip
            with contextlib.suppress(ValueError):
                found[name] = int(answer.stdout)
    return found


def has_locale(name: str) -> bool:
    """Whether this host's C library knows a locale."""
    libc = ctypes.CDLL(None)
    libc.newlocale.restype = ctypes.c_void_p
    libc.newlocale.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    libc.freelocale.argtypes = (ctypes.c_void_p,)
    every_category = 0x1FBF  # LC_ALL_MASK of glibc
    made = libc.newlocale(every_category, name.encode(), None)
    if made:
        libc.freelocale(made)
    return bool(made)
