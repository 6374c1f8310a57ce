"""Start on the copy: a hot standby of the source with our configuration, not the source's.

::

    settings.py       which of the source's settings are taken over (a pure choice)
    connection.py     primary_conninfo and what it needs beside the data directory
    configuration.py  the files: postgresql.conf, hba, recovery; what came with the copy set aside
    lifecycle.py      start, undo, start again with other settings
    hold.py           replay stopped at a position for a verification, and let go again
"""

from __future__ import annotations

from .configuration import brought, final_settings, standby_settings, write_final
from .lifecycle import reconfigure, start_standby, undo_standby

__all__ = [
    "brought",
    "final_settings",
    "reconfigure",
    "standby_settings",
    "start_standby",
    "undo_standby",
    "write_final",
]
