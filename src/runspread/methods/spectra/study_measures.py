"""Measures of every run of a study that need its network or its data: rows of a corpus, beside the spectra."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._results import Result, Table
from ..._words import count


@dataclass(frozen=True, eq=False, kw_only=True)
class StudyMeasures(Result):
    """Truncation, margin, norm and noise measures of every run of a study.

    Attributes
    ----------
    source : str
        What was read.
    runs : tuple of str
        Ids of the runs.
    metrics : dict of str to ndarray [runs]
        Measures by name: ``SVD10`` and the like are training accuracies of the truncated network, the others those of
        `norm_measures` and `sharpness_measures` before normalisation.
    hyperparameters : dict of str to list [runs]
        By name.
    accuracy : dict of str to list [runs]
        Final accuracy by split.
    n_train : int
        Training examples that were evaluated.
    """

    source: str
    runs: tuple[str, ...]
    metrics: dict[str, NDArray[np.float64]]
    hyperparameters: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    accuracy: dict[str, list[float | None]] = field(default_factory=dict[str, "list[float | None]"])
    n_train: int

    def table(self) -> Table:
        """Return one row per measure: mean, standard deviation and range over the runs."""
        columns = [values[np.isfinite(values)] for values in self.metrics.values()]
        rows = [
            (name, known.mean(), known.std(ddof=1) if len(known) > 1 else np.nan, known.min(), known.max(), len(known))
            for name, known in zip(self.metrics, columns, strict=True)
            if len(known)
        ]
        names = ("measure", "mean", "sd", "smallest", "largest", "runs")
        return Table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))

    def to_table(self, taken: Collection[str] = ()) -> Table:
        """Return one row per run with hyperparameters, accuracies and measures, for `paradox`.

        Parameters
        ----------
        taken : collection of str
            As in `StudySpectra.to_table`.
        """
        columns = run_columns(self.runs, self.hyperparameters, self.accuracy, (*self.metrics, *taken))
        return Table({**columns, **self.metrics})

    def sentence(self) -> str:
        """Say what was measured."""
        return (
            f"{count(len(self.metrics), 'measure')} of {count(len(self.runs), 'run')} of {self.source} on "
            f"{self.n_train} training examples. They are candidates for predicting test accuracy: rs.paradox "
            "says which do inside an architecture."
        )


def run_columns(
    runs: Sequence[str],
    hyperparameters: Mapping[str, Sequence[Any]],
    accuracy: Mapping[str, Sequence[float | None]],
    taken: Collection[str],
) -> dict[str, Any]:
    """Return the columns that identify runs and say how good they are; hyperparameters give way to names `taken`."""
    accuracies = {f"{split}_accuracy": values for split, values in accuracy.items()}
    others = {"study", "run", *accuracies, *taken}
    named = {f"hyperparameter {key}" if key in others else key: values for key, values in hyperparameters.items()}
    return {"run": runs, **named, **accuracies}


def by_name(mappings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return name to list of values, one a mapping; None where a mapping lacks the name."""
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return {name: [mapping.get(name) for mapping in mappings] for name in names}
