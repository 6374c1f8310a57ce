"""Pages that are one form, and what asks twice before something is lost."""

from __future__ import annotations

import re
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


def confirming(name: str, *fields: Field) -> Form:
    """A form that wants a name typed."""
    rule = f"Exactly {name}."
    return Form(
        (*fields, Field(_CONFIRM, f"Type {name} to go on", required=True,
                        pattern=re.escape(name).replace(r"\-", "-"), rule=rule))
    )  # fmt: skip


def is_confirmed(form: Form, name: str) -> bool:
    """Whether the name was typed; otherwise the form says so."""
    if form.value(_CONFIRM).strip() == name:
        return True
    form.errors[_CONFIRM] = f"Type {name}; nothing was changed."
    return False
