"""The alpha-trimming level of a run (Banerjee et al. 2024, arXiv 2406.08307; closed form derived from 1903.08687)."""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
