"""The whole procedure by clicks of A and B in the console, on real servers under load.

With LANDBRIDGE_PICTURES=FOLDER a picture of each step is kept there, as docs/console.md shows it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from fix_api import Tenant
from fix_console import Member, Person, Surfer, with_browser
from landbridge.cli.demo.console.guide import Guide, Shown
from landbridge.cli.demo.console.stage import Site, Stage
from landbridge.postgres.process import wait_until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
#: Steps that are looked at on a narrow screen, too.
_NARROW = ("1-3-connect-source", "2-1-whitelist", "3-5-report", "3-8-increment", "3-12-result")
_NETWORKS = [
    "auto",
    pytest.param(
        "relay",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(shutil.which("ip") is None, reason="auto is relay here"),
        ],
    ),
]


@contextmanager
def _staged(network: str) -> Iterator[Stage]:
    stage = Stage(network)
    try:
        stage.start_service("127.0.0.1:0")
        stage.add_accounts()
        for name in stage.sites:
            stage.build(name)
        stage.await_instances()
        stage.start_application()
        yield stage
    finally:
        stage.remove()


def _person(chromium: Browser, stage: Stage, site: Site) -> Person:
    surfer = Surfer(stage.url.partition("//")[2])
    who = {"account": site.account, "user": site.user, "password": site.password.reveal()}
    assert surfer.send("/console/sign-in", who).status == 303
    tenant = Tenant(surfer.endpoint, site.uid, site.key.key_id, "")
    return with_browser(chromium, surfer, Member(tenant, site.account, site.user))


@pytest.mark.parametrize("network", _NETWORKS)
def test_two_people_move_a_cluster_by_clicks(
    network: str, chromium: Browser, without_proxy: None
) -> None:
    with _staged(network) as stage:
        a, b = (_person(chromium, stage, site) for site in stage.sites.values())
        people = {a.page: a, b.page: b}
        for step in Guide(stage, a.page, b.page).steps():
            people[step.page].look(step.name, wide_only=step.name not in _NARROW)
        assert wait_until(lambda: stage.has_moved, 10)
        proof = stage.prove()
        assert proof.is_clean and proof.acknowledged > 1000
        for person in people.values():
            person.page.context.close()
            assert person.troubles == []
