"""Which cluster goes where, and how: the options that `assess` and `migrate` share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from typing import Any, get_type_hints

from . import options


@dataclass(frozen=True)
class Move:
    """The options as they were typed, in the order of the help."""

    source: options.SourceArgument
    to: options.To
    port: options.Port = 5432
    replace_empty: options.ReplaceEmpty = False
    setting: options.Settings = None
    tablespace: options.Tablespaces = None
    archive_command: options.ArchiveCommand = None
    max_rate: options.MaxRate = None
    wal_policy: options.WalPolicyOption = options.WalPolicy.protect_source
    wal_budget: options.WalBudget = options.WAL_BUDGET
    fence: options.FenceOption = None
    fence_as: options.FenceAs = None
    reindex: options.Reindex = False

    def chosen(self) -> dict[str, Any]:
        """Fields of `migration.task.Request` that are fields of `DestinationPlan` too.

        Raises UsageError for a `--set` or a `--tablespace` that cannot be read.
        """
        return {
            "replaces_empty_cluster": self.replace_empty,
            "settings": options.settings(self.setting),
            "tablespaces": options.tablespaces(self.tablespace),
            "archive_command": self.archive_command, "max_rate": self.max_rate,
            "wal_policy": self.wal_policy.value, "wal_budget": self.wal_budget,
            "reindex": self.reindex,
            "fence": self.fence.value if self.fence else "sync" if self.fence_as else "manual",
        }  # fmt: skip


def takes_move(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command whose first parameter is a `Move` its options instead."""
    own = inspect.signature(command, eval_str=True).parameters
    hints = get_type_hints(Move, include_extras=True)
    taken = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(Move)
    ]

    @wraps(command)
    def call(**values: Any) -> int:
        return command(Move(**{p.name: values.pop(p.name) for p in taken}), **values)

    rest = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in list(own.values())[1:]]
    call.__signature__ = inspect.Signature([*taken, *rest])  # type: ignore[attr-defined]
    return call
