"""Pages that are one form, and what asks twice before something is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError
from ..forms import Field, Form
from ..visit import Visit

Crumbs = Sequence[tuple[str, str]]
#: Shows a form, filled and with a status where it was refused.
Show = Callable[[Visit, Form, int], Response]
CONFIRM = "confirm"


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
    return Form((confirm_field(what, name),))


def confirm_field(what: str, name: str, only_if: str = "") -> Field:
    """Where the name is typed; `only_if` as in `Field`."""
    words, rule = f"Type {name} to {what} it", f"Exactly: {name}"
    return Field(CONFIRM, words, required=True, pattern=_exactly(name), rule=rule, only_if=only_if)


def confirmed(
    visit: Visit, what: str, name: str, show: Show, act: Callable[[], object]
) -> Response | None:
    """Do `act` if the name was typed; without it, and where `act` is refused, ask again.

    What is asked with is `show`; None once it is done.
    """
    form = confirm(what, name).filled(visit.form)
    if not is_typed(form, name):
        form.errors[CONFIRM] = f"Type {name} to go on; nothing was changed."
        return show(visit, form, 422)
    try:
        act()
    except CloudError as problem:
        return show(visit, form, form.refuse(problem))
    return None


def is_typed(form: Form, name: str) -> bool:
    """Whether the name was typed as it is seen: a page shows any space between words as one."""
    return form.value(CONFIRM).split() == name.split()


def _exactly(name: str) -> str:
    words = (
        "".join(c if c.isalnum() or c in "-_" else f"\\u{{{ord(c):x}}}" for c in word)
        for word in name.split()
    )
    return r"\s*" + r"\s+".join(words) + r"\s*"
