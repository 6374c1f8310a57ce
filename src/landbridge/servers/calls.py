"""Takes system calls away from a process and its children, for good (seccomp).

A server needs no namespaces of its own. With them a program could leave the network namespace
by which it is found again, and be root in one of its own, which opens much of the kernel.
Nor does it need sockets of other families: those of AF_VSOCK are bound to no network namespace.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from dataclasses import dataclass

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
#: Offsets in `struct seccomp_data`: number, architecture, low half of the first argument.
_NUMBER, _ARCH, _FIRST = 0, 4, 16
#: Every CLONE_NEW* that clone() knows.
_NEW = 0x7E020000
_X32 = 0x40000000


@dataclass(frozen=True)
class _Machine:
    """Numbers of one architecture's system calls."""

    arch: int
    clone: int
    refused: tuple[int, ...]
    """unshare, setns, userfaultfd, perf_event_open, bpf."""
    sockets: tuple[int, ...]
    """socket, socketpair."""


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 56, (272, 308, 323, 298, 321), (41, 53)),
    "aarch64": _Machine(0xC00000B7, 220, (97, 268, 282, 241, 280), (198, 199)),
}
#: Alike everywhere: clone3, whose arguments a filter cannot see, and io_uring_setup.
_UNKNOWN = (435, 425)
#: Families of sockets; a server looks its own addresses up with the last.
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)


def drop() -> bool:
    """Take them away from the calling process; False where this machine has no filters.

    Asks for no_new_privs, which has to be set before. Raises OSError.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    program = b"".join(struct.pack("HBBI", *step) for step in _program(machine))
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    arguments = (ctypes.c_ulong(_MODE_FILTER), ctypes.c_char_p(head))
    if _libc.prctl(_PR_SET_SECCOMP, *arguments, ctypes.c_ulong(0), ctypes.c_ulong(0)):
        number = ctypes.get_errno()
        if number == errno.EINVAL:  # the kernel was built without
            return False
        raise OSError(number, f"seccomp: {os.strerror(number)}")
    return True


def _program(machine: _Machine) -> list[tuple[int, int, int, int]]:
    """Instructions: code, steps to skip if true, if false, operand."""
    absent = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    refused = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    steps = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, machine.arch), absent, (_LOAD, 0, 0, _NUMBER)]
    steps += [(_AT_LEAST, 0, 1, _X32), absent]
    for number in _UNKNOWN:
        steps += [(_EQUAL, 0, 1, number), absent]
    for number in machine.refused:
        steps += [(_EQUAL, 0, 1, number), refused]
    for number in machine.sockets:
        steps += _of_family(number)
    steps += [(_EQUAL, 0, 3, machine.clone), (_LOAD, 0, 0, _FIRST), (_ANY_BIT, 0, 1, _NEW), refused]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def _of_family(number: int) -> list[tuple[int, int, int, int]]:
    """Decides about a call whose first argument is a family of sockets; skipped for others."""
    count = len(_FAMILIES)
    known = [(_EQUAL, count - i, 0, int(family)) for i, family in enumerate(_FAMILIES)]
    unknown = (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT)
    steps = [(_LOAD, 0, 0, _FIRST), *known, unknown, (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(steps), number), *steps]
