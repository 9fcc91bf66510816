from .compare import compare_scores
from .comparison import ScoreComparison
from .prior import Prior, atlas, atlas_prior, fit_prior

__all__ = [
    "Prior",
    "ScoreComparison",
    "atlas",
    "atlas_prior",
    "compare_scores",
    "fit_prior",
]
