from .ensembles.artifact import Ensemble, load_ensemble
from .ensembles.batch import BatchEnsembleSettings, TrainedBatchEnsemble, train_batch_ensemble
from .ensembles.cost import EnsembleCost
from .ensembles.from_study import ensemble, make_ensemble
from .ensembles.procedures import (
    DeepEnsembleSettings,
    HyperDeepSettings,
    TrainedEnsemble,
    deep_ensemble,
    hyper_deep_ensemble,
)
from .execution import Execution
from .measures import MeasureOptions, study_measures
from .progress import TrainingProgress
from .recipes import Recipe, recipe, recipe_names
from .splits import load_split
from .torch_network import TorchNetwork, fold_batch_norm
from .until import TrainedUntil, TrainingDesign, train_until

__all__ = [
    "BatchEnsembleSettings",
    "DeepEnsembleSettings",
    "Ensemble",
    "EnsembleCost",
    "Execution",
    "HyperDeepSettings",
    "MeasureOptions",
    "Recipe",
    "TorchNetwork",
    "TrainedBatchEnsemble",
    "TrainedEnsemble",
    "TrainedUntil",
    "TrainingDesign",
    "TrainingProgress",
    "deep_ensemble",
    "ensemble",
    "fold_batch_norm",
    "hyper_deep_ensemble",
    "load_ensemble",
    "load_split",
    "make_ensemble",
    "recipe",
    "recipe_names",
    "study_measures",
    "train_batch_ensemble",
    "train_until",
]
