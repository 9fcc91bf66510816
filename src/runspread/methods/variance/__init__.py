"""Variance of training: what of the spread between runs is real (Jordan, arXiv 2304.01910, and what follows)."""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
