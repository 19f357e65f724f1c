"""The version, which everyone may import."""

__version__ = "0.1.0"
