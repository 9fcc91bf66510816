"""``study_spectra``: spectra of all runs of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

import numpy as np

from ..._checks import check_keywords
from ..._reading.opening import opened_studies, opens
from ..._reading.outputs import CORRUPT_SHARD, corrupt_shards
from ..._reading.protocols import HoldsRuns
from ..._results import Excluded
from ...errors import CorruptShardError, InputError
from ..audit.auditing import warns_of_seeds
from .models import ModelSpectra
from .of_models import SpectraOptions, spectra_of_model
from .quality import StudySpectra, step_name
from .study_measures import by_name


@opens("study", by=opened_studies)
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
    study : Study or path
        With weights.
    steps : sequence of (int or None), "all", optional
        At which steps; None in it is the end of training. Only the end when None; every recorded step with "all".
    **options
        As in `spectra`; `progress` counts models.

    Returns
    -------
    StudySpectra
        Runs that did not complete, have no weights, or whose weights cannot be read, are counted and named.

    Raises
    ------
    InputError
        No run has weights.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine")
    >>> for seed in range(3):
    ...     with study.record(seeds=seed) as run:
    ...         run.weights({"fc.weight": np.random.default_rng(seed).normal(size=(80, 60))})
    >>> rs.methods.spectra.study_spectra(study).metrics["alpha"].shape  # runs, steps
    (3, 1)
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
    read: list[Any] = []
    for number, run in enumerate(facts, start=1):
        found = _of_run(study, run, wanted, options, without)
        if found is not None:
            models |= {(len(read), column): model for column, model in found.items()}
            read.append(run)
        if progress is not None:
            progress(number * len(wanted), len(facts) * len(wanted))
    if not read:
        raise CorruptShardError("the weights of no run can be read", hint=f"The first: {without[-len(facts)].reason}")
    facts = read
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


def _of_run(
    study: HoldsRuns, run: Any, steps: Sequence[int | None], options: Any, excluded: list[Excluded]
) -> dict[int, ModelSpectra] | None:
    """Return the spectra of a run by number of the step; None, the run excluded by name, where its shard is corrupt."""
    try:
        return {
            column: spectra_of_model(study.weights(run, step=step), options)
            for column, step in enumerate(steps)
            if step in run.weights
        }
    except CorruptShardError as error:
        excluded.append(Excluded(str(run.id), f"{CORRUPT_SHARD}: {error.found}"))
        return None


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
            raise InputError(f"got steps {steps!r}", "'all', or a sequence of steps")
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
