"""`landbridge service remove`: nothing of a service is left on the machine, and only of it."""

from __future__ import annotations

import os
from pathlib import Path

from fix_api import Serve
from fix_cli import Cli
from fix_cloud import Databases
from fix_migration import Site
from fix_servers import Servers
from landbridge.network.choose import Wanted, choose


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name or work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            place = (process / "cwd").readlink()
        except OSError:
            continue
        if str(folder) in f"{words} {place}" and int(process.name) != os.getpid():
            found.append(words)
    return found


def mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if str(folder) in line]


def namespaces() -> set[int]:
    """The network namespaces that some process of this machine is in."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.add((process / "ns/net").stat().st_ino)
        except OSError:
            continue
    return found


def test_nothing_is_left_of_a_removed_service(serve: Serve, servers: Servers, cli: Cli) -> None:
    state = servers.root / "state"
    state.mkdir()
    running = serve(state)
    site = Site(running.tenant("ann"), "10.10.0.0/16")
    site.build()
    site.until("Running")
    server = int((state / f"instances/{site.id}/data/postmaster.pid").read_text().split()[0])
    place = Path(f"/proc/{server}/ns/net").stat().st_ino
    refused = cli("service", "remove", "--state", state, "--yes", "--json")
    assert refused.object["error"]["id"] == "serve.running"
    running.kill()
    assert processes_of(state), "the servers and the network live on"
    if choose(Wanted.AUTO).driver is Wanted.NETNS:
        assert place in namespaces()

    unasked = cli("service", "remove", "--state", state)
    assert unasked.code == 2 and site.id in unasked.out + unasked.err
    assert processes_of(state), "nothing was done"
    done = cli("service", "remove", "--state", state, "--yes", "--json")
    assert done.code == 0, done.out
    assert [it["id"] for it in done.object["removed"]["servers"]] == [site.id]
    assert not processes_of(state)
    assert not mounts_below(state)
    assert place == Path("/proc/self/ns/net").stat().st_ino or place not in namespaces()
    assert not list(state.glob("[!s]*")), "all but the log that the test keeps there"
    again = cli("service", "remove", "--state", state, "--yes", "--json")
    assert again.object["error"]["id"] == "service.none"


def test_tables_on_a_server_go_too_and_what_is_not_the_services_stays(
    serve: Serve, tmp_path: Path, cli: Cli, new_url: str, shared_databases: Databases
) -> None:
    name = new_url.split("?")[0].rsplit("/", 1)[1]
    shared_databases.server.sql("CREATE TABLE of_somebody (n int)", name)
    running = serve(tmp_path, "--database", new_url)
    running.tenant("ann")
    running.end()
    (tmp_path / "lab").mkdir()
    done = cli("service", "remove", "--state", tmp_path, "--yes", "--json")
    assert (done.code, done.object["removed"]["accounts"]) == (0, 1)
    tables = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert shared_databases.server.sql(tables, name) == [("of_somebody",)]
    assert (tmp_path / "lab").exists() and not (tmp_path / "cloud").exists()
