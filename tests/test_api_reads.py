"""What an action declares it also reads: a parameter without effect is not in the table."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import pytest

from landbridge.api.action import Action
from landbridge.api.table import ACTIONS


def functions(handler: Callable[..., Any]) -> list[FunctionType]:
    """The handler and every function of api/ that it names, directly or not."""
    found: list[FunctionType] = []
    todo: list[Any] = [handler]
    while todo:
        one = todo.pop()
        if isinstance(one, partial):
            todo += [one.func, *one.args, *one.keywords.values()]
        elif is_ours(one) and one not in found:
            found.append(one)
            todo += [one.__globals__.get(name) for name in names_in(one.__code__)]
            todo += [cell.cell_contents for cell in one.__closure__ or ()]
    return found


def is_ours(one: Any) -> bool:
    return isinstance(one, FunctionType) and one.__module__.startswith("landbridge.api")


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from names_in(constant)


def read_by(handler: Callable[..., Any]) -> set[str]:
    """The parameters that a handler reads, one by one or through a list of names."""
    found: set[str] = set()
    for function in functions(handler):
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        written = {
            ast.unparse(target): node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
        }
        for node in told(tree):
            found |= texts(written.get(ast.unparse(node), node), function)
    return found


def told(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that say which parameters are read."""
    through_names = "call[" in ast.unparse(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "call":
            yield node.slice
        elif isinstance(node, ast.comprehension) and through_names:
            yield node.iter
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "call.arguments.get":
            yield node.args[0]
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.args[0]) == "call":
            yield from node.args[1:]  # a helper is told: a name, or the facts of its rows


def texts(node: ast.expr, function: FunctionType) -> set[str]:
    """The text that an expression is, or the texts in the collection that it is."""
    if isinstance(node, ast.Dict):
        return {text for key in node.keys if key for text in texts(key, function)}
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
    }
    try:
        code = compile(ast.Expression(node), "<read>", "eval")
        value = eval(code, {**function.__globals__, **defaults})
    except Exception:
        return set()  # it depends on the call
    if isinstance(value, str):
        return {value}
    is_many = isinstance(value, tuple | list | Mapping)
    return {one for one in value if isinstance(one, str)} if is_many else set()


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_every_declared_parameter_is_read(action: Action) -> None:
    """One that has a single value is read by being held against it."""
    declared = {param.name for param in action.parameters if len(param.choices) != 1}
    assert declared - read_by(action.handler) == set()


def test_a_parameter_that_is_not_read_is_found() -> None:
    def handler(call: Any) -> dict[str, Any]:
        return {"Answer": call["Read"], "Unread": 1}

    handler.__module__ = "landbridge.api.any"
    assert read_by(handler) == {"Read"}
