"""Evaluations of language models and agents: means and differences with error bars that say what they cover."""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
