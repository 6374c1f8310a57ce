"""What of the source's configuration comes along, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from ...postgres.hotstandby import HOT_STANDBY
from ...postgres.units import count
from ..facts import Facts
from ..lines import conf_line
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import listing, programs, server

_FILES = ("config_file", "hba_file", "ident_file")
_SET = ("configuration file", "command line", "environment variable", "global")
#: Categories of pg_settings that belong to a host: nothing of them is carried over.
_OF_THE_HOST = (
    "Connections and Authentication /",
    "File Locations",
    "Reporting and Logging /",
    "Replication /",
    "Error Handling",
)
#: Written by Landbridge, told by another check, or able to hold a secret.
_ELSEWHERE = frozenset(
    (
        "listen_addresses", "port", "unix_socket_directories", "hba_file", "ident_file",
        "max_connections", "max_wal_senders", "primary_conninfo", "primary_slot_name",
        "promote_trigger_file", "synchronous_standby_names", "ssl_passphrase_command",
        "krb_server_keyfile",
        "data_directory",
        "config_file",
    )
)  # fmt: skip


def hot_standby(facts: Facts) -> Iterator[Verdict]:
    """The destination takes the larger of its own and the source's value."""
    of, given = server(facts), facts.plan.settings
    own = {n: int(given[n]) for n in HOT_STANDBY if given.get(n, "").isdigit()}
    values = {n: max(own.get(n, 0), of.number(n)) for n in HOT_STANDBY}
    lower = {n: v for n, v in own.items() if v < of.number(n)}
    if lower:
        said = ", ".join(f"{n} = {v} (the source has {of.number(n)})" for n, v in lower.items())
        yield warning(
            f"Settings given for the destination are lower than the source's: {said}. A standby"
            " does not run with less, so the source's values hold until the promotion, and yours"
            " from the next restart after it.",
            "Nothing to repair if that is what you want; otherwise give at least these.",
            Fix("conf", "destination", tuple(conf_line(n, values[n]) for n in lower)),
            values=values,
        )
    else:
        said = ", ".join(f"{n} {v}" for n, v in values.items())
        yield passed(f"the destination gets at least the source's: {said}", values=values)


def refused(facts: Facts) -> Iterator[Verdict]:
    """What would otherwise end the start of the destination, after the copy."""
    said = facts.destination.refused_settings
    for name, words in said.items():
        yield error(
            f"{name} = {facts.plan.settings[name]} is refused by PostgreSQL"
            f" {programs(facts).version}: {words}.",
            f"Give another value for {name}, or none (--set).",
            setting=name,
        )
    clash = None if said else _clash(facts)
    if clash is not None:
        yield error(clash, "Give values that go together (--set).")
    elif not said:
        yield passed(f"{count(len(facts.plan.settings), 'setting')} given, none is refused")


def _clash(facts: Facts) -> str | None:
    """What PostgreSQL checks about several settings, and only when it starts."""
    of, given = server(facts), facts.plan.settings

    def number(name: str) -> int:
        return int(given[name]) if given.get(name, "").isdigit() else of.number(name)

    parts = ["superuser_reserved_connections", "reserved_connections"]
    if of.major < 12:
        parts.append("max_wal_senders")
    if not {"max_connections", *parts}.isdisjoint(given):
        reserved = sum(map(number, parts))
        if reserved >= number("max_connections"):
            return (
                f"max_connections would be {number('max_connections')}, of which {reserved} are"
                f" reserved ({', '.join(p for p in parts if number(p))}): the server would not"
                " start."
            )
    if given.get("wal_level") == "minimal":
        return "wal_level = minimal has no WAL for a standby: the server would not start."
    return None


def files(facts: Facts) -> Iterator[Verdict]:
    of = server(facts)
    data = of.value("data_directory")
    outside = {name: of.value(name) for name in _FILES if of.value(name)}
    outside = {n: f for n, f in outside.items() if data and not _within(f, data)}
    main = of.value("config_file")
    auto = f"{data}/postgresql.auto.conf"
    included = sorted({s.file for s in of.settings.values() if s.file} - {main, auto})
    if outside or included:
        said = []
        if outside:
            said.append(f"outside the data directory {data}: {', '.join(outside.values())}")
        if included:
            said.append(f"included: {listing(included)}")
        yield info(
            f"The source's configuration is not all in its data directory ({'; '.join(said)}), so"
            " a copy would not start with it. Landbridge writes the destination's configuration"
            " itself.",
            "Nothing to repair. What lies in those files beside settings (certificates, service"
            " files, passwords) has to be brought by you.",
            outside=outside,
            included=included,
        )


def _within(file: str, folder: str) -> bool:
    return PurePosixPath(folder) in PurePosixPath(file).parents


#: What ssl = on may be written as.
_ON = ("on", "true", "yes", "1")
_WITH_CERTIFICATE = (
    "landbridge migrate ... --set ssl=on --set ssl_cert_file=/path/server.crt"
    " --set ssl_key_file=/path/server.key",
)


def tls(facts: Facts) -> Iterator[Verdict]:
    of, given = server(facts), facts.plan.settings
    carried = of.value("ssl") == "on" and not of.value("ssl_cert_file").startswith("/")
    if given.get("ssl") in _ON and "ssl_cert_file" not in given and not carried:
        yield error(
            "ssl is to be on, but no certificate is given for the destination, and none comes"
            " over with the source's data directory: the server would not start.",
            "Name both files, or leave out --set ssl=on.",
            Fix("shell", "destination", _WITH_CERTIFICATE),
        )
        return
    if of.value("ssl") != "on" or given.get("ssl") in _ON:
        yield passed("the destination offers what the source offers")
        return
    used = {n: of.value(n) for n in ("ssl_cert_file", "ssl_key_file", "ssl_ca_file") if of.value(n)}
    without = "" if programs(facts).tls else " Its server programs here are built without TLS."
    yield warning(
        "The source offers TLS; its certificate is made for another host and is not carried over,"
        f" so the destination will not offer TLS and clients with sslmode=require will fail."
        f"{without}",
        "Give the destination a certificate for its own name.",
        Fix(
            "shell",
            "destination",
            _WITH_CERTIFICATE,
        ),
        source=used,
    )


def left(facts: Facts) -> Iterator[Verdict]:
    """Settings of the source that the destination does not get."""
    found = {
        s.name: s.value
        for s in server(facts).settings.values()
        if s.origin in _SET
        and (s.category.startswith(_OF_THE_HOST) or s.value.startswith("/"))
        and s.value != s.boot
        and s.name not in _ELSEWHERE
        and not s.name.startswith("ssl")
        and s.name not in facts.plan.settings
    }
    if found:
        yield info(
            f"{count(len(found), 'setting')} of the source's host (connections, logging, paths)"
            f" will not be carried over: {listing(found)}.",
            "Give those you want with --set NAME=VALUE; paths have to exist here.",
            Fix("conf", "destination", tuple(conf_line(n, v) for n, v in sorted(found.items()))),
            settings=sorted(found),
        )
