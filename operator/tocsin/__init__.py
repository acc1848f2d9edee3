"""Tocsin turns a model's bad metrics into accountable action."""

from importlib.metadata import version

__version__ = version("tocsin")
