"""Networks that hold a whole ensemble: batch-ensemble and hyper-batch layers, converters, training, MC dropout.

Needs torch (``pip install 'runspread[train]'``), which is imported when ``runspread.nn`` is first used.
"""

from ._bounds import Hyperparameter, LogUniformBounds, tuning_loss
from ._dropout import RowDropout, mc_dropout
from ._ensembles import (
    BatchEnsemble,
    HyperBatchEnsemble,
    HyperBatchOptions,
    batch_ensemble,
    hyper_batch_ensemble,
    layer_hyperparameters,
)
from ._functional import tile
from ._layers import BatchConv2d, BatchLinear, HyperBatchConv2d, HyperBatchLinear
from ._log import EnsembleTraining
from ._settings import TrainingSettings
from ._training import smoothed_cross_entropy, train_ensemble

__all__ = [
    "BatchConv2d",
    "BatchEnsemble",
    "BatchLinear",
    "EnsembleTraining",
    "HyperBatchConv2d",
    "HyperBatchEnsemble",
    "HyperBatchLinear",
    "HyperBatchOptions",
    "Hyperparameter",
    "LogUniformBounds",
    "RowDropout",
    "TrainingSettings",
    "batch_ensemble",
    "hyper_batch_ensemble",
    "layer_hyperparameters",
    "mc_dropout",
    "smoothed_cross_entropy",
    "tile",
    "train_ensemble",
    "tuning_loss",
]
