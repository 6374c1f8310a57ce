"""The commands of `landbridge lab`, in the order of its help."""

from __future__ import annotations

import typer

from . import change, look, migrate, raise_, servers

lab = typer.Typer(
    name="lab",
    help="A small cloud on this machine: networks that are real, with PostgreSQL in them.",
    epilog="Begin with: landbridge lab up examples/two-regions.toml",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_LAB = "Build and look"
_NETWORK = "Change the network"
_SERVERS = "Use the servers"
_REST = {"allow_extra_args": True, "ignore_unknown_options": True}

for _panel, _name, _function, _settings in (
    (_LAB, "up", raise_.up, {}),
    (_LAB, "status", look.status, {}),
    (_LAB, "probe", look.probe, {}),
    (_LAB, "meter", look.meter, {}),
    (_LAB, "draw", look.draw, {}),
    (_LAB, "down", raise_.down, {}),
    (_NETWORK, "grant", change.grant, {}),
    (_NETWORK, "revoke", change.revoke, {}),
    (_NETWORK, "attach", change.attach, {}),
    (_NETWORK, "detach", change.detach, {}),
    (_NETWORK, "line", change.line, {}),
    (_NETWORK, "unline", change.unline, {}),
    (_NETWORK, "bandwidth", change.bandwidth, {}),
    (_NETWORK, "whitelist", servers.whitelist, {}),
    (_SERVERS, "psql", servers.psql, {}),
    (_SERVERS, "exec", servers.execute, {}),
    (_SERVERS, "conninfo", servers.conninfo, {}),
    (_SERVERS, "migrate", migrate.migrate, _REST),
):
    lab.command(_name, rich_help_panel=_panel, context_settings=_settings)(_function)
