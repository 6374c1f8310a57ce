"""Forms of actions: fields, what is entered, and what is wrong with it, beside its field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..api.parameters import Malformed
from ..cloud import CloudError
from ..cloud.remedies import on_page


class Kind(Enum):
    """How a field is filled in."""

    TEXT = "text"
    NUMBER = "number"
    PASSWORD = "password"
    CHOICE = "choice"
    """One of a list."""
    RADIO = "radio"
    """One of few, all seen at once."""
    CHECK = "check"
    """Yes or no; yes is `true`."""
    AREA = "area"
    FIXED = "fixed"
    """Shown, not to be changed; an option says what its value is called."""
    HIDDEN = "hidden"
    """What the form was made from, sent back with it."""


@dataclass(frozen=True)
class Option:
    """One choice of a field."""

    value: str
    label: str
    note: str = ""
    disabled: bool = False


@dataclass(frozen=True)
class Field:
    """One field of a form."""

    name: str
    """As the action's parameter is called."""
    label: str
    kind: Kind = Kind.TEXT
    help: str = ""
    options: tuple[Option, ...] = ()
    required: bool = False
    default: str = ""
    pattern: str = ""
    """The rule for what is entered, as a regular expression; checked as one types."""
    rule: str = ""
    """The same rule in words."""
    least: int | None = None
    most: int | None = None
    """Bounds of a number, or of the characters of a text."""
    unit: str = ""
    placeholder: str = ""
    autocomplete: str = "off"
    only_if: str = ""
    """`Other=value`: shown while another field has this value."""
    reload: bool = False
    """What else there is to choose depends on it: the form is asked for again."""


@dataclass
class Form:
    """Fields with what was entered."""

    fields: Sequence[Field]
    codes: Mapping[str, str] = field(default_factory=dict)
    """Code of a refusal -> the field that it is about."""
    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    """Field -> what is wrong with it; under the empty name, what is about none of them."""
    remedy: str = ""

    def filled(self, given: Mapping[str, str]) -> Form:
        """The form with what a browser sent; passwords are not put back into the page."""
        values = {
            each.name: each.default
            if each.kind is Kind.FIXED
            else given.get(each.name, "").strip("\r\n")
            for each in self.fields
        }
        return replace(self, values=values, errors={})

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.values.get(name, self._field(name).default)

    def arguments(self, *names: str) -> dict[str, str]:
        """What was entered, of the fields named, or of all."""
        return {name: text for name, text in self.values.items() if not names or name in names}

    def refuse(self, problem: CloudError) -> int:
        """Say a refusal beside its field, and what else is wrong; the status to answer with.

        Names of parameters become labels. The form of a parameter is told by the field's own rules.
        """
        labels = {each.name: each.label for each in self.fields}
        message, named = labelled(problem.message, labels)
        about = self.codes.get(problem.code, "")
        about = about if about in labels else named
        found = self._wrong()
        is_told = about in found or (found and not about)
        if not (isinstance(problem, Malformed) and is_told):
            found[about] = _sentence(message)
            long = {name: label for name, label in labels.items() if _is_long(name)}
            remedy = labelled(on_page(problem.remedy), long)[0]
            if about:
                found[about] = f"{found[about]} {remedy}".rstrip()
            else:
                self.remedy = remedy
        self.errors |= found
        return 422

    def check(self) -> bool:
        """Say what is wrong beside each field; whether nothing is."""
        self.errors = self._wrong()
        return not self.errors

    @property
    def reloads(self) -> bool:
        """Whether choices depend on others."""
        return any(each.reload for each in self.fields)

    def _wrong(self) -> dict[str, str]:
        """What can be seen to be wrong with fields as they are filled in."""
        found = {}
        for each in self.fields:
            if self._counts(each) and (said := _wrong(each, self.value(each.name))):
                found[each.name] = said
        return found

    def _counts(self, each: Field) -> bool:
        """Whether it is shown: another field may have to have one of some values for that."""
        other, _, wanted = each.only_if.partition("=")
        return not other or self.value(other) in wanted.split("|")

    def _field(self, name: str) -> Field:
        return next(each for each in self.fields if each.name == name)


def options(rows: Sequence[Any], value: str, *labels: str) -> tuple[Option, ...]:
    """A choice for each row of an answer: its `value`, and its `labels` joined."""
    return tuple(
        Option(str(row[value]), " · ".join(str(row[label]) for label in labels if row[label]))
        for row in rows
    )


def labelled(text: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """A text with labels for names of parameters, and the name that it has first, if any.

    A name is one only in its own spelling; what is plain lower case is a word.

    >>> labelled("Bandwidth is more than 5", {"Bandwidth": "Speed"})
    ('Speed is more than 5', 'Bandwidth')
    """
    first = ""

    def label(found: re.Match[str]) -> str:
        nonlocal first
        first = first or found[0]
        return labels[found[0]]

    known = sorted((name for name in labels if not name.islower()), key=len, reverse=True)
    names = "|".join(map(re.escape, known))
    return (re.sub(rf"\b(?:{names})\b", label, text), first) if names else (text, "")


def _is_long(name: str) -> bool:
    """Whether a parameter's name is no word of English, as `Name` is."""
    return not name[1:].islower()


def _wrong(each: Field, text: str) -> str:
    """What is wrong with what was entered, by the field's own rules; empty if nothing."""
    if not text.strip():
        check = each.kind is Kind.CHECK
        said = "Select this check box to go on." if check else f"{each.label} is needed."
        return said if each.required else ""
    if each.kind is Kind.NUMBER:
        if not re.fullmatch(r"-?\d{1,18}", text.strip(), re.ASCII):
            return f"{each.label} is no whole number."
        low, high = each.least, each.most
        fits = (low is None or int(text) >= low) and (high is None or int(text) <= high)
        return "" if fits else _bounds(each)
    try:
        fits = not each.pattern or re.fullmatch(each.pattern, text) is not None
    except re.error:  # only a browser knows what is meant
        fits = True
    return "" if fits else f"{each.label} is not right{': ' * bool(each.rule)}{each.rule or '.'}"


def _bounds(each: Field) -> str:
    if each.least is None or each.most is None:
        word, bound = ("most", each.most) if each.least is None else ("least", each.least)
        return f"{each.label} is at {word} {bound:,}."
    return f"{each.label} is from {each.least:,} to {each.most:,}."


def _sentence(message: str) -> str:
    is_word = message.partition(" ")[0].isalpha()  # an id is written as it is
    text = message[:1].upper() + message[1:] if is_word else message
    return text if text.endswith((".", "?", "!")) else f"{text}."
