"""The driver for a network that is somebody else's: it builds nothing and measures."""

from .driver import ExternalDriver, Seen, has_address
from .measure import Measured, Quality, measure

__all__ = ["ExternalDriver", "Measured", "Quality", "Seen", "has_address", "measure"]
