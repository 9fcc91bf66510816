"""The result of an import: runs, what is wrong with some, and the study that they become."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from .._results import Excluded, Result, Table
from .._words import count, listed
from . import statuses
from .assembling import Assembled, double_readings
from .options import Options
from .records import ImportedRun, Problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..studies.study import Study

_MOST_METRICS = 8  # columns of `table`
_SMALLER = ("loss", "error", "perplexity", "nll", "mse", "mae", "rmse")
_LARGER = ("acc", "f1", "auc", "score", "reward", "return", "bleu", "precision", "recall")


@dataclass(frozen=True, eq=False, kw_only=True)
class ImportedRuns(Result):
    """Runs that were trained elsewhere, read and not yet written.

    A sequence of `ImportedRun`; ``runs["seed0"]`` is one by its id.

    Attributes
    ----------
    runs : tuple of ImportedRun
        Every run that was found, empty ones too.
    problems : tuple of Problem
        What could not be read, each with its place.
    ignored_keys : tuple of str
        Keys of configurations that say where or when a run was made, and are no part of its identity.
    roots : tuple of Path
        The folders that were looked through; a study is never written into one.
    options : Options
        What was asked for.
    """

    no_picture: ClassVar[str] = "save the runs to a study, and plot what a method says of it."
    says_excluded: ClassVar[bool] = True

    runs: tuple[ImportedRun, ...]
    problems: tuple[Problem, ...] = ()
    ignored_keys: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()
    options: Options = field(default_factory=Options, repr=False)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[ImportedRun]:
        return iter(self.runs)

    @overload
    def __getitem__(self, key: int | str) -> ImportedRun: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[ImportedRun, ...]: ...
    def __getitem__(self, key: int | str | slice) -> ImportedRun | tuple[ImportedRun, ...]:
        if isinstance(key, str):
            from .._checks import check_choice

            by_id = {run.id: run for run in self.runs}
            return by_id[check_choice(key, "run", by_id)]
        return self.runs[key]

    @property
    def ids(self) -> tuple[str, ...]:
        """Id of each run."""
        return tuple(run.id for run in self.runs)

    def kept(self) -> tuple[ImportedRun, ...]:
        """Return the runs that a study takes: not the empty ones, nor those that are still running unless asked for."""
        running = self.options.running == "partial"
        return tuple(
            run for run in self.runs if run.status != statuses.EMPTY and (running or run.status != statuses.RUNNING)
        )

    def table(self) -> Table:
        """Return a row per run: id, where, format, status, seeds, hyperparameters that vary, last and best values."""
        runs = self.runs
        columns: dict[str, Sequence[Any]] = {
            "id": [run.id for run in runs],
            "where": [run.source.path for run in runs],
            "format": [run.source.format for run in runs],
            "status": [run.status for run in runs],
        }
        for role in ("init", "order", "augment"):
            columns[f"seed {role}"] = [run.seeds.get(role) for run in runs]
        for name in self.varying():
            columns[name if name not in columns else f"hyperparameter {name}"] = [
                run.hyperparameters.get(name) for run in runs
            ]
        for name in self._shown_metrics():
            columns[f"last {name}"] = [_last(run, name) for run in runs]
            best = [_best(run, name) for run in runs]
            if best != columns[f"last {name}"] and any(value is not None for value in best):
                columns[f"best {name}"] = best
        return Table(columns)

    def varying(self) -> list[str]:
        """Return the hyperparameters that differ between the runs."""
        names = dict.fromkeys(name for run in self.runs for name in run.hyperparameters)
        return [name for name in names if len({repr(run.hyperparameters.get(name)) for run in self.runs}) > 1]

    def metrics(self) -> dict[str, int]:
        """Return each metric that is taken, and how many runs have it."""
        counts: Counter[str] = Counter()
        for run in self.runs:
            counts.update(run.taken())
        return dict(counts.most_common())

    def _shown_metrics(self) -> list[str]:
        def rank(name: str) -> tuple[int, str]:
            low = name.lower()
            order = ("test", "val", "eval", "acc", "loss")
            return next((k for k, word in enumerate(order) if word in low), len(order)), name

        return sorted(self.metrics(), key=rank)[:_MOST_METRICS]

    def sentence(self) -> str:
        """Return how many runs there are, how they ended, and of how many the seeds are known."""
        found = Counter(run.status for run in self.runs)
        kept = [run for run in self.runs if run.status != statuses.EMPTY]
        once = len(self.runs) - len(double_readings(self.runs))
        parts = ", ".join(f"{found[status]} {_word(status)}" for status in statuses.STATUSES if found[status])
        text = f"{count(once, 'run')} in {_configurations(kept)}: {parts}."
        text += f" Seeds known of {sum(bool(run.seeds) for run in kept)} of {len(kept)}."
        deleted = sum(item.reason != statuses.EMPTY for item in self.excluded)
        if deleted:
            text += f" {count(deleted, 'run')} deleted in the tracker {'is' if deleted == 1 else 'are'} excluded."
        if self.problems:
            text += f" {count(len(self.problems), 'problem')}, the first: {self.problems[0]}."
        return text

    def lacks(self) -> str:
        """Return what the runs cannot answer, and what it needs."""
        if any(run.outputs for run in self.runs):
            return "Files that may hold predictions were found, not loaded: name them with --predictions."
        return (
            "No predictions: variance, trimming and ensemble need them; dynamics, paradox, compare and plan from "
            "scores do not."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as plain values: a mapping per run, without its points."""
        return {
            "runs": [_facts(run) for run in self.runs],
            "problems": [{"where": problem.where, "what": problem.what} for problem in self.problems],
            "metrics": self.metrics(),
            "ignored_keys": list(self.ignored_keys),
            "warnings": list(self.warnings),
        }

    def details(self) -> list[str]:
        """Return what a person needs to see before believing: seeds, keys, metrics, and what is excluded."""
        return [*_lines(self), self.lacks()]

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        labels: Mapping[str, ArrayLike | str | os.PathLike[str]] | None = None,
    ) -> Study:
        """Write the runs into a study; called again, it adds what is new.

        Parameters
        ----------
        path : str or path
            The study's folder, new or one that an import made.
        labels : mapping of str to array_like of int [examples] or path, optional
            True classes of the splits whose predictions are taken.

        Returns
        -------
        Study
            The study, open.

        Raises
        ------
        InputError
            There is no run to save, runs of several formats share no metric, or the folder lies in what is imported.
        """
        from .saving import save_runs

        return save_runs(self, path, labels or {})[0]


