"""Linux calls that Python 3.11 lacks: namespaces, mounts, capabilities. Each raises OSError."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from enum import IntEnum, IntFlag
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522


class Namespace(IntFlag):
    """Kinds of namespaces, as `unshare` and `setns` number them."""

    MOUNT = 0x00020000
    IPC = 0x08000000
    USER = 0x10000000
    NET = 0x40000000


class Mount(IntFlag):
    """Flags of `mount`."""

    NOSUID = 0x2
    NODEV = 0x4
    NOEXEC = 0x8
    BIND = 0x1000
    RECURSIVE = 0x4000
    PRIVATE = 0x40000
    SLAVE = 0x80000


class Capability(IntEnum):
    """The capabilities that somebody here keeps, as the kernel numbers them."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    FOWNER = 3
    FSETID = 4
    KILL = 5
    SETGID = 6
    SETUID = 7
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    SYS_ADMIN = 21


def unshare(kinds: Namespace) -> None:
    """Put the calling thread into new namespaces; a user namespace needs a single thread."""
    _check(_libc.unshare(ctypes.c_int(kinds)), "unshare")


def enter(fd: int, kind: Namespace) -> None:
    """Put the calling thread into the namespace that `fd` refers to (setns)."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def mount(source: Path | str, target: Path, kind: str, flags: Mount, data: str = "") -> None:
    answer = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags),
        data.encode(),
    )  # fmt: skip
    _check(answer, f"mount {target}")


def unmount(target: Path) -> None:
    """Take a mount away, at once for whoever looks, for its users when they are done."""
    mnt_detach, umount_nofollow = 2, 8
    answer = _libc.umount2(os.fsencode(target), ctypes.c_int(mnt_detach | umount_nofollow))
    _check(answer, f"umount {target}")


def switch_user(uid: int, gid: int, groups: Collection[int], *, keep: bool = False) -> None:
    """Become another user for good; as root only. `keep` keeps the capabilities all the same."""
    _prctl(_PR_SET_KEEPCAPS, int(keep))
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    # Otherwise our own /proc/self belongs to root, and the maps in it cannot be written.
    _prctl(_PR_SET_DUMPABLE, 1)


def limit_capabilities(kept: Collection[Capability]) -> None:
    """Keep no capabilities but those of `kept` that the calling thread has, nor get them back.

    Programs that it starts have them only as root.
    """
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _, permitted, _ = _capabilities()
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    try:
        for number in range(last + 1):
            if number not in kept:
                _prctl(_PR_CAPBSET_DROP, number)
    except PermissionError:
        # Who lacks SETPCAP cannot shrink the bound, and without privilege never meets it.
        pass
    wanted = sum(1 << number for number in kept) & permitted
    _set_capabilities(effective=wanted, permitted=wanted)


def raise_capabilities() -> None:
    """Make every permitted capability effective (they are not after `switch_user(keep=True)`)."""
    _, permitted, _ = _capabilities()
    _set_capabilities(effective=permitted, permitted=permitted)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


#: Effective, permitted, inheritable: the lower 32 bits of each, then the upper ones.
_Words = ctypes.c_uint32 * 6


def _capabilities() -> tuple[int, int, int]:
    """Effective, permitted, inheritable, as bit masks."""
    words = _Words()
    header = _Header(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capget(ctypes.byref(header), words), "capget")
    effective, permitted, inheritable = (words[i] | words[i + 3] << 32 for i in range(3))
    return effective, permitted, inheritable


def _set_capabilities(*, effective: int, permitted: int) -> None:
    masks = (effective, permitted, 0)
    low = [mask & 0xFFFFFFFF for mask in masks]
    words = _Words(*low, *(mask >> 32 for mask in masks))
    header = _Header(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(ctypes.byref(header), words), "capset")


def _prctl(option: int, argument: int) -> None:
    arguments = (ctypes.c_ulong(n) for n in (argument, 0, 0, 0))
    _check(_libc.prctl(ctypes.c_int(option), *arguments), f"prctl {option}")


def _check(answer: int, call: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
