"""``rs.paradox``, and the table of models that it judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..._reading.opening import opened_studies
from ..._reading.protocols import HoldsRuns
from ..._reading.tables import as_table
from ..._results import Table
from ..._words import listed
from ...errors import InputError
from ..spectra.of_models import SpectraOptions
from ..spectra.of_studies import study_spectra
from ..spectra.quality import StudySpectra
from ..spectra.study_measures import StudyMeasures
from .analysis import ParadoxAnalysis, analyse_corpus
from .columns import corpus_of, counts_rows

_SMALLER = (
    "Smaller ones are averaged with min_evals=20 of rs.methods.spectra.study_spectra, or of spectra_options= of "
    "rs.paradox."
)
_NAMES_OF_MODELS = ("run", "model", "model_id", "id", "study")


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
    """Ask of each metric whether it tracks quality, or only distinguishes architectures.

    A metric can rise with accuracy over all models and fall with it among models of equal depth (Simpson's paradox).
    Every metric is set against the target overall, inside partitions and between them, with permutation tests that
    respect the partitions and a test of equivalence inside them, and gets a verdict. Values are ranked after rounding
    to 36 binary digits, so that ties do not hang on the processor.

    Parameters
    ----------
    table : study, StudySpectra, StudyMeasures, sequence of these, Table, mapping, data frame, list of mappings, or path
        One row per model. Of studies the spectra of the final weights are taken; see `corpus_table`. A path is CSV or
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

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> depth, x = np.repeat([1, 2, 4], 10), rng.normal(size=30)
    >>> sweep = {"depth": depth, "test_accuracy": 3 * depth - x, "alpha": x + 2 * depth}
    >>> rs.paradox(sweep, n_resamples=200)["alpha"].verdict
    'reversal'
    """
    rows, corpora = _table_of(opened_studies(table), spectra_options or {})
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
    """Return the table that `paradox` reads, one row per model: to add columns, choose rows, or keep it as a file.

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

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine")
    >>> with study.record(seeds=0, hyperparameters={"lr": 0.1}) as run:
    ...     run.weights({"fc.weight": np.random.default_rng(0).normal(size=(80, 60))})
    >>> list(rs.methods.corpus.corpus_table(study).columns)[:5]
    ['study', 'run', 'lr', 'depth', 'log_norm']
    """
    source = opened_studies(source)
    studies = [source] if _is_study(source) else source
    if not (isinstance(studies, (list, tuple)) and studies and all(map(_is_study, studies))):
        raise InputError(f"got a {type(source).__name__}", "studies, their spectra and their measures")
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
        raise InputError(f"run {row['run']} of {row['study']} occurs {len(same)} times", "studies of different names")
    for other in same:
        other |= row
    return bool(same)


def _table_of(source: Any, options: SpectraOptions) -> tuple[Table, list[_Corpus]]:
    """Return the table, and the spectra and measures that it was made of."""
    studies = [source] if _is_study(source) else source
    if not (isinstance(studies, (list, tuple)) and studies and all(map(_is_study, studies))):
        if options:
            raise InputError("got spectra_options with a table", "them with studies alone")
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
        raise InputError(
            f"there is no numeric column besides target and partition ({why or 'no other'})", "at least one metric"
        )
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
