"""A call that reads asks nobody: no server, no network. What asks is known by what it can reach."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from landbridge.api.action import Action, Lane
from landbridge.api.table import ACTIONS
from landbridge.cloud import daemon
from landbridge.cloud.instances import logs
from landbridge.postgres import private

#: All ways out of the service, and into files that a server writes.
OUTSIDE = {private.connect, daemon.fabric, logs.search}


class Reached:
    """The functions of ours that one can come to: by the names in it, of methods by name alone."""

    def __init__(self, first: Callable[..., Any]) -> None:
        self.functions: set[FunctionType] = set()
        self._classes: set[type] = set()
        self._names = {"__init__", "__post_init__", "__enter__"}
        self._follow(first)
        known = -1
        while known < len(self.functions):
            known = len(self.functions)
            for each in list(self._classes):
                for name, method in list(vars(each).items()):
                    if name in self._names:
                        self._follow(method)

    def _follow(self, one: Any) -> None:
        if isinstance(one, partial):
            for part in (one.func, *one.args, *one.keywords.values()):
                self._follow(part)
        elif isinstance(one, property):
            self._follow(one.fget)
        elif isinstance(one, type):
            self._classes |= {each for each in one.__mro__ if is_ours(each)}
        else:
            one = inspect.unwrap(getattr(one, "__func__", one))
            if isinstance(one, FunctionType) and is_ours(one) and one not in self.functions:
                self.functions.add(one)
                self._names |= set(names_in(one.__code__))
                for named in mentioned(one):
                    self._follow(named)


def is_ours(one: Any) -> bool:
    return str(getattr(one, "__module__", "")).startswith("landbridge.")


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from names_in(constant)


def mentioned(function: FunctionType) -> Iterator[Any]:
    """What a function names; of our modules what it may take from them."""
    names = set(names_in(function.__code__))
    for named in (function.__globals__.get(name) for name in names):
        if not isinstance(named, ModuleType):
            yield named
        elif named.__name__.startswith("landbridge."):
            yield from (vars(named)[name] for name in names & vars(named).keys())
    for cell in function.__closure__ or ():
        yield cell.cell_contents


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_what_asks_and_nothing_else_has_the_lane_of_those_that_wait(action: Action) -> None:
    """What is looked at before a transaction may ask, and nothing in it."""
    asks = bool(Reached(action.look or action.handler).functions & OUTSIDE)
    assert asks == (action.lane is Lane.ASK)
    assert not (action.writes and Reached(action.handler).functions & OUTSIDE)
