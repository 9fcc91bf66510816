"""Ensembles: which members to choose, how good they are together, and what corruption does to them."""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