def result_of(
    found: Assembled, options: Options, problems: Sequence[Problem], roots: Sequence[Path] = ()
) -> ImportedRuns:
    """Return what an import gives."""
    empty = [run for run in found.runs if run.status == statuses.EMPTY]
    doubled = [
        f"{a} and {b} seem to be one training in two formats; both are kept, and counted once"
        for a, b in double_readings(found.runs)
    ]
    return ImportedRuns(
        runs=tuple(found.runs),
        problems=(*problems, *found.problems),
        ignored_keys=tuple(found.ignored),
        warnings=(*found.notes, *doubled),
        excluded=(
            *(Excluded(run.id, statuses.EMPTY) for run in empty),
            *(Excluded(id, "deleted in its tracker") for id in found.deleted),
        ),
        roots=tuple(roots),
        options=options,
    )


def _configurations(runs: Sequence[ImportedRun]) -> str:
    """Return how many configurations there are, and of how many runs it is unknown."""
    known = len({run.configuration for run in runs} - {None})
    unknown = sum(run.configuration is None for run in runs)
    if not unknown:
        return count(known, "configuration")
    words = f"{count(unknown, 'run')} without a configuration"
    return f"{count(known, 'configuration')} (and {words})" if known else "an unknown configuration"


def _word(status: str) -> str:
    return "of unknown end" if status == statuses.UNKNOWN else status


def _last(run: ImportedRun, name: str) -> float | None:
    curve = run.curves.get(name)
    return float(curve.values[-1]) if curve is not None and len(curve.values) else run.summary.get(name)


def _best(run: ImportedRun, name: str) -> float | None:
    """Return the best value of a metric whose direction its name says; NaN is none."""
    curve, low = run.curves.get(name), name.lower()
    if curve is None or not np.isfinite(curve.values).any():
        return None
    finite = curve.values[np.isfinite(curve.values)]
    if any(word in low for word in _SMALLER):
        return float(finite.min())
    return float(finite.max()) if any(word in low for word in _LARGER) else None


def _facts(run: ImportedRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "format": run.source.format,
        "path": run.source.path,
        "status": run.status,
        "evidence": run.evidence,
        "seeds": dict(run.seeds),
        "seed_keys": dict(run.seed_keys),
        "hyperparameters": dict(run.hyperparameters),
        "configuration": run.configuration,
        "metrics": {
            name: {
                "points": len(curve.values),
                "first_step": int(curve.steps[0]),
                "last_step": int(curve.steps[-1]),
                "last": float(curve.values[-1]),
            }
            for name, curve in run.curves.items()
            if len(curve.values)
        },
        "summary": dict(run.summary),
        "outputs": [output.path for output in run.outputs],
        "checkpoints": [checkpoint.path for checkpoint in run.checkpoints],
        "left_out": dict(run.left_out),
        "notes": list(run.notes),
    }


def _lines(found: ImportedRuns) -> Iterator[str]:
    keys = {f"{key} ({role})" for run in found.runs for role, key in run.seed_keys.items()}
    yield f"seed keys: {', '.join(sorted(keys)) or 'none found'}"
    names = dict.fromkeys(name for run in found.runs for name in run.hyperparameters)
    varying = found.varying()
    yield f"varying: {', '.join(varying) or 'nothing'}"
    yield f"constant: {', '.join(name for name in names if name not in varying) or 'nothing'}"
    if found.ignored_keys:
        yield f"no part of a configuration: {', '.join(found.ignored_keys)}"
    metrics = [f"{name} ({count(number, 'run')})" for name, number in found.metrics().items()]
    yield f"metrics: {listed(metrics, 20) if metrics else 'none'}"
    left: Counter[str] = Counter()
    for run in found.runs:
        left.update(run.left_out)
    if left:
        yield f"excluded: {listed([f'{number} of {what}' for what, number in left.most_common(12)], 12)}"
    for run in found.runs:
        for note in run.notes:
            yield f"{run.id}: {note}"
