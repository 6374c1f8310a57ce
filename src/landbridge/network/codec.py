"""Dataclasses as JSON knows them, and back: what each field is, is read from its annotation."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Collection, Sequence
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Union


@cache
def types_of(owner: Any) -> dict[str, Any]:
    """The annotations of a class or function."""
    return typing.get_type_hints(owner)


def encode(value: Any) -> Any:
    """A thing, or any argument or answer of a `Verbs`, as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, IPv4Address | IPv4Network):
        return str(value)
    if isinstance(value, str | int | float | None):
        return value
    return [encode(item) for item in value]


def decode(kind: Any, raw: Any) -> Any:
    """What `encode` made of a `kind`; raises ValueError or TypeError where it cannot be one."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, Union):
        others = [k for k in inner if k is not type(None)]
        return None if raw is None else decode(others[0], raw)
    if origin is tuple and Ellipsis not in inner:
        return tuple(decode(k, item) for k, item in zip(inner, _a(list, raw), strict=True))
    if origin in (tuple, list, Collection, Sequence):
        items = [decode(inner[0], item) for item in _a(list, raw)]
        return tuple(items) if origin is tuple else items
    if dataclasses.is_dataclass(kind):
        return _decode_fields(kind, _a(dict, raw))
    if kind is float:
        if not math.isfinite(_a((int, float), raw)):
            raise ValueError(f"{raw} is no number")
        return float(raw)
    if kind in (str, int, bool, type(None)):
        return _a(kind, raw)
    return kind(_a(str, raw))  # An Enum, an address or a block.


def _decode_fields(kind: Any, raw: dict[str, Any]) -> Any:
    known = types_of(kind)
    if unknown := raw.keys() - known.keys():
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**{name: decode(known[name], value) for name, value in raw.items()})


def _a(kind: Any, raw: Any) -> Any:
    if not isinstance(raw, kind) or (isinstance(raw, bool) and kind is not bool):
        raise TypeError(f"{str(raw)[:80]!r} is not of type {kind}")
    return raw
