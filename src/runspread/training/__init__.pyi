from .ensembles.artifact import Ensemble, load_ensemble
from .ensembles.batch import TrainedBatchEnsemble, train_batch_ensemble
from .ensembles.cost import EnsembleCost
from .ensembles.from_study import ensemble, make_ensemble
from .ensembles.procedures import TrainedEnsemble, deep_ensemble, hyper_deep_ensemble
from .measures import study_measures
from .progress import TrainingProgress
from .recipes import Recipe, recipe, recipe_names
from .splits import load_split
from .torch_network import TorchNetwork, fold_batch_norm
from .until import TrainedUntil, train_until

__all__ = [
    "Ensemble",
    "EnsembleCost",
    "Recipe",
    "TorchNetwork",
    "TrainedBatchEnsemble",
    "TrainedEnsemble",
    "TrainedUntil",
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
