"""The methods: pure functions from arrays to frozen results. No files, no torch, no printing."""

from .._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
