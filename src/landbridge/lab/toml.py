"""Tables of a TOML file, read key by key; every refusal names the file and the key's path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..errors import LandbridgeError, UsageError

T = TypeVar("T")

_WORDS = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
ID = re.compile(r"[a-z][a-z0-9-]{0,39}")
ID_RULE = "At most 40 small letters, digits and hyphens, a letter first."


class Table:
    """One table; `done` refuses the keys that nobody has asked for."""

    def __init__(self, file: Path, path: str, values: dict[str, Any]) -> None:
        self.file = file
        self.path = path
        self._values = values
        self._known: list[str] = []

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of `key`, or `default`; UsageError if it is absent or of another kind."""
        found = self.find(key, kind)
        if found is not None:
            return found
        if default is None:
            self.refuse(key, "is missing", f"Give {_WORDS[kind]}.")
        return default

    def find(self, key: str, kind: type[T]) -> T | None:
        """The value of `key`, or None; UsageError if it is of another kind."""
        self._known.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            self.refuse(key, f"{value!r} is not {_WORDS[kind]}", f"Give {_WORDS[kind]}.")
        return value

    def strings(self, key: str) -> list[str]:
        """A list of strings; empty if the key is absent."""
        found: list[Any] = self.take(key, list, [])
        for item in found:
            if not isinstance(item, str):
                self.refuse(key, f"{item!r} is not a string", "Give a list of strings.")
        return found

    def read(self, key: str, reader: Callable[[str], T]) -> T:
        """A string that `reader` understands; its refusal is repeated with the key's path."""
        text = self.take(key, str)
        return self.guard(key, lambda: reader(text))

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables `[key.ID]` with their ids."""
        for id, values in self.take(key, dict, {}).items():
            path = f"{self.path}{key}.{id}"
            if not isinstance(values, dict):
                self.refuse(f"{key}.{id}", f"{values!r} is not a table", f"Write [{path}].")
            if not ID.fullmatch(id):
                self.refuse(f"{key}.{id}", "cannot be an id", ID_RULE)
            yield id, Table(self.file, f"{path}.", values)

    def items(self, key: str) -> Iterator[Table]:
        """The tables of an array `[[key]]`."""
        for number, values in enumerate(self.take(key, list, []), 1):
            if not isinstance(values, dict):
                self.refuse(key, f"{values!r} is not a table", f"Write [[{self.path}{key}]].")
            yield Table(self.file, f"{self.path}{key}[{number}].", values)

    def guard(self, key: str, action: Callable[[], T]) -> T:
        """What `action` gives; an error in it is raised anew, naming the key's path."""
        try:
            return action()
        except LandbridgeError as error:
            raise type(error)(
                f"{self.file}: {self._path(key)}: {error.message}",
                id=error.id, remedy=error.remedy,
            ) from None  # fmt: skip

    def done(self) -> None:
        """Refuse every key that was not asked for."""
        for key in self._values:
            if key not in self._known:
                self.refuse(key, "is no key here", f"Allowed: {', '.join(self._known)}.")

    def refuse(self, key: str, what: str, remedy: str) -> NoReturn:
        """Raise UsageError (lab.plan) about a key."""
        raise UsageError(f"{self.file}: {self._path(key)}: {what}", id="lab.plan", remedy=remedy)

    def _path(self, key: str) -> str:
        return f"{self.path}{key}" if key else self.path.rstrip(".")
