"""Contracts to which implementations of your own can be held, as base classes of tests.

One each for a source of outputs, a store of runs, an importer and an executor. They run under pytest, which is imported
only when one of them needs it.
"""

from .._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
