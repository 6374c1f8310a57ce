"""From a call's text to typed, validated arguments.

Lists arrive as `Name.1`, objects as `Name.1.Part`, both also as JSON under `Name`. An
empty text counts as absent, as in the cloud. What no parameter asks for is ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..cloud import CloudError, Secret
from .action import Action, Kind, Param

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_POSITION = re.compile(r"[1-9][0-9]{0,8}")
_BOOLEANS = {"true": True, "false": False}


class Malformed(CloudError):
    """A value is missing, no number, or out of its bounds: what the form of a page tells, too."""


def parse(action: Action, given: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of an action: every parameter it understands, typed.

    Raises CloudError: MissingParameter, or the parameter's own code.
    """
    if any("\0" in name + text for name, text in given.items()):
        raise CloudError("InvalidParameter", "a parameter holds the character NUL")
    texts = {name: text for name, text in given.items() if text}
    return {p.name: _read(p, p.name, texts) for p in action.understood}


def _read(param: Param, path: str, texts: dict[str, str]) -> Any:
    """The value of a parameter at `path`."""
    if param.many:
        return _list(param, path, texts)
    if param.parts:
        return _object(param, path, texts)
    if (text := texts.get(path)) is None:
        if param.required:
            raise Malformed("MissingParameter", f"{path} is needed")
        return param.default
    return _value(param, path, text)


def _list(param: Param, path: str, texts: dict[str, str]) -> list[Any]:
    texts = _with_json(param, path, texts, list)
    begin = f"{path}."
    after = {name[len(begin) :].partition(".")[0] for name in texts if name.startswith(begin)}
    positions = sorted((n for n in after if _POSITION.fullmatch(n)), key=int)
    if param.required and not positions:
        raise Malformed("MissingParameter", f"{path}.1 is needed")
    if len(positions) > param.many:
        raise CloudError(param.code, f"{path} has more than {param.many} entries")
    read = _object if param.parts else _element
    return [read(param, f"{path}.{position}", texts) for position in positions]


def _element(param: Param, path: str, texts: dict[str, str]) -> Any:
    if path not in texts:
        raise CloudError(param.code, f"{path} is no plain value")
    return _value(param, path, texts[path])


def _object(param: Param, path: str, texts: dict[str, str]) -> dict[str, Any] | None:
    texts = _with_json(param, path, texts, dict)
    if not any(name.startswith(f"{path}.") for name in texts):
        if param.required:
            raise Malformed("MissingParameter", f"{path} is needed")
        return None
    return {part.name: _read(part, f"{path}.{part.name}", texts) for part in param.parts}


def _value(param: Param, path: str, text: str) -> Any:
    if param.choices and text not in param.choices:
        raise CloudError(param.code, f"{path} is none of {', '.join(param.choices)}")
    match param.kind:
        case Kind.INTEGER:
            return _integer(param, path, text)
        case Kind.BOOLEAN:
            if (found := _BOOLEANS.get(text.lower())) is None:
                raise CloudError(param.code, f"{path} is neither true nor false")
            return found
        case Kind.NAMES:
            names = [name.strip() for name in text.split(",")]
            if param.most is not None and len(names) > param.most:
                raise CloudError(param.code, f"{path} has more than {param.most} entries")
            return names
        case Kind.SECRET:
            return Secret(text)
        case Kind.STRUCTURE:
            return _json(param, path, text)
    return text


def _integer(param: Param, path: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise Malformed(param.code, f"{path} is no whole number")
    number = int(text)
    if param.least is not None and number < param.least:
        raise Malformed(param.code, f"{path} is less than {param.least}")
    if param.most is not None and number > param.most:
        raise Malformed(param.code, f"{path} is more than {param.most}")
    return number


def _with_json(
    param: Param, path: str, texts: dict[str, str], form: type[list[Any]] | type[dict[str, Any]]
) -> dict[str, str]:
    """`texts`, and what the JSON under `path` says, if there is any, taken apart."""
    if path not in texts:
        return texts
    value = _json(param, path, texts[path])
    if not isinstance(value, form):
        raise CloudError(param.code, f"{path} is JSON of another form")
    return texts | _flat(path, value)


def _flat(path: str, value: Any) -> dict[str, str]:
    """JSON as the texts that say the same; `null` and the empty text are absent."""
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value, 1)
        found: dict[str, str] = {}
        for name, member in members:
            found |= _flat(f"{path}.{name}", member)
        return found
    if value is None or value == "":
        return {}
    return {path: value if isinstance(value, str) else json.dumps(value)}


def _json(param: Param, path: str, text: str) -> Any:
    try:
        value = json.loads(text)
        plain = json.dumps(value, ensure_ascii=False)
        plain.encode()
    except (ValueError, RecursionError):
        raise CloudError(param.code, f"{path} is not JSON") from None
    if "\\u0000" in plain:
        raise CloudError(param.code, f"{path} holds the character NUL")
    return value
