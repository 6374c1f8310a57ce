"""What keeps open pages up to date: what is sent, when it goes on, and when it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from starlette.responses import HTMLResponse, Response, StreamingResponse

from landbridge.api.dispatch import Service
from landbridge.cloud import CloudError
from landbridge.console import app
from landbridge.console.live import MOST_OF_ONE, Streams
from landbridge.console.visit import Visit, Who

Look = Callable[[], Response]


def _page(text: str, status: int = 200, live: float = 0.01) -> Response:
    return HTMLResponse(text, status, {"Landbridge-Live": str(live)})


def _looks(*pages: Response) -> Look:
    """What a look answers, one after the other; the last page is no longer live."""
    rest: Iterator[Response] = iter(pages)
    return lambda: next(rest)


async def _sent(streams: Streams, look: Look) -> str:
    stream = streams.open(1, look, 0.01)
    assert isinstance(stream, StreamingResponse)
    return "".join([str(part) async for part in stream.body_iterator])


def _events(sent: str) -> list[tuple[str, str]]:
    """What a browser makes of a stream; the standard ends a line at CR LF, LF and CR."""
    found: list[tuple[str, str]] = []
    name, data = "message", []
    for line in re.split(r"\r\n|\n|\r", sent):
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data" or line == "data:":
            data.append(value)
        elif not line:
            found += [(name, "\n".join(data))] if data else []
            name, data = "message", []
    return found


@pytest.fixture
def streams() -> Streams:
    return Streams(lambda: False)


@pytest.mark.parametrize("end", ["\r", "\r\r", "\r\n\r\n", "\n\r"])
def test_text_of_a_databases_client_cannot_end_an_event(streams: Streams, end: str) -> None:
    text = f"<td>SELECT 1 /* x{end}event: gone{end}data: x{end}{end}*/</td>"
    sent = asyncio.run(_sent(streams, _looks(_page(text, live=0))))
    as_read = text.replace("\r\n", "\n").replace("\r", "\n")  # as HTML reads it, too
    assert _events(sent) == [("content", as_read), ("still", "")]


@pytest.mark.parametrize("status", [400, 403, 409, 429, 500, 503])
def test_a_passing_refusal_does_not_end_a_live_page(streams: Streams, status: int) -> None:
    refused = [_page("<h1>not now</h1>", status, live=0) for _ in range(3)]
    sent = asyncio.run(_sent(streams, _looks(_page("a"), *refused, _page("a"), _page("b", live=0))))
    assert _events(sent) == [
        ("content", "a"), ("away", ""), ("content", "a"), ("content", "b"), ("still", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("status", [303, 401, 404])
def test_a_page_ends_where_there_is_nothing_more_to_see(streams: Streams, status: int) -> None:
    sent = asyncio.run(_sent(streams, _looks(_page("a"), _page("", status))))
    assert _events(sent) == [("content", "a"), ("gone", "")]


@pytest.mark.parametrize(
    ("code", "form", "is_live"),
    [
        ("Throttling.User", {}, True),
        ("ServiceUnavailable", {}, True),
        ("Throttling.User", {"form_token": "x"}, False),
        ("DependencyViolation", {}, False),
    ],
)
def test_a_page_that_cannot_be_shown_now_comes_by_itself(
    code: str, form: dict[str, str], is_live: bool
) -> None:
    def refuse(_: Visit) -> Response:
        raise CloudError(code)

    who = Who(uid=1, account="a", user="ann", access_key_id=None, form_token="x")
    visit = Visit(cast(Service, None), who, "/console/", "", "127.0.0.1", form=form)
    page = app._answer(refuse, visit)
    text = bytes(page.body).decode()
    assert ('id="content" tabindex="-1" data-live' in text, "data-passing" in text) == (
        is_live,
    ) * 2
    visit.is_live = True
    sent = asyncio.run(
        _sent(Streams(lambda: False), _looks(app._answer(refuse, visit), _page("a", live=0)))
    )
    assert [name for name, _ in _events(sent)] == ["away", "content", "still"]


def test_no_more_streams_than_may_be_are_begun_at_once(streams: Streams) -> None:
    async def nothing(_: object = None) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def scenario() -> None:
        asked = [streams.open(1, lambda: _page("a", live=0), 1) for _ in range(MOST_OF_ONE + 5)]
        assert [one.status_code for one in asked] == [200] * MOST_OF_ONE + [503] * 5
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
        for one in asked[:MOST_OF_ONE]:
            await one(scope, nothing, nothing)  # type: ignore[arg-type]
        assert streams.open(1, lambda: _page("a"), 1).status_code == 200

    asyncio.run(scenario())
