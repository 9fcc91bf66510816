from .analysis import dynamics
from .comparison import MapComparison, compare_maps
from .convergence import Convergence, convergence_index
from .defaults import DynamicsSettings
from .maps import MapEdge, TrainingMap, training_map
from .metrics_of_weights import weight_metrics
from .outcome import OutcomeRegression, outcome_regression
from .paths import trajectory_dissimilarity
from .prefix import PrefixPrediction, predict_from_prefix
from .prepare import PreparedSequences, prepare_sequences
from .result import TrainingDynamics
from .stability import MapStability, map_stability

__all__ = [
    "Convergence",
    "DynamicsSettings",
    "MapComparison",
    "MapEdge",
    "MapStability",
    "OutcomeRegression",
    "PrefixPrediction",
    "PreparedSequences",
    "TrainingDynamics",
    "TrainingMap",
    "compare_maps",
    "convergence_index",
    "dynamics",
    "map_stability",
    "outcome_regression",
    "predict_from_prefix",
    "prepare_sequences",
    "training_map",
    "trajectory_dissimilarity",
    "weight_metrics",
]
