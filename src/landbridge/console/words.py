"""What the API says, in words of the console: pages and buttons instead of actions.

Refusals and remedies are written for callers of the API, who have them as they are.
"""

from __future__ import annotations

import re

#: As the API has it -> as the console has it. Whole sentences where one action is not one page.
_SAID = {
    "(DescribeDBInstanceNetInfo; console: Database Connection)": "(Database Connection)",
    " (DescribeDBInstanceAttribute)": "",
    "DescribeAssessment of a new assessment gives": "the report of a new assessment gives",
    " (ModifyParameter)": " (Parameters)",
    ", or ForceSwitch=1 (ActivateMigrationTargetInstance)": "",
    "Forced switchover (the console)": "Switch over although the source accepts writes",
    "CancelMigration, then begin": "Cancel the migration, then begin",
    "CancelMigration, set": "Cancel the migration, set",
    "ModifySecurityIps; console: ": "",
    "CreateAccount with AccountType=Super; console: ": "",
    "ResetAccountPassword; console: ": "",
    "console: ": "",
}  # fmt: skip
_KNOWN = re.compile("|".join(re.escape(said) for said in sorted(_SAID, key=len, reverse=True)))
#: An action that does to one thing what a button does on its page: `(DeleteVpc)`.
_BUTTON = re.compile(r" \((?:Create|Delete|Disable|Revoke)[A-Z]\w+(?: makes one)?\)")


def plain(text: str) -> str:
    """A refusal or a remedy, for somebody who has pages before them.

    >>> plain("Delete one that is not needed (DeleteVpc).")
    'Delete one that is not needed.'
    """
    return _BUTTON.sub("", _KNOWN.sub(lambda found: _SAID[found[0]], text)).strip()
