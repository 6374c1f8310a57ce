"""The driver for a network that is somebody else's: it builds nothing and measures."""

from .driver import ExternalDriver
from .measure import Measured, Quality, measure

__all__ = ["ExternalDriver", "Measured", "Quality", "measure"]
