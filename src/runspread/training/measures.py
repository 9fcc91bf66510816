"""``rs.training.study_measures``: what the networks of a study's runs do on their training data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._checks import check_keywords
from .._reading.opening import opened_studies, opens
from .._reading.outputs import CORRUPT_SHARD
from .._results import Excluded
from ..errors import CorruptShardError, InputError
from ..methods.spectra.norms import accuracy_of, margin_percentile, norm_measures, path_norm
from ..methods.spectra.sharpness import sharpness_measures
from ..methods.spectra.smoothing import svd_smoothing
from ..methods.spectra.study_measures import StudyMeasures, by_name
from ..studies.layout import RunMetadata
from ..studies.study import Study
from .build import plain_network
from .engine import Task
from .ensembles.conversion import filled
from .recipes import Recipe
from .shards import TaskCache
from .stack import build_seeded
from .study_networks import check_declared, own_recipe, recipe_of
from .torch_network import TorchNetwork, fold_batch_norm

_JACOBIAN_EXAMPLES = 512


class MeasureOptions(TypedDict, total=False):
    """Optional keywords of `study_measures`: which measures, and how many evaluations they take.

    Attributes
    ----------
    keep : sequence of float
        Shares of the singular directions, as in `svd_smoothing` (default 0.1, 0.2, 0.4).
    noise : bool
        Whether to search for the noise that the weights tolerate (default True; the longest part: hundreds of
        evaluations per run).
    noise_examples : int or None
        Examples for that search, the first ones; all that are evaluated when None (the default).
    worst_case : bool
        Whether to search for the worst case by gradient ascent too (default False).
    draws : int
        Draws of noise per level (default 10).
    """

    keep: Sequence[float]
    noise: bool
    noise_examples: int | None
    worst_case: bool
    draws: int


@dataclass(frozen=True, kw_only=True)
class _Options:
    """`MeasureOptions` with their defaults, and what is measured on."""

    examples: int | None
    seed: int
    keep: Sequence[float] = (0.1, 0.2, 0.4)
    noise: bool = True
    noise_examples: int | None = None
    worst_case: bool = False
    draws: int = 10


@opens("study", by=opened_studies)
def study_measures(
    study: Study,
    *,
    data: str | os.PathLike[str] | None = None,
    recipe: str | Recipe | None = None,
    examples: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[MeasureOptions],
) -> StudyMeasures:
    """Return the data-dependent measures of every run of a study, for `paradox` to judge beside the spectra.

    For each run: the training accuracy that truncated weight matrices leave (``SVD10``, ...), the output margin, norm
    measures, the Jacobian, and PAC-Bayes measures.

    Parameters
    ----------
    study : Study or path
        Trained by runspread, with weights; its recipe says which network, and which data.
    data : path, optional
        Where the recipe's data set lies.
    recipe : str or Recipe, optional
        The recipe of the runs, where their network is code of yours: a study's own mention of code is never followed.
    examples : int, optional
        Training examples to evaluate on, the first ones; all when None.
    seed : int
        Seed of the noise, the same for every run.
    progress : callable, optional
        Called with the number of runs done and in all.
    **options
        Which measures, as `MeasureOptions` says.

    Returns
    -------
    StudyMeasures
        Runs that did not complete, or have no weights, are counted and named.

    Raises
    ------
    InputError
        The study was trained elsewhere, is not one of classification, its data are not those it was trained on, or no
        run has weights.

    Notes
    -----
    Initial weights, for the distances, are those recorded at step 0 where there are any; else they are drawn again
    from the seed. Batch normalisation is folded into the layer before it for all but the truncation.

    References
    ----------
    Martin and Mahoney (2021), arXiv:2106.00734; Jiang et al. (2019); Dziugaite et al. (2020).

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,))
    >>> study = rs.train(small, runs=2, out=mkdtemp() + "/digits", workers=1)
    >>> len(rs.training.study_measures(study, examples=64).runs)
    2
    """
    check_keywords(options, MeasureOptions.__annotations__, "study_measures")
    chosen = _Options(examples=examples, seed=seed, **options)
    known = _checked_recipe(study, data, recipe)
    facts = [run for run in study.runs if run.status == "completed" and None in run.weights]
    if not facts:
        raise InputError(f"no completed run of {len(study.runs)} has final weights", "runs trained with keep_weights")
    tasks, rows, n_train = TaskCache(), list[dict[str, float]](), 0
    corrupt: dict[str, str] = {}
    for number, run in enumerate(facts, start=1):
        task = tasks.get(own_recipe(known, run), "cpu")
        task.check_fingerprint(str((study.recipe or {}).get("data_fingerprint", "")))
        try:
            rows.append(_Measured(study, run, task, chosen).measures())
        except CorruptShardError as error:
            corrupt[run.id] = f"{CORRUPT_SHARD}: {error.found}"
            if len(corrupt) == len(facts):
                raise
        n_train = examples or len(task.splits["train"].labels)
        if progress is not None:
            progress(number, len(facts))
    facts = [run for run in facts if run.id not in corrupt]
    return StudyMeasures(
        source=study.path.name,
        runs=tuple(run.id for run in facts),
        metrics={name: np.array([row[name] for row in rows]) for name in rows[0]},
        hyperparameters=by_name([run.hyperparameters for run in facts]),
        accuracy=by_name([run.accuracy for run in facts]),
        n_train=n_train,
        excluded=tuple(
            Excluded(run.id, corrupt.get(run.id) or ("no weights" if run.status == "completed" else run.status))
            for run in study.runs
            if run not in facts
        ),
    )


def _checked_recipe(study: Study, data: str | os.PathLike[str] | None, own: str | Recipe | None) -> Recipe:
    recipe = recipe_of(study, data, own)
    if recipe is None:
        raise InputError(
            "This study was not trained by rs.train, so its networks cannot be rebuilt",
            "",
            "For networks of your own, rs.methods.spectra has svd_smoothing, norm_measures and sharpness_measures.",
        )
    if recipe.loss != "cross_entropy":
        raise InputError(f"got a study with loss={recipe.loss!r}", "loss='cross_entropy'")
    return recipe


class _Measured:
    """One trained network on its training examples."""

    def __init__(self, study: Study, run: RunMetadata, task: Task, options: _Options) -> None:
        split, self.options = task.splits["train"], options
        n = options.examples or len(split.labels)
        if split.labels.ndim != 1 or not 0 < n <= len(split.labels):
            raise InputError(
                f"got {n} of {len(split.labels)} training examples with labels of {split.labels.ndim} axes",
                "at least one, no more than there are, each with one label",
            )
        self.inputs: NDArray[Any] = split.gather(torch.arange(n)).numpy()
        self.labels: NDArray[np.int64] = split.labels[:n].numpy()
        self.n_train = len(split.labels)
        self.module = self._module(task, study.weights(run))
        self.initial = self._module(task, study.weights(run, step=0) if 0 in run.weights else _drawn(task, run))

    @staticmethod
    def _module(task: Task, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
        shape, held = tuple(task.splits["train"].inputs.shape[1:]), [value.size for value in weights.values()]
        check_declared(task.recipe, shape, task.n_classes, held)
        network = plain_network(task.recipe, shape, task.n_classes)
        return filled(network, {name: torch.tensor(np.asarray(value)) for name, value in weights.items()}).eval()

    def measures(self) -> dict[str, float]:
        """Return all measures by name."""
        network, initial = (TorchNetwork(_folded(module)) for module in (self.module, self.initial))
        return {**self._smoothing(), **self._norms(network, initial.weights), **self._noise(network, initial.weights)}

    def _smoothing(self) -> dict[str, float]:
        network = TorchNetwork(self.module)
        found = svd_smoothing(
            network.weights, accuracy_of(network, self.inputs, self.labels), tuple(self.options.keep),
            groups=_groups(self.module),
        )  # fmt: skip
        return {f"SVD{kept.rstrip('%')}": float(value) for kept, value in zip(found.kept, found.accuracy, strict=True)}

    def _norms(self, network: TorchNetwork, initial: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        weights = network.weights
        margin = margin_percentile(network.logits(weights, self.inputs), self.labels)
        path = path_norm(network, weights, self.inputs.shape[1:])
        found = norm_measures(weights, self.n_train, initial=initial, margin=margin, path_norm=path).raw
        jacobian = network.jacobian_norm(weights, self.inputs[:_JACOBIAN_EXAMPLES])
        return {"margin": margin, **found, "log_path_norm": float(np.log(path)), "jacobian_norm": jacobian}

    def _noise(self, network: TorchNetwork, initial: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        if not (self.options.noise or self.options.worst_case):
            return {}
        n = self.options.noise_examples
        found = sharpness_measures(
            network.weights,
            network,
            self.inputs[:n],
            self.labels[:n],
            initial=initial,
            n_train=self.n_train,
            worst_case=self.options.worst_case,
            draws=self.options.draws,
            seed=self.options.seed,
        )
        radius = {} if found.radius is None else {"sharpness_radius": found.radius}
        return {"sigma": found.sigma, "sigma_magnitude": found.sigma_magnitude, **radius, **found.measures}


def _drawn(task: Task, run: RunMetadata) -> dict[str, NDArray[Any]]:
    """Return the weights that a run started from, drawn again from its seed."""
    module = build_seeded(task.build, run.seeds.init or 0)
    names = dict(plain_network(task.recipe, tuple(task.splits["train"].inputs.shape[1:]), task.n_classes).state_dict())
    return {name: value.detach().numpy() for name, value in module.state_dict().items() if name in names}


def _folded(module: nn.Module) -> nn.Module:
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())
    return fold_batch_norm(module) if normalises else module


def _groups(module: nn.Module) -> dict[str, int]:
    """Return the groups of convolutions that have more than one, by name of their weight."""
    convolutions = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.modules.conv._ConvNd)}
    return {f"{name}.weight": layer.groups for name, layer in convolutions.items() if layer.groups > 1}
