"""Shuts a process in, with all that it starts: files by Landlock, privilege by no_new_privs.

A database account that may run programs (before 16 every account with CREATEROLE can make
itself one) has a shell with the rights of its server. What is enforced here needs no
privilege, cannot be taken off again, and holds for every child:

- no program gives more rights than its caller has (set-uid, file capabilities);
- files outside the named folders cannot be read, others not even named ones written;
- links, pipes and devices cannot be made, so that whoever looks into its folders is not led
  elsewhere and does not wait;
- processes outside cannot be signalled, traced or reached over abstract sockets.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterable
from enum import Enum, IntFlag
from pathlib import Path

from . import calls

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS = 38
#: System calls, numbered alike on every architecture that has them.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
#: The first version that lets files move between two folders, which servers do.
_LEAST = 2

#: What every program needs to read: libraries, time zones, certificates.
SYSTEM = tuple(map(Path, ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc")))
#: Devices that are no way to anything.
DEVICES = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")))


class _Access(IntFlag):
    """Rights over files, as Landlock numbers them."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


#: Version of Landlock -> rights that it was the first to know.
_ADDED = {3: _Access.TRUNCATE, 5: _Access.IOCTL_DEV}
_LOOK = _Access.EXECUTE | _Access.READ_FILE | _Access.READ_DIR
_OF_FILES = _Access.WRITE_FILE | _Access.READ_FILE | _Access.EXECUTE | _Access.TRUNCATE
#: What leads elsewhere, or makes a reader wait.
_SPECIAL = (
    _Access.MAKE_CHAR | _Access.MAKE_BLOCK | _Access.MAKE_FIFO | _Access.MAKE_SOCK
    | _Access.MAKE_SYM | _Access.IOCTL_DEV
)  # fmt: skip
#: Signals and abstract sockets, from version 6 on.
_SCOPES = 0b11


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))


def enforced() -> tuple[str, ...]:
    """What `enter` enforces on this machine, in words."""
    words = ["no privilege can be gained, no namespace made"]
    version = landlock_version()
    if version >= _LEAST:
        words.append("files outside its own folder are closed")
    if version >= 6:
        words.append("processes outside cannot be signalled")
    return tuple(words)


class Use(Enum):
    """What may be done with a folder and all below it."""

    LOOK = _LOOK
    """Read and execute."""
    DATA = ~_LOOK & ~_SPECIAL | _Access.READ_FILE | _Access.READ_DIR
    """Anything but execute, and make what is no plain file or folder."""
    LINKS = DATA | _Access.MAKE_SYM
    """Also symbolic links."""
    SOCKETS = DATA | _Access.MAKE_SOCK
    """Also sockets."""


def enter(uses: Iterable[tuple[Path, Use]]) -> None:
    """Shut the calling process in, for good, as far as this kernel can. Raises OSError.

    It may use the folders as told, read and execute SYSTEM, and use DEVICES.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
    arguments = (ctypes.c_ulong(n) for n in (1, 0, 0, 0))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, *arguments), "prctl")
    _close_files(uses)
    calls.drop()


def _close_files(uses: Iterable[tuple[Path, Use]]) -> None:
    version = landlock_version()
    if version < _LEAST:
        return
    known = _known(version)
    ruleset = _ruleset(known, version)
    try:
        for path in SYSTEM:
            _allow(ruleset, path, _LOOK)
        for path in DEVICES:
            _allow(ruleset, path, known & _OF_FILES)
        for path, use in uses:
            _allow(ruleset, path, known & use.value)
        _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _known(version: int) -> _Access:
    later = [right for least, right in _ADDED.items() if version < least]
    known = ~_Access(0)
    for right in later:
        known &= ~right
    return known


def _ruleset(known: _Access, version: int) -> int:
    # The struct has grown: rights over files, over the network (4), scopes (6).
    words = [int(known), 0, _SCOPES] if version >= 6 else [int(known)]
    attributes = (ctypes.c_uint64 * len(words))(*words)
    size = ctypes.sizeof(attributes)
    made = int(_libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0))
    if made < 0:
        _check(made, "landlock_create_ruleset")
    return made


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _allow(ruleset: int, path: Path, rights: _Access) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not path.is_dir():
            rights &= _OF_FILES
        rule = _PathBeneath(int(rights), fd)
        answer = _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        _check(answer, f"landlock_add_rule {path}")
    finally:
        os.close(fd)


def _check(answer: int, call: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
