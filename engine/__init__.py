"""Wayline's engine; imports nothing, so that any package may import any part of it alone."""

__version__ = "0.1.0"
