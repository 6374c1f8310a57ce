"""A fabric whose driver lives in the daemon; needs no privilege itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address
from pathlib import Path as FilePath
from typing import Any, TypeVar

from ..codec import decode
from ..fabric import Capabilities, Endpoint, Meter, Observed, Path, ProbeAnswer
from ..things import Attachment, Instance, Line, TransitRouter, Vpc, Vswitch
from . import protocol

T = TypeVar("T")


class FabricClient:
    """`Fabric` over the socket of a daemon; may be used from many threads.

    Each call is a connection of its own, so that a daemon that was started again is found
    again. Beyond the errors of `Fabric`: NetworkFailed (network.daemon_absent,
    network.daemon_gone).
    """

    def __init__(self, socket: FilePath) -> None:
        self.socket = socket

    def capabilities(self) -> Capabilities:
        return self._ask(Capabilities, "capabilities")

    def ensure_vpc(self, vpc: Vpc) -> None:
        self._do("ensure_vpc", vpc=vpc)

    def ensure_vswitch(self, vswitch: Vswitch) -> None:
        self._do("ensure_vswitch", vswitch=vswitch)

    def ensure_endpoint(self, instance: Instance) -> Endpoint:
        return self._ask(Endpoint, "ensure_endpoint", instance=instance)

    def ensure_transit_router(self, router: TransitRouter) -> None:
        self._do("ensure_transit_router", router=router)

    def ensure_attachment(self, attachment: Attachment) -> None:
        self._do("ensure_attachment", attachment=attachment)

    def ensure_line(self, line: Line) -> None:
        self._do("ensure_line", line=line)

    def drop_vpc(self, id: str) -> None:
        self._do("drop_vpc", id=id)

    def drop_vswitch(self, id: str) -> None:
        self._do("drop_vswitch", id=id)

    def drop_endpoint(self, id: str) -> None:
        self._do("drop_endpoint", id=id)

    def drop_transit_router(self, id: str) -> None:
        self._do("drop_transit_router", id=id)

    def drop_attachment(self, id: str) -> None:
        self._do("drop_attachment", id=id)

    def drop_line(self, id: str) -> None:
        self._do("drop_line", id=id)

    def endpoint(self, instance: str) -> Endpoint:
        return self._ask(Endpoint, "endpoint", instance=instance)

    def path(self, client: str, server: str) -> Path:
        return self._ask(Path, "path", client=client, server=server)

    def probe(self, client: str, address: IPv4Address, port: int, timeout: float) -> ProbeAnswer:
        where: dict[str, Any] = {"client": client, "address": address, "port": port}
        return self._ask(ProbeAnswer, "probe", **where, timeout=timeout)

    def command(
        self, instance: str, command: Sequence[str], account: str = "", *, apart: bool = False
    ) -> list[str]:
        launcher = [sys.executable, "-P", "-m", "landbridge.network.inside"]
        options = [f"--as={account}"] if account else []
        options += ["--apart"] if apart else []
        return [*launcher, *options, str(self.socket), instance, "--", *command]

    def publish(self, instance: str, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        return self._ask(tuple[str, int], "publish", instance=instance, host=host, port=port)

    def unpublish(self, instance: str) -> None:
        self._do("unpublish", instance=instance)

    def meter(self, line: str) -> Meter:
        return self._ask(Meter, "meter", line=line)

    def observe(self) -> list[Observed]:
        return self._ask(list[Observed], "observe")

    def gc(self, valid: Collection[str]) -> list[Observed]:
        return self._ask(list[Observed], "gc", valid=valid)

    def status(self) -> list[str]:
        return self._ask(list[str], "status")

    def _ask(self, kind: type[T], verb: str, **arguments: Any) -> T:
        answer: T = decode(kind, ask(self.socket, verb, arguments))
        return answer

    def _do(self, verb: str, **arguments: Any) -> None:
        ask(self.socket, verb, arguments)


def ask(
    socket: FilePath,
    verb: str,
    arguments: dict[str, Any] | None = None,
    timeout: float | None = None,
) -> Any:
    """What the daemon answers, as JSON knows it, or its error raised.

    A daemon that says nothing for `timeout` seconds counts as gone.
    """
    with protocol.connect(socket, timeout) as connection:
        # Whom it refuses it has told so and left before the request is there.
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(protocol.request(verb, arguments or {}))
        try:
            with connection.makefile("rb") as stream:
                text = stream.readline()
        except OSError:
            text = b""
    return protocol.result(text)
