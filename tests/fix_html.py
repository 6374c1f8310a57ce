"""What a page is without scripts and without eyes: read, used and found one's way by its HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}
_CONTROLS = {"input", "select", "textarea"}
_REFERS = ("for", "aria-describedby", "aria-labelledby", "list")
Attributes = dict[str, str]


@dataclass
class _Form:
    attributes: Attributes
    names: set[str] = field(default_factory=set)
    can_be_sent: bool = False


@dataclass
class Plain(HTMLParser):
    """A page; `troubles` is what somebody without scripts or eyes would stumble over."""

    text: str
    links: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _form: _Form | None = None
    _ids: list[str] = field(default_factory=list)
    _referred: list[str] = field(default_factory=list)
    _labelled: set[str] = field(default_factory=set)
    _controls: list[Attributes] = field(default_factory=list)
    _levels: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()
        if self._levels[:1] != [1] or self._levels.count(1) != 1:
            self.troubles.append(f"first headings: {self._levels}")
        if any(b - a > 1 for a, b in pairwise(self._levels)):
            self.troubles.append(f"headings out of order: {self._levels}")
        self.troubles += [f"id {id} twice" for id in {*self._ids} if self._ids.count(id) > 1]
        self.troubles += [f"no element {id}" for id in {*self._referred} - {*self._ids}]
        for each in self._controls:
            if each.get("id", "") not in self._labelled and "aria-label" not in each:
                self.troubles.append(f"a field without a label: {each}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._note(tag, given)
        if tag == "form":
            self._form = _Form(given)
        if self._form is not None:
            self._form.names.add(given.get("name", ""))
            is_button = tag == "button" and given.get("type", "submit") == "submit"
            self._form.can_be_sent |= is_button
        if tag in _CONTROLS and given.get("type") != "hidden" and "label" not in self._open:
            self._controls.append(given)
        if "hx-post" in given and tag != "form" and self._form is None:
            self.troubles.append(f"sent by a script alone: {given}")
        if tag not in _VOID:
            self._open.append(tag)

    def _note(self, tag: str, given: Attributes) -> None:
        if tag[0] == "h" and tag[1:].isdigit():
            self._levels.append(int(tag[1:]))
        if tag == "a" and given.get("href", "").startswith("/"):
            self.links.append(given["href"].partition("#")[0])
        if tag == "a" and "href" not in given:
            self.troubles.append(f"a link that leads nowhere: {given}")
        if "id" in given:
            self._ids.append(given["id"])
        if tag == "label" and "for" in given:
            self._labelled.add(given["for"])
        for name in _REFERS:
            self._referred += given.get(name, "").split()
        if any(name == "style" or name.startswith("on") for name in given):
            self.troubles.append(f"what the policy forbids: {given}")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag == "form" and self._form is not None:
            self._judge(self._form)
            self._form = None

    def _judge(self, form: _Form) -> None:
        if not form.attributes.get("action") or "method" not in form.attributes:
            self.troubles.append(f"a form that goes nowhere: {form.attributes}")
        if form.attributes.get("method") == "post" and "form_token" not in form.names:
            self.troubles.append(f"a form without its token: {form.attributes}")
        if not form.can_be_sent:
            self.troubles.append(f"a form that cannot be sent: {form.attributes}")
