"""The step table agrees with the state table, and the worst things are said in it."""

from __future__ import annotations

from landbridge.migration.states import TABLE, State
from landbridge.migration.steps import STEPS


def test_steps_are_those_of_the_state_table_in_its_order() -> None:
    assert [step.name for step in STEPS] == [row.step for row in TABLE if row.step]


def test_every_step_has_an_undo_or_says_why_not() -> None:
    for step in STEPS:
        assert bool(step.undo) != bool(step.no_undo), step.name


def test_no_step_after_the_promotion_has_an_undo() -> None:
    after = [row.step for row in TABLE if row.state in (State.PROMOTED, State.FINISHED)]
    assert all(step.undo is None for step in STEPS if step.name in after)


def test_every_step_is_run_waited_in_or_done_with_the_one_before() -> None:
    assert [step.name for step in STEPS if step.run is None] == ["synchronize", "promote"]
    names = [step.name for step in STEPS]
    assert names[names.index("promote") - 1] == "drain"
