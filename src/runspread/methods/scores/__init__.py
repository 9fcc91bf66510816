"""One number per run: compare, rank and plan from the scores that everybody has."""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
