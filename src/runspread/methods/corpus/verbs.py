"""``rs.methods.spectra.study_spectra`` and ``rs.paradox``: spectra of all runs of a study, and metrics against quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack

import numpy as np

from ..._checks import check_keywords
from ..._reading.outputs import corrupt_shards
from ..._reading.tables import as_table
from ..._results import Excluded, Table
from ..._words import listed
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from ..spectra.models import ModelSpectra
from ..spectra.of_models import HoldsRuns, SpectraOptions, spectra
from ..spectra.quality import StudySpectra, step_name
from ..spectra.study_measures import StudyMeasures, by_name
from .analysis import ParadoxAnalysis, analyse_corpus
from .columns import corpus_of, counts_rows

_SMALLER = "Smaller ones are averaged with min_evals=20 of rs.methods.spectra.study_spectra, or of spectra_options= of rs.paradox."
_NAMES_OF_MODELS = ("run", "model", "model_id", "id", "study")


@warns_of_seeds(pooled=False)
def study_spectra(
    study: HoldsRuns,
    *,
    steps: Sequence[int | None] | Literal["all"] | None = None,
    **options: Unpack[SpectraOptions],
) -> StudySpectra:
    """Return spectral metrics of every run of a study, at the end of training or over it.

    Parameters
    ----------
    study : Study
        With weights.
    steps : sequence of (int or None), "all", optional
        At which steps; None in it is the end of training. Only the end when None; every recorded step with "all".
    **options
        As in `spectra`; `progress` counts models.

    Returns
    -------
    StudySpectra
        Runs that did not complete, or have no weights, are counted and named.

    Raises
    ------
    InputError
        No run has weights.
    """
    check_keywords(options, SpectraOptions.__annotations__, "study_spectra")
    progress = options.pop("progress", None)
    facts, excluded = _usable(study.runs)
    wanted = _steps(facts, steps)
    facts, without = _with_weights(facts, wanted)
    if not facts:
        raise InputError(
            f"no completed run of {len(study.runs)} has weights at {'these steps' if steps else 'the end'}",
            "runs with weights",
            "Record them with run.weights(model), or train with keep_weights=True.",
        )
    models: dict[tuple[int, int], ModelSpectra] = {}
    for row, run in enumerate(facts):
        for column, step in enumerate(wanted):
            if step in run.weights:
                models[row, column] = spectra(study.weights(run, step=step), **options)
            if progress is not None:
                progress(row * len(wanted) + column + 1, len(facts) * len(wanted))
    metrics = _stacked({key: model.means for key, model in models.items()}, len(facts), len(wanted))
    layers = _stacked({key: _layer_values(model) for key, model in models.items()}, len(facts), len(wanted))
    return StudySpectra(
        source=str(getattr(getattr(study, "path", None), "name", "the study")),
        runs=tuple(str(run.id) for run in facts),
        steps=tuple(wanted),
        metrics=metrics,
        layers=layers,
        hyperparameters=by_name([run.hyperparameters for run in facts]),
        accuracy=by_name([run.accuracy for run in facts]),
        depth=tuple(max(_depth(model) for (row, _), model in models.items() if row == k) for k in range(len(facts))),
        skipped=dict(sum((Counter(model.skipped) for model in models.values()), Counter[str]())),
        excluded=(*corrupt_shards(study), *excluded, *without),
    )


def _depth(model: ModelSpectra) -> int:
    return sum(layer.kind not in ("vector", "embedding") for layer in model.layers)


def _usable(runs: Sequence[Any]) -> tuple[list[Any], list[Excluded]]:
    facts = [run for run in runs if run.status == "completed"]
    return facts, [Excluded(str(run.id), run.status) for run in runs if run.status != "completed"]


def _with_weights(facts: list[Any], steps: list[int | None]) -> tuple[list[Any], list[Excluded]]:
    kept = [run for run in facts if any(step in run.weights for step in steps)]
    return kept, [Excluded(str(run.id), "no weights") for run in facts if run not in kept]


def _steps(facts: list[Any], steps: Sequence[int | None] | str | None) -> list[int | None]:
    if steps is None:
        return [None]
    recorded = {step for run in facts for step in run.weights}
    if isinstance(steps, str):
        if steps != "all":
            raise InputError(f"steps {steps!r}", "'all', or a sequence of steps")
        return [*sorted(step for step in recorded if step is not None), *([None] if None in recorded else [])]
    missing = [step for step in steps if step not in recorded]
    if missing:
        ordered = sorted(recorded, key=lambda step: (step is None, step or 0))
        raise InputError(
            f"no run has weights at {step_name(missing[0])}",
            f"one of: {', '.join(map(step_name, ordered))}" if recorded else "runs with weights",
        )
    return list(steps)


def _layer_values(model: ModelSpectra) -> dict[str, float]:
    return {
        f"{layer.name}/{name}": value
        for layer in model.layers
        for name, value in layer.metrics.items()
        if layer.status == "ok"
    }


def _stacked(rows: Mapping[tuple[int, int], Mapping[str, float]], n_runs: int, n_steps: int) -> dict[str, Any]:
    """Return name to array [runs, steps], NaN where a model lacks the name."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    found = {name: np.full((n_runs, n_steps), np.nan) for name in names}
    for place, row in rows.items():
        for name, value in row.items():
            found[name][place] = value
    return found


