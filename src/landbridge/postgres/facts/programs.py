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
) -> Programs:
    """Facts about a distribution, with an answer for each library and locale asked about."""
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
        missing_locales=tuple(sorted(name for name in locales if not has_locale(name))),
    )


def compiled_sizes(distribution: Distribution) -> dict[str, int]:
    """What `postgres -C` answers without a cluster (8 ms each, measured; any user may)."""
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="landbridge-") as folder:
        (Path(folder) / "postgresql.conf").touch()
        for name in _ASKED:
            answer = subprocess.run(
                [distribution.bin / "postgres", "-D", folder, "-C", name],
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
