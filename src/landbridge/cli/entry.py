"""From arguments to an exit code: every error becomes one message, never a traceback.

Exit codes: 0 done, 1 failed, 2 wrong call, 3 the assessment found errors,
130 interrupted.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence

import typer
from typer.core import TyperGroup

from ..errors import LandbridgeError, UsageError
from . import app
from .environment import take_passwords
from .interrupt import INTERRUPTED, Interrupted
from .log import LogFile
from .output import Mode, Output, OutputFailed, OutputUnread

#: SQLSTATE of a server whose disk is full.
_DISK_FULL = "53100"


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code and has said everything there is to say."""
    in_json = "--json" in arguments
    output = Output(Mode.of(in_json, "--events" in arguments and not in_json))
    log = LogFile()
    logging.getLogger().addHandler(log)
    take_passwords()
    try:
        return _invoke(arguments or ["--help"])
    except typer.TyperException as error:
        said = " ".join(error.format_message().split()) or "a command is missing"
        return _fail(output, UsageError(said, remedy=_help_hint(error)))
    except LandbridgeError as error:
        return _fail(output, error)
    except KeyboardInterrupt:
        return _fail(output, Interrupted("interrupted"))
    except Exception as error:
        return _fail(output, _full_disk(error) or _internal(error, log))
    finally:
        logging.getLogger().removeHandler(log)


def _fail(output: Output, error: LandbridgeError) -> int:
    if isinstance(error, OutputUnread) and error.remedy is None:
        return error.exit_code
    try:
        output.error(error)
    except OutputUnread:
        pass
    except OutputFailed as unsaid:
        output.error(unsaid)
    return error.exit_code


def _invoke(arguments: Sequence[str]) -> int:
    command: TyperGroup = app.command()
    code = command.main(args=list(arguments), prog_name="landbridge", standalone_mode=False)
    if code == INTERRUPTED:  # typer's own translation of KeyboardInterrupt
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _help_hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "landbridge"
    group = context.command if context is not None else app.command()
    known = ""
    if isinstance(group, TyperGroup):
        known = f"Commands: {', '.join(group.commands)}. "
    return f"{known}See `{path} --help`."


def _full_disk(error: Exception) -> LandbridgeError | None:
    """What an error means that a full disk has led to, ours or a server's; None for others."""
    error = getattr(error, "orig", error)  # what SQLAlchemy has wrapped
    is_full = (
        (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))
        or getattr(error, "sqlstate", None) == _DISK_FULL
        or getattr(error, "sqlite_errorname", None) == "SQLITE_FULL"
    )
    if not is_full:
        return None
    said = " ".join(str(error).split())
    return LandbridgeError(
        f"the disk is full: {said}", id="disk.full", remedy="Make room and run the command again."
    )


def _internal(error: Exception, log: LogFile) -> LandbridgeError:
    logging.getLogger(__name__).error("unexpected", exc_info=error)
    where = (
        f"; the details are in {log.path}" if not log.failed else ", and the log is closed to us"
    )
    return LandbridgeError(
        f"an error inside Landbridge: {type(error).__name__}",
        id="internal",
        remedy=f"This is a defect of ours{where}.",
    )
