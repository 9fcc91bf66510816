"""Accuracy, likelihood and calibration of predictors on corrupted images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...._checks import check_choice, check_labels
from ...._reading.probabilities import Floats
from ...._results import Result, Table
from ....errors import InputError
from ..proper_scores import ensemble_scores
from .operators import OPERATORS, SEVERITIES, corrupt, corruption_names

Predictor = Callable[[NDArray[np.uint8]], Any]
METRICS = ("accuracy", "nll", "ece")


@dataclass(frozen=True, eq=False, kw_only=True)
class CorruptionBenchmark(Result):
    """Scores of predictors on clean and corrupted images.

    Attributes
    ----------
    predictors : tuple of str
        Names.
    corruptions : tuple of str
        Names.
    severities : tuple of int
        Severities.
    clean : dict of str to ndarray [predictors]
        ``accuracy``, ``nll`` and ``ece`` on the images as they are.
    corrupted : dict of str to ndarray [predictors, corruptions, severities]
        The same on corrupted images.
    n_examples : int
        Images.
    """

    picture = "..plots_corruptions:plot_corruptions"

    predictors: tuple[str, ...]
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    clean: dict[str, Floats]
    corrupted: dict[str, Floats]
    n_examples: int

    def mean(self, metric: str) -> Floats:
        """Return the plain mean of a metric over all corruptions and severities [predictors] (cA, cNLL, cECE)."""
        return self.corrupted[check_choice(metric, "metric", METRICS)].mean(axis=(1, 2))

    def table(self) -> Table:
        """Return a row for each predictor and severity; severity 0 is clean."""
        rows = [(p, level) for p in range(len(self.predictors)) for level in range(len(self.severities) + 1)]

        def value(metric: str, predictor: int, level: int) -> float:
            if level == 0:
                return float(self.clean[metric][predictor])
            return float(self.corrupted[metric][predictor, :, level - 1].mean())

        columns = {metric: [value(metric, p, level) for p, level in rows] for metric in METRICS}
        return Table(
            {
                "predictor": [self.predictors[p] for p, _ in rows],
                "severity": [0 if level == 0 else self.severities[level - 1] for _, level in rows],
                "accuracy": columns["accuracy"],
                "NLL": columns["nll"],
                "ECE": columns["ece"],
            },
            formats={"accuracy": ".2%", "NLL": ".4f", "ECE": ".4f"},
        )

    def sentence(self) -> str:
        """Return the means over corruptions in words."""
        parts = [
            f"{name} goes from accuracy {self.clean['accuracy'][p]:.2%} and NLL {self.clean['nll'][p]:.4f} to "
            f"{self.mean('accuracy')[p]:.2%} and {self.mean('nll')[p]:.4f}"
            for p, name in enumerate(self.predictors)
        ]
        return (
            f"Over {len(self.corruptions)} corruptions at {len(self.severities)} severities of {self.n_examples} "
            f"images, {'; '.join(parts)}. These are plain means over the corrupted sets, not the mCE that divides by a "
            "reference network's errors, and the images are ours, not the published files."
        )


def corruption_benchmark(
    predictors: Predictor | Mapping[str, Any] | Any,
    images: NDArray[Any],
    labels: ArrayLike,
    *,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    kind: str = "auto",
    seed: int = 0,
) -> CorruptionBenchmark:
    """Score predictors on images corrupted in 15 ways at five severities, as CIFAR-10-C does.

    Parameters
    ----------
    predictors : callable, Ensemble, or mapping of str to these
        From uint8 images [images, channels, height, width] to probabilities or logits, [images, classes] or
        [members, images, classes]; anything with a ``predict`` method will do. All see the same corrupted images.
    images : ndarray [images, channels, height, width]
        uint8, or floating point from 0 to 1; one or three channels.
    labels : array_like of int [images]
        True classes.
    corruptions : sequence of str, optional
        Some of `corruption_names`; all by default.
    severities : sequence of int
        Some of 1 to 5.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the predictors return, where it does not tell.
    seed : int
        Seed of the corruptions.

    Returns
    -------
    CorruptionBenchmark
        Scores by predictor, corruption and severity.

    References
    ----------
    Hendrycks and Dietterich (2019), arXiv 1903.12261.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> images = np.random.default_rng(0).random((20, 1, 16, 16)).astype("float32")
    >>> guess = {"a guess": lambda x: np.full((len(x), 2), 0.5)}
    >>> found = rs.methods.ensembles.corruption_benchmark(guess, images, np.arange(20) % 2, corruptions=["contrast"])
    >>> found.corrupted["nll"].shape  # predictors, corruptions, severities
    (1, 1, 5)
    """
    named = _named(predictors)
    names = corruption_names() if corruptions is None else tuple(corruptions)
    for name in names:
        check_choice(name, "corruption", OPERATORS)
    checked = check_labels(labels)
    if len(checked) != len(images):
        raise InputError(f"got {len(checked)} labels for {len(images)} images", "one label per image")
    if not names or not severities:
        raise InputError(f"got {len(names)} corruptions at {len(severities)} severities", "at least one of each")

    def score(x: NDArray[np.uint8]) -> Floats:
        found = [ensemble_scores(_of_members(predict(x)), checked, kind=kind) for predict in named.values()]
        return np.array([[one.accuracy, one.nll, one.ece] for one in found])

    pixels = images if images.dtype == np.uint8 else (np.clip(images, 0, 1) * 255).astype(np.uint8)
    clean = score(pixels)
    table = np.array([[score(corrupt(images, name, level, seed=seed)) for level in severities] for name in names])
    return CorruptionBenchmark(
        predictors=tuple(named),
        corruptions=names,
        severities=tuple(int(level) for level in severities),
        clean={metric: clean[:, m] for m, metric in enumerate(METRICS)},
        corrupted={metric: table[..., m].transpose(2, 0, 1) for m, metric in enumerate(METRICS)},
        n_examples=len(images),
    )


def _of_members(outputs: Any) -> NDArray[Any]:
    """Return a predictor's outputs as [members, images, classes]: one network's [images, classes] are one member."""
    found = np.asarray(outputs)
    return found[None] if found.ndim == 2 else found


def _named(predictors: Any) -> dict[str, Predictor]:
    given: Mapping[str, Any] = predictors if isinstance(predictors, Mapping) else {"predictor": predictors}
    named = {str(name): getattr(one, "predict", one) for name, one in given.items()}
    wrong = [name for name, one in named.items() if not callable(one)]
    if wrong or not named:
        raise InputError(f"got predictors {', '.join(wrong) or '(none)'}", "functions of images, or ensembles")
    return named
