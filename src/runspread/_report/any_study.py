"""The report's sections on any study: how good the runs are, their curves, the runs, and what was trained."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from .._results import Table
from .._words import count, listed
from ..errors import MissingDataError, RunspreadError
from .figures import figure, size_of_rows
from .model import Section

if TYPE_CHECKING:
    from ..studies.study import Study

CURVES = 4  # metrics that are drawn
_SHARDS, _RUNS_ASKED = 100, 10_000  # whose environments are read
_ENVIRONMENT = ("python", "torch", "device", "threads", "program", "stack")


def first_split(study: Study) -> str | None:
    """Return the split on which runs are judged: "test", or the first that has accuracies."""
    splits = dict.fromkeys(split for run in study.runs for split in run.accuracy)
    return "test" if "test" in splits else next(iter(splits), None)


def split_of(study: Study) -> str:
    """Return the split that the methods look at: "test", or the first on which all completed runs have predictions."""
    held = [{name for name, step in run.predictions if step is None} for run in study.runs if run.status == "completed"]
    shared = list(dict.fromkeys(split for run in study.runs for split in run.accuracy))
    shared = [split for split in shared if all(split in names for names in held)]
    return "test" if not shared or any("test" in names for names in held) else shared[0]


def other_split(study: Study) -> tuple[str, ...]:
    """Say on which split a section is, where that is not "test"."""
    split = split_of(study)
    return () if split == "test" else (f"This is on split {split!r}: no run has predictions on a split 'test'.",)


def accuracy(study: Study) -> Section:
    """Show the spread of accuracy over runs; of runs without predictions, that of a logged metric."""
    from .._plotting import plot_accuracy

    split = first_split(study)
    if split is None:
        return _last_values(study)
    values = [run.accuracy[split] for run in study.runs if split in run.accuracy]
    sd = (
        f" with a standard deviation of {100 * np.std(values, ddof=1):.3f} percentage points" if len(values) > 1 else ""
    )
    reach = f"a mean accuracy of {100 * np.mean(values):.2f} %{sd}"
    ends = f"{100 * min(values):.2f} to {100 * max(values):.2f} %"
    lead = f"On split {split!r}, {count(len(values), 'run has', 'runs have')} {reach}, ranging from {ends}."
    drawn = figure(
        lambda ax: plot_accuracy(values, ax),
        shows="Each dot is one run's accuracy. The band is one standard deviation to either side of the mean.",
        does_not_show="Whether the runs would differ on other examples; the variance section answers that.",
        size=(4.8, 2.4),
    )
    return Section("Accuracy over runs", lead, (drawn,), short=_how_good(values, split))


def _how_good(values: list[float], split: str) -> str:
    if len(values) == 1:
        return f"The one run is right on {100 * values[0]:.2f} % of split {split!r}."
    ends = f"from {100 * min(values):.2f} to {100 * max(values):.2f} %"
    return f"{len(values)} runs are right on {100 * np.mean(values):.2f} % of split {split!r} on average, {ends}."


def _last_values(study: Study) -> Section:
    """Show the last values of a metric, where runs have no predictions."""
    import runspread as rs

    metrics = study.metrics()
    names = sorted(metrics, key=lambda name: ("acc" not in name, name.startswith("train"), "loss" not in name))
    if not names:
        raise MissingDataError("no run recorded predictions or a metric", "predictions on a split, or a logged metric")
    found = rs.summary(study, metric=names[0])
    drawn = figure(
        found.plot,
        shows=f"The last value of {names[0]} in each run, and the mean with its interval.",
        does_not_show="Whether the runs would differ on other examples: that takes their predictions.",
        size=(4.8, 2.4),
    )
    short = f"Judged by the last value of {names[0]}: {found.sentence()}"
    return Section("Scores over runs", found.sentence(), (drawn,), (found.table(),), found.warnings, short=short)


def configurations(study: Study) -> Section | None:
    """Say which value of the one hyperparameter that differs between the runs may be the best."""
    import runspread as rs

    from ..methods.scores.ranking import ScoreRanking

    split = split_of(study)
    runs = [run for run in study.runs if run.status == "completed" and (split, None) in run.predictions]
    values = {
        name: {repr(run.hyperparameters.get(name)) for run in runs} for run in runs for name in run.hyperparameters
    }
    differing = [name for name, found in values.items() if len(found) > 1]
    if len(differing) != 1 or len(values[differing[0]]) > len(runs) // 2:
        return None
    name = differing[0]
    found = rs.rank(study.where(status="completed"), by=name, split=split)
    if not isinstance(found, ScoreRanking):
        return None
    arms = [arm for arm, may in zip(found.names, found.maybe_best.tolist(), strict=True) if may]
    best = f"Of {len(found.names)} values of {name}, {listed([arm.partition('=')[2] or arm for arm in arms])}"
    short = (
        f"{best} may be the best." if len(arms) < len(found.names) else f"No value of {name} can be ruled out as best."
    )
    drawn = figure(
        found.plot,
        shows=f"Runs by {name}, with the interval of each mean.",
        does_not_show="What another test set would say, or a value that was not tried.",
        size=size_of_rows(found.names),
    )
    return Section("Configurations", found.sentence(), (drawn,), (found.table(),), found.warnings, short=short)


def curves(study: Study) -> Section | None:
    """Draw the logged metrics over training, those of the weights last."""
    from .._plotting import plot_curves
    from ..methods.dynamics.metrics_of_weights import WEIGHT_METRICS

    metrics = study.metrics()
    names = [name for name in metrics if metrics[name].values.shape[1] > 1]  # one point is no curve
    if not names:
        return None
    names.sort(key=lambda name: (name in WEIGHT_METRICS, name.startswith("train")))
    drawn = tuple(
        figure(
            lambda ax, name=name: plot_curves(metrics[name], ax),
            shows=f"{name} over training: one thin line per run, the median run, and the band that holds 80 % of the "
            "runs.",
            does_not_show="Why runs separate, or whether a difference matters.",
            size=(4.8, 2.5),
        )
        for name in names[:CURVES]
    )
    left = names[CURVES:]
    note = (f"The study holds {count(len(left), 'more metric')}: {', '.join(left)}.",) if left else ()
    return Section("Training curves", f"{count(len(names), 'metric was', 'metrics were')} logged.", drawn, notes=note)


def every_run(study: Study) -> Section | None:
    """List the runs: how each ended, its hyperparameters and its accuracies."""
    if not len(study.runs):
        return None
    columns = {name: cells for name, cells in _columns(study).items() if not name.startswith("seed ")}
    formats = study.runs.table().formats
    troubled = [run for run in study.runs if run.status != "completed"]
    tables = [Table(columns, formats=formats, title="Every run")]
    if troubled:
        reasons = [(run.error or "").strip().rpartition("\n")[2] for run in troubled]
        ended = {"run": [run.id for run in troubled], "status": [run.status for run in troubled], "reason": reasons}
        tables.append(Table(ended, title="Runs that did not complete"))
    return Section("The runs", _ended(study), tables=tuple(tables))


def _columns(study: Study) -> dict[str, list[Any]]:
    """Return the columns of the table of runs in which anything is said."""
    found = study.runs.table().columns
    return {name: cells for name, cells in found.items() if any(cell is not None for cell in cells)}


def _ended(study: Study) -> str:
    counts = Counter(run.status for run in study.runs)
    ended = ", ".join(f"{number} {status}" for status, number in counts.items()) or "none so far"
    return f"{count(len(study.runs), 'run')}: {ended}."


def trained(study: Study) -> Section:
    """Say what was trained: how many runs, how they ended, the recipe."""
    tables = (_recipe_table(study.recipe),) if study.recipe else ()
    notes = tuple(f"Shard {name} cannot be read and is excluded." for name in study.corrupt)
    return Section("What was trained", _ended(study), tables=tables, notes=notes, folded=True)


def _recipe_table(recipe: dict[str, Any]) -> Table:
    flat = {
        key if inner is None else f"{key}.{inner}": value
        for key, item in recipe.items()
        for inner, value in (item.items() if isinstance(item, dict) else [(None, item)])
    }
    values = [", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value) for value in flat.values()]
    return Table({"setting": list(flat), "value": values}, title="Recipe")


def seeds(study: Study) -> Section | None:
    """List the seeds of every run, by role."""
    columns = {name: list(map(str, cells)) for name, cells in _columns(study).items() if name.startswith("seed ")}
    if not columns:
        return None
    differ = [name.removeprefix("seed ") for name, cells in columns.items() if len(set(cells)) > 1]
    lead = (
        f"Roles whose seed differs between the runs: {listed(differ)}." if differ else "All runs have the same seeds."
    )
    table = Table({"run": list(study.runs.ids), **columns}, title="Seeds by role")
    return Section("Seeds", lead, tables=(table,), folded=True)


def environment(study: Study) -> Section:
    """Say on what the runs were trained, as far as that was recorded, and what this page was made with."""
    from .. import __version__

    found: dict[str, Counter[str]] = {}
    for facts in _environments(study):
        for name in _ENVIRONMENT:
            if name in facts:
                found.setdefault(name, Counter())[str(facts[name])] += 1
    rows = [(f"training: {name}", listed(list(values))) for name, values in found.items()]
    rows += [
        ("page: runspread", __version__),
        ("page: python", platform.python_version()),
        ("page: numpy", np.__version__),
    ]
    table = Table({"what": [row[0] for row in rows], "version": [row[1] for row in rows]}, title="Environment")
    said = f"{count(len(found), 'fact')} about the environment of the training were recorded."
    return Section(
        "Environment",
        said if found else "Nothing was recorded of the training's environment.",
        tables=(table,),
        folded=True,
    )


def _environments(study: Study) -> Iterator[Mapping[str, Any]]:
    from .._reading.plain_files import UnfitJsonError, read_json
    from ..studies.layout import PROVENANCE, shard_folder

    shards = dict.fromkeys(study.shard_of(run.id) for run in study.runs[:_RUNS_ASKED])
    for shard in list(shards)[:_SHARDS]:
        with suppress(RunspreadError, OSError, UnfitJsonError):  # what a report can do without
            found = read_json(shard_folder(study.path, shard) / PROVENANCE)
            yield found if isinstance(found, dict) else {}
