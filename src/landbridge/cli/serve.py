"""`landbridge serve`: the control plane as a service."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..network.choose import Network
from .output import Output

ListenOption = Annotated[
    str,
    typer.Option(
        "--listen", metavar="ADDRESS:PORT", help="Where to listen; port 0 takes a free one."
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="The state directory, instead of `$LANDBRIDGE_STATE`.",
        show_default=False,
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="A PostgreSQL database (`postgresql://USER@HOST/NAME`) instead of the file in the"
        " state directory, which remembers it. The password comes from PGPASSWORD or a passfile.",
        show_default=False,
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        metavar="FILE",
        help="Speak TLS with this certificate (PEM, with its chain).",
        show_default=False,
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-key",
        metavar="FILE",
        help="The private key of the certificate (PEM).",
        show_default=False,
    ),
]
NetworkOption = Annotated[
    Network, typer.Option("--network", help="What makes the networks; see docs/network.md.")
]
PrivateOption = Annotated[
    bool | None,
    typer.Option(
        "--private-sources/--no-private-sources",
        help="Tenants may, with `--no-private-sources` may not, migrate from servers at private"
        " addresses, or of this host, that are no instances. Of the networks `relay` and"
        " `external`, where this host connects to them.",
        show_default="with `--network external` they may",
    ),
]
NameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--console-name",
        metavar="NAME",
        help="A name that the console is reached by, besides addresses and `localhost`; may be"
        " given several times. The API answers to every name.",
        show_default=False,
    ),
]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        metavar="ADDRESS",
        help="A reverse proxy in front, or its network: its `X-Forwarded-For` and"
        " `X-Forwarded-Proto` are believed. May be given several times.",
        show_default=False,
    ),
]


def serve(
    listen: ListenOption = "127.0.0.1:8450",
    state: StateOption = None,
    database: DatabaseOption = None,
    tls_cert: CertificateOption = None,
    tls_key: KeyOption = None,
    network: NetworkOption = Network.AUTO,
    private_sources: PrivateOption = None,
    console_name: NameOption = None,
    proxy: ProxyOption = None,
) -> None:
    """Serve the API that the vendor's SDKs speak, until SIGTERM or Ctrl-C.

    One line on stdout says when it is ready; the log, one JSON object a line, goes to stderr.
    Killed in any way, it goes on where it was when it is started again.
    """
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together", id="serve.tls")
    from ..api.client import is_here
    from ..api.serving import Tls, check
    from ..api.serving import serve as run
    from ..cloud import Cloud, refuse_password, work
    from ..console.app import routes
    from ..migration.task import Tasks
    from ..network.connection import Connection
    from ..postgres.osaccount import OsAccount
    from .environment import taken_password

    output = Output()
    tls = Tls(tls_cert, tls_key) if tls_cert and tls_key else None
    proxies = [_network(each) for each in proxy or ()]
    names = {name.lower() for name in console_name or ()}
    if tls is None and not is_here(listen.rpartition(":")[0].strip("[]")):
        output.warn(f"passwords in calls to {listen} can be read on the way; use --tls-cert")
    if database is not None:
        refuse_password(database)
    where = state.absolute() if state else Tasks.default().root
    if not (where / "cloud").exists():
        check(listen, tls)  # what fails leaves no new folder behind
    OsAccount.for_servers().require_way(where, "serve.closed_folder")
    cloud = Cloud.open(where, database, taken_password("source"))
    try:
        fabric = Connection(where / "network", network)
        may = fabric.external is not None if private_sources is None else private_sources
        cloud = replace(cloud, external=fabric.external, private_sources=may)
        at_work = work.running(cloud, fabric)
        run(
            cloud, listen, tls, lambda url: output.line(f"landbridge: ready on {url}"),
            at_work, partial(routes, names=names), proxies,
        )  # fmt: skip
    finally:
        cloud.close()


def _network(proxy: str) -> str:
    try:
        return str(ip_network(proxy, strict=False))
    except ValueError:
        raise UsageError(f"--proxy {proxy}: no address, and no network", id="serve.proxy") from None