def paradox(
    table: Any,
    metrics: Sequence[str] | str | None = None,
    target: str = "test_accuracy",
    partition: str = "depth",
    *,
    hyperparameters: Sequence[str] | None = None,
    higher_is_better: bool = True,
    n_resamples: int | None = None,
    seed: int = 0,
    spectra_options: SpectraOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ParadoxAnalysis:
    """Ask of each metric whether it tracks quality, or only tells architectures apart.

    A metric can rise with accuracy over all models and fall with it among models of equal depth (Simpson's paradox).
    Every metric is set against the target overall, inside partitions and between them, with permutation tests that
    respect the partitions and a test of equivalence inside them, and gets a verdict. Values are ranked after rounding
    to 36 binary digits, so that ties do not hang on the processor.

    Parameters
    ----------
    table : study, StudySpectra, StudyMeasures, sequence of these, Table, mapping, data frame, list of mappings, or path
        One row a model. Of studies the spectra of the final weights are taken; see `corpus_table`. A path is CSV or
        Parquet.
    metrics : str or sequence of str, optional
        Columns to judge. When None: the spectral metrics of studies; of a table every numeric column that varies, is
        not named here otherwise, and does not end in ``_accuracy``.
    target : str
        Column of quality, for example "test_accuracy".
    partition : str
        Column that partitions the models: depth, or another choice of architecture.
    hyperparameters : sequence of str, optional
        Columns of the grid, for granulated Kendall coefficients and the contest's mutual information.
    higher_is_better : bool
        Whether the target is an accuracy (True) or a gap (False); used for those scores alone.
    n_resamples : int, optional
        Permutations of each metric. When None: 2,000, and as many as a small p-value takes to survive the correction
        over the metrics. From 257 models on the normal approximation takes their place.
    seed : int
        Seed of the permutations.
    spectra_options : mapping, optional
        Keywords of `spectra`, for studies.
    progress : callable, optional
        Called with the number of metrics analysed and of all.

    Returns
    -------
    ParadoxAnalysis
        Rows that stand in the table twice count once and are named.

    Raises
    ------
    InputError
        A column is missing or not of numbers, or fewer than three models remain.

    References
    ----------
    Martin and Mahoney (2021), arXiv:2106.00734; Jiang et al. (2019, 2020) for the scores over the grid.
    """
    rows, corpora = _table_of(table, spectra_options or {})
    axes = tuple(hyperparameters or ())
    chosen = [metrics] if isinstance(metrics, str) else list(metrics or _measured(corpora))
    notes: list[str] = []
    if not chosen:
        chosen, notes = _numeric(rows, {target, partition, *axes})
    corpus = corpus_of(rows, chosen, target, partition, hyperparameters=axes)
    return analyse_corpus(
        replace(corpus, notes=(*corpus.notes, *notes)),
        target,
        partition,
        n_resamples=n_resamples,
        seed=seed,
        higher_is_better=higher_is_better,
        progress=progress,
    )


def corpus_table(source: Any, *, spectra_options: SpectraOptions | None = None) -> Table:
    """Return the table that `paradox` reads, a row a model: to add columns, choose rows, or keep it as a file.

    Parameters
    ----------
    source : Study, StudySpectra, StudyMeasures, or sequence of these
        Of studies the spectra of the final weights are taken. Measures are put into the rows of the spectra of the same
        runs.
    spectra_options : mapping, optional
        Keywords of `spectra`.

    Returns
    -------
    Table
        Study, run, hyperparameters, depth (number of weight matrices, unless a hyperparameter has that name),
        accuracies, metrics. A hyperparameter with the name of another column is called ``"hyperparameter <name>"``.

    Raises
    ------
    InputError
        Something else, or measures of a run that is there twice.
    """
    studies = [source] if _is_study(source) else source
    if not (isinstance(studies, (list, tuple)) and studies and all(map(_is_study, studies))):
        raise InputError(f"a {type(source).__name__}", "studies, their spectra and their measures")
    return _merged(_corpora(studies, spectra_options or {}))


_Corpus = StudySpectra | StudyMeasures


def _corpora(studies: Sequence[Any], options: SpectraOptions) -> list[_Corpus]:
    """Return spectra, then measures."""
    found = [study_spectra(one, **options) if isinstance(one, HoldsRuns) else one for one in studies]
    return sorted(found, key=lambda one: isinstance(one, StudyMeasures))


def _merged(corpora: Sequence[_Corpus]) -> Table:
    taken = {name for one in corpora for name in (*one.metrics, *(f"{split}_accuracy" for split in one.accuracy))}
    rows: list[dict[str, Any]] = []
    for one in corpora:
        table = one.to_table(taken)
        own = [{"study": one.source} | dict(zip(table.columns, row, strict=True)) for row in table.rows()]
        if isinstance(one, StudyMeasures):
            own = [row for row in own if not _joined(row, rows)]
        rows += own
    return as_table(rows)


def _joined(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Put a row of measures into that of the same run; say whether there is one."""
    same = [other for other in rows if (other["study"], other["run"]) == (row["study"], row["run"])]
    if len(same) > 1:
        raise InputError(f"run {row['run']} of {row['study']} {len(same)} times", "studies of different names")
    for other in same:
        other |= row
    return bool(same)


def _table_of(source: Any, options: SpectraOptions) -> tuple[Table, list[_Corpus]]:
    """Return the table, and the spectra and measures that it was made of."""
    studies = [source] if _is_study(source) else source
    if not (isinstance(studies, (list, tuple)) and studies and all(map(_is_study, studies))):
        if options:
            raise InputError("spectra_options with a table", "them with studies alone")
        return as_table(source), []
    corpora = _corpora(studies, options)
    return _merged(corpora), corpora


def _measured(corpora: Sequence[_Corpus]) -> list[str]:
    """Return the metrics of studies; those of networks too small for any spectrum are nothing to judge."""
    found = [name for one in corpora for name, values in one.metrics.items() if np.isfinite(values).any()]
    if corpora and not found:
        reasons = " ".join(one.sentence() for one in corpora)
        raise InputError(reasons.removesuffix("."), "weight matrices large enough for a spectrum", _SMALLER)
    return list(dict.fromkeys(found))


def _is_study(source: Any) -> bool:
    return isinstance(source, (HoldsRuns, StudySpectra, StudyMeasures))


def _numeric(table: Table, taken: set[str]) -> tuple[list[str], list[str]]:
    """Return the columns that can be judged, and a note that names the others with the reason."""
    reasons = {
        name: _why_no_metric(table, name) for name in table.columns
        if name not in taken and name not in _NAMES_OF_MODELS and not name.endswith("_accuracy")
    }  # fmt: skip
    names = [name for name, reason in reasons.items() if not reason]
    if not names:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise InputError(f"no numeric column besides target and partition ({why or 'no other'})", "at least one metric")
    others = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
    return names, [f"No metrics, and not judged: {listed(others)}."] if others else []


def _why_no_metric(table: Table, name: str) -> str:
    """Return why a column is no metric; empty where it is one."""
    if counts_rows(name):
        return "it numbers the rows"
    known = [value for value in table[name] if value is not None]
    if not table.is_numeric(name):
        text = next((value for value in known if not isinstance(value, (int, float))), None)
        return f"it holds {text!r}"
    if not known:
        return "it is empty"
    values = {value for value in known if np.isfinite(value)}
    if len(values) < 2:
        return "the same in every row" if values else "it holds no finite number"
    return "" if sum(np.isfinite(value) for value in known) >= min(3, len(table)) else "fewer than 3 finite numbers"
