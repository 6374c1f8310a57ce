"""What asks an instance's server keeps neither writers nor other accounts waiting."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from landbridge.api.action import Action, Call, Lane, Product
from landbridge.api.app import _AT_ONCE
from landbridge.api.dispatch import ASKED_AT_ONCE, Ask, Service
from landbridge.api.logs import logger
from landbridge.cloud import Cloud, CloudError, accounts
from landbridge.cloud.turns import Turns


def ask(uid: int, name: str) -> Ask:
    return Ask(uid, None, f"landbridge.{name}", {}, "127.0.0.1", "here")


@pytest.fixture
def uids(cloud: Cloud) -> list[int]:
    with cloud.database.write() as session:
        return [accounts.create(session, name).uid for name in ("ann", "ben")]


def test_an_account_whose_servers_hang_leaves_room_for_others(
    cloud: Cloud, uids: list[int]
) -> None:
    ann, ben = uids
    answers, arrived = threading.Event(), threading.Semaphore(0)

    def hang(call: Call) -> dict[str, Any]:
        arrived.release()
        assert call.account.uid == ben or answers.wait(10)
        return {}

    slow = Action(Product.LANDBRIDGE, "Slow", "", hang, asks=True)
    seen = Action(
        Product.LANDBRIDGE, "Seen", "", lambda call: {"Seen": call.seen}, writes=True, look=hang
    )
    service = Service(cloud, (slow, seen), logger(io.StringIO()))
    assert {slow.lane, seen.lane} == {Lane.ASK}
    assert _AT_ONCE[Lane.ASK] >= 4 * ASKED_AT_ONCE
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        try:
            jobs = [
                pool.submit(service.perform, ask(ann, ("Slow", "Seen")[n % 2]))
                for n in range(ASKED_AT_ONCE)
            ]
            for _ in jobs:
                assert arrived.acquire(timeout=10)
            for name in ("Slow", "Seen"):
                with pytest.raises(CloudError) as refused:
                    service.perform(ask(ann, name))
                assert refused.value.code == "Throttling.User"
                service.perform(ask(ben, name))
            with cloud.database.write():  # none of them holds up a writer
                pass
        finally:
            answers.set()
        assert [job.result() for job in jobs] == [{}, {"Seen": {}}] * (ASKED_AT_ONCE // 2)
    service.perform(ask(ann, "Slow"))


def test_what_a_look_is_refused_the_action_decides(cloud: Cloud, uids: list[int]) -> None:
    def look(_: Call) -> None:
        raise CloudError("InvalidDBInstanceId.NotFound")

    done = Action(
        Product.LANDBRIDGE, "Done", "", lambda call: {"Seen": call.seen}, writes=True, look=look
    )
    service = Service(cloud, (done,), logger(io.StringIO()))
    assert service.perform(ask(uids[0], "Done")) == {"Seen": None}


def test_a_turn_ends_also_with_an_error() -> None:
    turns = Turns(1, "tries")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.taken(1):
            raise ZeroDivisionError
    with turns.taken(1), turns.taken(2), pytest.raises(CloudError), turns.taken(1):
        pass
    assert not turns._taken
