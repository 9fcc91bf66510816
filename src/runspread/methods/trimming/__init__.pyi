from ..._reading.margins import clip_gaps, logit_gap, margins
from .comparison import TrimmingScores, trimming_scores
from .curve import TrimmingCurve, trimming_curve
from .defaults import ScalarOptions, TrimmingSettings
from .examples import TrimmedExamples, trimmed_examples
from .levels import Trimming, optimal_trimming, trimmed_distance, trimming_level, trimming_level_grid
from .representative import RepresentativeSize, representative_size
from .sameness import SameModel, same
from .typicality import TrimmingLevels, trimming

__all__ = [
    "RepresentativeSize",
    "SameModel",
    "ScalarOptions",
    "TrimmedExamples",
    "Trimming",
    "TrimmingCurve",
    "TrimmingLevels",
    "TrimmingScores",
    "TrimmingSettings",
    "clip_gaps",
    "logit_gap",
    "margins",
    "optimal_trimming",
    "representative_size",
    "same",
    "trimmed_distance",
    "trimmed_examples",
    "trimming",
    "trimming_curve",
    "trimming_level",
    "trimming_level_grid",
    "trimming_scores",
]
