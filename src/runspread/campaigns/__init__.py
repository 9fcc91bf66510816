"""Campaigns of tries: an append-only ledger, the rules of the gate over it, and commands that train."""

from .._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
