"""Files in a folder whose owner may mean harm: no links, no pipes, nothing endless.

A server's own account can put anything below its data directory, while we may read and write
where it may not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Opening a pipe or a device shall neither wait nor make it our terminal.
_HARMLESS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: Bytes of a file that somebody else writes and we read; ours have far fewer.
SMALL = 64 << 10


def read(root: Path, name: str, most: int = SMALL) -> bytes:
    """The first `most` bytes of a plain file below `root`; OSError, also for a link on the way."""
    with opened(root, name) as file, os.fdopen(os.dup(file), "rb") as stream:
        return stream.read(most)


@contextlib.contextmanager
def opened(root: Path, name: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A plain file below `root` that is there; OSError, also for a link on the way."""
    *folders, last = name.split("/")
    if ".." in (*folders, last):
        raise OSError(errno.EINVAL, "no name below a folder", name)
    with contextlib.ExitStack() as stack:
        folder = _open(stack, root, _FOLDER)
        for part in folders:
            folder = _open(stack, part, _FOLDER | os.O_NOFOLLOW, folder)
        file = _open(stack, last, flags | _HARMLESS, folder)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "no plain file", last)
        yield file


@contextlib.contextmanager
def replaced(path: Path, mode: int) -> Iterator[int]:
    """An open file that takes the place of `path` when the block ends well."""
    with contextlib.ExitStack() as opened:
        folder = _open(opened, path.parent, _FOLDER)
        scratch = f".{path.name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _HARMLESS
        file = os.open(scratch, flags, mode, dir_fd=folder)
        opened.callback(os.close, file)
        os.fchmod(file, mode)
        yield file
        os.replace(scratch, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def erase(path: Path) -> None:
    """Remove a tree however deep it is, links themselves; what cannot be removed stays."""
    program = shutil.which("rm") or "/bin/rm"
    subprocess.run([program, "-rf", "--", path], check=False, capture_output=True)


def _open(
    opened: contextlib.ExitStack, path: Path | str, flags: int, folder: int | None = None
) -> int:
    fd = os.open(path, flags, dir_fd=folder)
    opened.callback(os.close, fd)
    return fd
