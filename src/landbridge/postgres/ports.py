"""Whether a port is free for a server on this host."""

from __future__ import annotations

import errno
import socket


def taken_address(listen: str, port: int) -> str | None:
    """The first address of `listen` (as listen_addresses has it) where `port` is taken.

    PostgreSQL starts when it gets one address of several, and the clients of the others
    reach whoever has the port there. What cannot be looked up is left for it to name.
    """
    for name in (part.strip() for part in listen.split(",")):
        for host in ("0.0.0.0", "::") if name == "*" else (name,):
            for family, address in _addresses(host, port):
                if _is_taken(family, address):
                    return address[0]
    return None


def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    if not host:
        return []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [(family, (str(address[0]), port)) for family, _, _, _, address in found]


def _is_taken(family: int, address: tuple[str, int]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As PostgreSQL does: connections that linger are no obstacle, listeners are.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False
