"""The driver whose networks are the kernel's own: namespaces, bridges, veths, token buckets."""

from .driver import NetnsDriver
from .trial import obstacles

__all__ = ["NetnsDriver", "obstacles"]
