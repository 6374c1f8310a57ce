"""What an instance can be, in the vendor's codes and in the words of its console."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """What an instance is doing. `value` is the code of the API, `label` the console's."""

    label: str
    meaning: str

    def __new__(cls, code: str, label: str, meaning: str) -> Status:
        made = object.__new__(cls)
        made._value_ = code
        made.label = label
        made.meaning = meaning
        return made

    CREATING = "Creating", "Creating", "Its server is being made."
    RUNNING = "Running", "Running", "Its server answers."
    REBOOTING = "Rebooting", "Restarting", "Its server is stopped and started again."
    RESIZING = (
        "DBInstanceClassChanging", "Changing Class", "Its server restarts as another class.",
    )  # fmt: skip
    STOPPED = "Stopped", "Stopped", "Its server ended and does not start; it is tried again."
    DELETING = "Deleting", "Deleting", "Its server and its data are being removed."
    # The vendor documents no code for these two labels of its console; the codes are those
    # that come nearest.
    MAINTAINING = (
        "INS_MAINTAINING", "Maintaining Instance", "It is assessed as a migration's destination.",
    )  # fmt: skip
    IMPORTING = (
        "ImportingFromOthers", "Migrating Data In", "Its server belongs to a migration.",
    )  # fmt: skip


BY_CODE = {status.value: status for status in Status}
#: While in these the server is looked after: started when it is down, given what is wanted.
KEPT = (Status.RUNNING, Status.STOPPED, Status.MAINTAINING)


class Role(Enum):
    """What an instance is to others; the vendor's DBInstanceType."""

    PRIMARY = "Primary"
    READ_ONLY = "Readonly"
    """A standby of a primary: follows it, never takes writes."""


class LockMode(Enum):
    """Why an instance refuses writes, by itself."""

    UNLOCK = "Unlock"
    DISK_QUOTA = "LockByDiskQuota"
    """Its data have reached the size of its storage."""

    @property
    def locks(self) -> bool:
        """Whether it refuses writes."""
        return self is not LockMode.UNLOCK


class AccountType(Enum):
    """What a database account may do."""

    SUPER = "Super"
    """Privileged: CREATEROLE, CREATEDB, REPLICATION, monitors and ends sessions; no superuser."""
    NORMAL = "Normal"


class AccountState(Enum):
    """What became of an order about a database account."""

    DONE = "done"
    """The server has it as ordered."""
    CREATE = "create"
    RESET = "reset"
    """It is to have another password."""
    DELETE = "delete"
