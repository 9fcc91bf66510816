"""Latent-state models of training dynamics: from metrics of many runs to a map of how training goes.

Source: Hu, Chen, Saphra, Cho, *Latent State Models of Training Dynamics*, TMLR 2023 (arXiv 2308.09543).
"""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
