"""The driver that needs no privilege: every connection goes through a listener of ours."""

from .driver import RelayDriver

__all__ = ["RelayDriver"]
