"""Pages that are one form, and what asks twice before something is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ..forms import Field, Form
from ..visit import Visit

Crumbs = Sequence[tuple[str, str]]
_CONFIRM = "confirm"


@dataclass(frozen=True)
class Asked:
    """What a form is for, and where one comes from."""

    heading: str
    button: str
    back: str
    """Address."""
    crumbs: Crumbs
    intro: str = ""
    danger: bool = False

    def page(
        self, visit: Visit, form: Form, status: int = 200, template: str = "form.html",
        **facts: Any,
    ) -> Response:  # fmt: skip
        """The page, or the dialog, of a form."""
        return visit.page(
            template,
            status=status,
            heading=self.heading,
            crumbs=self.crumbs,
            intro=self.intro,
            form=form,
            button=self.button,
            danger=self.danger,
            back=self.back,
            **facts,
        )


def confirm(what: str, name: str) -> Form:
    """A form that asks to type a name before something is destroyed."""
    rule = f"Exactly: {name}"
    field = Field(
        _CONFIRM, f"Type {name} to {what} it", required=True, pattern=_exactly(name), rule=rule
    )
    return Form((field,))


def is_confirmed(form: Form, name: str) -> bool:
    """Whether the name was typed; otherwise the form says so."""
    if form.value(_CONFIRM).strip() == name:
        return True
    form.errors[_CONFIRM] = f"Type {name} to go on; nothing was changed."
    return False


def _exactly(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else f"\\u{{{ord(c):x}}}" for c in name)
