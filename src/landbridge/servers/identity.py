"""The operating system's account of one server: as root a number of its own, else ourselves.

The numbers need no entry in /etc/passwd: a running server asks for none (initdb does, and
runs as the account for servers). They lie where systemd's guide leaves them unused.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from ..postgres.osaccount import OsAccount

_FIRST, _LAST = 1_900_000_000, 2_099_999_999
_PER_FOLDER = 100_000


def own_account(folder: Path, number: int) -> OsAccount:
    """The account of server `number` of the control plane in `folder`.

    The shared account for servers where we are not root, or the container that we are in
    does not know such numbers.
    """
    shared = OsAccount.for_servers()
    blocks = (_LAST + 1 - _FIRST) // _PER_FOLDER
    digest = hashlib.sha256(os.fsencode(folder.absolute())).digest()
    block = int.from_bytes(digest[:4], "big") % blocks
    uid = _FIRST + block * _PER_FOLDER + number % _PER_FOLDER
    if os.geteuid() != 0 or not _is_mapped(uid):
        return shared
    return OsAccount(str(uid), uid, uid, switch=True)


def is_own(account: OsAccount) -> bool:
    """Whether no other server has this account."""
    return account.switch and _FIRST <= account.uid <= _LAST


def _is_mapped(uid: int) -> bool:
    """Whether this user namespace has the number, as user and as group."""
    return all(any(uid in block for block in _maps(kind)) for kind in ("uid_map", "gid_map"))


@cache
def _maps(kind: str) -> tuple[range, ...]:
    """Read once: what a namespace has is written once."""
    lines = (map(int, line.split()) for line in Path(f"/proc/self/{kind}").read_text().splitlines())
    return tuple(range(begin, begin + count) for begin, _, count in lines)
