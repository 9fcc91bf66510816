"""One verb a question: what is given decides whether per-example methods or those of scores answer it.

The verbs are on top (``rs.compare``, ``rs.rank``, ``rs.plan``, ``rs.summary``); here are the keywords that they take.
"""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
