"""The alpha-trimming level of a run (Banerjee et al. 2024, arXiv 2406.08307; closed form derived from 1903.08687).

Where what is: `nodes` solves for the level, for many candidates at once; `levels` is the level of two samples, with
thresholds and tied values; `resampling` (of examples) and `merged_values` (of runs) sort once and call `nodes`. The
verbs are in `typicality` (`trimming`), `representative`, `sameness`, `curve`, `examples` and `comparison`
(`trimming_scores`); `_reading/scalars.py` turns outputs into the numbers that are compared.
"""

from ..._namespace import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(__name__, __file__)
