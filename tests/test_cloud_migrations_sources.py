"""Where a tenant's source may be: nothing opens connections into the operator's own network."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from landbridge.cloud import Cloud, accounts, vpcs
from landbridge.cloud.migrations import place
from landbridge.cloud.migrations.errand import _closed
from landbridge.cloud.migrations.foreign import plain
from landbridge.cloud.migrations.place import NOWHERE, Job, Verb, _is_here
from landbridge.errors import UsageError
from landbridge.network.fabric import Fabric, Isolation

#: No port of it is spoken to.
NAMES = {
    "public.example": "8.8.8.8", "vpc.example": "10.20.1.7", "lan.example": "192.168.1.5",
    "rebound.example": "127.0.0.1", "cloud.example": "169.254.169.254",
    "mapped.example": "::ffff:10.20.1.7", "ula.example": "fd00::5", "shared.example": "100.64.0.1",
    "loop6.example": "::1", "any.example": "0.0.0.0", "many.example": "224.0.0.1",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    known = socket.getaddrinfo

    def found(host: str, port: int, **more: Any) -> Any:
        if host.endswith(".example") and host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(NAMES.get(host, host), port, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)


def said(name: str, **more: Any) -> str:
    """Where a source of that name is looked for, or with which id it is refused."""
    source = {"host": name, "port": "5432", "user": "mover"}
    try:
        return str(
            Job(Verb.TEST.value, "", "", 15, source, **more).conninfo().parameters["hostaddr"]
        )
    except UsageError as refusal:
        assert refusal.id in NOWHERE and name in refusal.message + name
        return refusal.id


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(
    "name",
    ["rebound.example", "cloud.example", "loop6.example", "any.example", "many.example", "127.1",
     "2130706433"],
)  # fmt: skip
def test_this_host_and_what_is_no_host_are_never_a_source(name: str, private: bool) -> None:
    assert said(name, private=private) == "source.machine"


def test_a_name_of_an_address_in_a_vpc_is_refused_like_the_address() -> None:
    for name in ("10.20.1.7", "vpc.example", "mapped.example"):
        assert said(name, closed=("10.20.0.0/16",)) == "source.closed"
        assert said(name, closed=("10.20.1.7", "10.9.9.9")) == "source.closed"
    assert said("vpc.example", closed=("10.30.0.0/16",)) == "10.20.1.7"


def test_private_addresses_are_a_source_only_where_the_operator_lets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("lan.example", "vpc.example", "ula.example", "shared.example", "192.168.1.5"):
        assert said(name, private=False) == "source.private"
        assert said(name, private=True) == NAMES.get(name, name)
    assert said("public.example", private=False) == "8.8.8.8"
    monkeypatch.setattr(place, "_is_here", lambda _: True)
    assert said("public.example", private=False) == "source.private", "this host, by its own"
    assert said("public.example") == "8.8.8.8"


def test_a_name_that_leads_nowhere_now_is_not_looked_for_later() -> None:
    assert said("gone.example") == "source.unknown"


def test_an_address_of_this_host_is_known() -> None:
    assert _is_here(plain("127.0.0.1")) and not _is_here(plain("8.8.8.8"))


def test_where_addresses_are_made_up_blocks_of_all_vpcs_are_closed(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        for name, block in (("ann", "10.10.0.0/16"), ("ben", "10.20.0.0/16")):
            owner = accounts.create(session, name)
            vpcs.create_vpc(session, owner, "cn-hangzhou", cidr=block)

        def closed(isolation: Isolation) -> set[str]:
            fabric = SimpleNamespace(capabilities=lambda: SimpleNamespace(isolation=isolation))
            return set(_closed(session, cast(Fabric, fabric), "pgm-x"))

        assert closed(Isolation.COOPERATIVE) == {"10.10.0.0/16", "10.20.0.0/16"}
        assert closed(Isolation.KERNEL) == closed(Isolation.NONE) == set()
