from .candidates import Candidates, read_candidates
from .corruptions.benchmark import CorruptionBenchmark, corruption_benchmark
from .corruptions.ood import OodDetection, ood_detection
from .corruptions.operators import corrupt, corruption_names
from .defaults import CandidateOptions, SelectionSettings, SizesSettings
from .disagreement import Diversity, diversity
from .greedy import CrossValidatedSelection
from .proper_scores import Scores, ensemble_probabilities, ensemble_scores
from .selection import EnsembleSelection, select_ensemble
from .sizes import EnsembleSizes, ensemble_sizes

__all__ = [
    "CandidateOptions",
    "Candidates",
    "CorruptionBenchmark",
    "CrossValidatedSelection",
    "Diversity",
    "EnsembleSelection",
    "EnsembleSizes",
    "OodDetection",
    "Scores",
    "SelectionSettings",
    "SizesSettings",
    "corrupt",
    "corruption_benchmark",
    "corruption_names",
    "diversity",
    "ensemble_probabilities",
    "ensemble_scores",
    "ensemble_sizes",
    "ood_detection",
    "read_candidates",
    "select_ensemble",
]
