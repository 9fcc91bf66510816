"""Climb cheaply, certify honestly: rules of a hill climb over noisy runs, and its certificate on fresh ones."""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
