"""A switchover as its owner sees it while it happens: each part as soon as it is reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from landbridge.cloud.migrations.progress import Progress
from landbridge.cloud.migrations.timeline import switchover

_BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
_PHASES = ("look", "prepare", "close", "drain", "prove", "intent", "promote", "release")


def _at(ms: int) -> str:
    return (_BEGIN + timedelta(milliseconds=ms)).isoformat()


def _entry(ms: int, kind: str, **facts: Any) -> dict[str, Any]:
    return {"at": _at(ms), "kind": kind, **facts}


_JOURNAL = (
    _entry(0, "signal", name="switchover"),
    _entry(40, "state", state="fencing"),
    _entry(50, "step", name="fence", phase="begin"),
    _entry(60, "moment", name="close"),
    _entry(310, "moment", name="fenced"),
    _entry(330, "moment", name="arrived"),
    _entry(335, "moment", name="drained"),
    _entry(340, "step", name="promote", phase="begin", closing=_at(70), fenced=_at(310),
           drained=_at(335)),
    _entry(450, "step", name="promote", phase="end", write_outage_ms=380.0),
    _entry(1500, "step", name="release", phase="end"),
)  # fmt: skip


def _told(*entries: dict[str, Any]) -> dict[str, Any] | None:
    return switchover(Progress(entries=entries))


def _ended(told: dict[str, Any] | None) -> dict[str, float]:
    assert told is not None
    return {p["Name"]: p["Milliseconds"] for p in told["Phases"] if p["End"]}


def test_each_part_of_a_switchover_is_told_when_it_is_reached() -> None:
    seen = [tuple(_ended(_told(*_JOURNAL[:n]))) for n in range(1, len(_JOURNAL) + 1)]
    assert list(dict.fromkeys(seen)) == [_PHASES[:n] for n in range(len(_PHASES) + 1)]
    before = _told(*_JOURNAL[:7])
    assert before is not None and before["PointOfNoReturn"] is None


def test_what_was_told_on_the_way_stays_true() -> None:
    last: dict[str, float] = {}
    for n in range(1, len(_JOURNAL) + 1):
        now = _ended(_told(*_JOURNAL[:n]))
        assert last.items() <= now.items()
        last = now
    told = _told(*_JOURNAL)
    assert told is not None and told["WriteOutageMilliseconds"] == 380.0
    assert (told["PointOfNoReturn"], told["WritesAccepted"]) == (_at(340), _at(450))
    assert last["close"] == 250.0 and last["prove"] == 5.0


def test_a_switchover_that_was_refused_has_no_steps_and_a_new_one_begins_anew() -> None:
    assert _told() is None
    assert _told(_JOURNAL[0], _entry(30, "error", id="x", held="switchover")) is None
    undone = (*_JOURNAL[:5], _entry(320, "step", name="fence", phase="undone"),
              _entry(330, "error", id="x", held="switchover"))  # fmt: skip
    put_back = _told(*undone)
    assert put_back is not None and put_back["Undone"] and list(_ended(put_back))[-1] == "close"
    late = _told(*_JOURNAL[:8], _entry(400, "step", name="fence", phase="undone"))
    assert late is not None and late["PointOfNoReturn"] is None
    again = _told(*undone, _entry(900, "signal", name="switchover"))
    assert again is not None and not again["Undone"] and _ended(again) == {}


def test_a_record_without_moments_is_told_by_its_steps() -> None:
    """Of a version before, and where somebody else promoted the destination."""
    told = _told(*(entry for entry in _JOURNAL if entry["kind"] != "moment"))
    assert told is not None
    assert _ended(told) == {
        "look": 50.0, "prepare": 20.0, "close": 240.0, "drain": 25.0, "prove": 0.0, "intent": 5.0,
        "promote": 110.0, "release": 1050.0,
    }  # fmt: skip
