"""The word that every connection to a daemon begins with: whoever can read it may ask.

The account of the other end is not enough. The servers of an ordinary user run as the same
account, and what shuts them in keeps files from them, not sockets (measured: Landlock 7 lets
`connect` through). So the daemon writes a random word beside its socket, which only those can
read who may look into its folder.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_FILE = "key"
#: Bytes of the word.
LENGTH = 64


def make(folder: Path) -> bytes:
    """A new word, written into the daemon's folder (mode 0600)."""
    word = secrets.token_hex(LENGTH // 2).encode()
    scratch = folder / f".{_FILE}.new"
    scratch.unlink(missing_ok=True)
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(word)
    scratch.replace(folder / _FILE)
    return word


def read(folder: Path) -> bytes:
    """The word of the daemon in `folder`; raises OSError.

    No link is followed: root may ask a user's daemon, and tells it nothing but this.
    """
    fd = os.open(folder / _FILE, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb") as file:
        return file.read(LENGTH)
