"""Importers: runs that were trained and logged elsewhere become a study."""

from .._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
