"""What names and descriptions may look like; the one place that knows.

Two generations live side by side. The older one (the CEN page of the cross-account
procedure) wants a letter first and only letters, digits, `_` and `-`. The newer one, of
the current actions, only forbids a web address. Letters are those of any script.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import CloudError

_ADDRESSES = ("http://", "https://")


@dataclass(frozen=True)
class Rule:
    """How long a text is, in characters, and what it may hold. Empty means none was given."""

    least: int
    most: int
    letter_first: bool = False
    plain: bool = False
    """Only letters, digits, `_` and `-`."""
    may_be_empty: bool = True

    def check(self, text: str | None, code: str, what: str = "the name") -> str:
        """The text, empty for None; CloudError with `code` and the broken rule otherwise."""
        if not text:
            if self.may_be_empty:
                return ""
            raise CloudError(code, f"{what} is empty")
        if broken := self._broken(text):
            raise CloudError(code, f"{what} {broken}")
        return text

    def _broken(self, text: str) -> str:
        if not self.least <= len(text) <= self.most:
            return f"must have {self.least} to {self.most} characters, not {len(text)}"
        if text.lower().startswith(_ADDRESSES):
            return "must not begin with http:// or https://"
        if self.letter_first and not text[0].isalpha():
            return "must begin with a letter"
        if self.plain and not all(c.isalpha() or c.isdecimal() or c in "_-" for c in text):
            return "may hold letters, digits, '_' and '-' only"
        if not text.isprintable():
            return "holds characters that cannot be printed"
        return ""


#: A CEN and a bandwidth plan: "2 to 128 characters ... must start with a letter".
CEN_NAME = Rule(2, 128, letter_first=True, plain=True)
CEN_DESCRIPTION = Rule(2, 256)
#: VPCs, vSwitches, transit routers, attachments.
NETWORK_NAME = Rule(1, 128)
NETWORK_DESCRIPTION = Rule(1, 256)
#: Instances, and what their database accounts are described as.
INSTANCE_DESCRIPTION = Rule(2, 255, letter_first=True)
ACCOUNT_DESCRIPTION = Rule(2, 256, letter_first=True)
