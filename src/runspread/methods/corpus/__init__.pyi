from .analysis import MetricAnalysis, ParadoxAnalysis
from .associations import Association, TauSplit
from .granulated import GridScores, grid_scores
from .verbs import corpus_table, paradox

__all__ = [
    "Association",
    "GridScores",
    "MetricAnalysis",
    "ParadoxAnalysis",
    "TauSplit",
    "corpus_table",
    "grid_scores",
    "paradox",
]
