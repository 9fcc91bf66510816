"""Sections of the report. A method adds its own by a function `section` beside its command."""

from __future__ import annotations

import importlib
import inspect
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._namespace import modules_that_define
from .._relabelling import relabelled
from .._results import Result, Table
from .._words import count
from ..errors import MissingDataError, RunspreadError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from ..studies.study import Study

# In the order of the page: "module:function", the function from a Study to a Section, or to None where the study holds
# nothing for it. The sections of other methods follow: a function `section` beside the method's `command`.
SECTIONS = (
    "runspread._report.sections:trained",
    "runspread._report.imported:answers",
    "runspread._report.sections:accuracy",
    "runspread._report.sections:curves",
    "runspread._report.variance:audit",
    "runspread._report.variance:variance",
    "runspread._report.variance:calibration",
    "runspread._report.trimming:trimming",
    "runspread._report.spectra:spectra",
    "runspread._report.dynamics:dynamics",
    "runspread._report.ensembles:ensemble",
)

RUNS_LISTED = 500  # more rows make a page slow to open, and nobody reads them


@dataclass(frozen=True)
class Paper:
    """What a figure rests on."""

    text: str
    url: str


@dataclass(frozen=True)
class Figure:
    """A drawing with what it shows and what it does not.

    Attributes
    ----------
    svg : str
        The drawing, as markup.
    shows, does_not_show : str
        One sentence each.
    paper : Paper or None
        What it rests on.
    """

    svg: str
    shows: str
    does_not_show: str
    paper: Paper | None = None


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes
    ----------
    title : str
        Heading.
    lead : str
        The answer in a sentence.
    figures : tuple of Figure
        Drawings.
    tables : tuple of Table
        Tables; they can be sorted by column.
    notes : tuple of str
        Warnings, and excluded runs.
    error : RunspreadError or None
        Why the section could not be made.
    """

    title: str
    lead: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = field(default=())
    error: RunspreadError | None = None


def build_sections(study: Study, *, clusters: ArrayLike | None = None) -> list[Section]:
    """Return the sections that the study has something for; one that cannot be made says why.

    `clusters` [examples] goes to the sections whose methods take clusters of examples.
    """
    built = (_build(entry, study, clusters) for entry in (*SECTIONS, *sections_of_commands()))
    return [section for section in built if section is not None]


def sections_of_commands() -> list[str]:
    """Return the sections that are not in `SECTIONS`: those beside commands."""
    from .. import _cli

    return [f"{_cli.__name__}.{module}:section" for module in modules_that_define("section", _cli.__path__)]


def _build(entry: str, study: Study, clusters: ArrayLike | None) -> Section | None:
    module, _, name = entry.partition(":")
    make: Callable[..., Section | None] = getattr(importlib.import_module(module), name)
    options = {"clusters": clusters} if "clusters" in inspect.signature(make).parameters else {}
    try:
        return relabelled(make(study, **options), study.run_names)
    except MissingDataError:
        return None
    except RunspreadError as error:
        return Section(name.capitalize(), f"Not available: {error}", error=error)
    except Exception as error:  # one section never takes the page with it
        said = RunspreadError(f"{type(error).__name__}: {error}", hint="Please report this: the other sections stand.")
        return Section(name.capitalize(), f"Not available: {said}", error=said)


def figure(
    draw: Callable[[Axes], Any],
    *,
    shows: str,
    does_not_show: str,
    paper: Paper | None = None,
    size: tuple[float, float] = (5.4, 2.9),
) -> Figure:
    """Return a drawing as inline SVG.

    Parameters
    ----------
    draw : callable
        Draws on the Axes that it is given.
    shows, does_not_show : str
        One sentence each.
    paper : Paper, optional
        What it rests on.
    size : tuple of float
        Width and height in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    from .._plotting import plain_texts

    style: dict[Any, Any] = {"svg.fonttype": "path", "svg.hashsalt": shows, "font.size": 9.5, "axes.titlesize": 10.5}
    with mpl.rc_context(style):  # the salt keeps ids of one page apart and the same every time
        drawing = Drawing(figsize=size, layout="constrained")
        draw(drawing.subplots())
        plain_texts(drawing)
        buffer = io.StringIO()
        drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return Figure(svg[svg.index("<svg") :], shows, does_not_show, paper)


def notes_of(result: Result) -> tuple[str, ...]:
    """Return a result's warnings and what it excluded, as sentences."""
    if not result.excluded:
        return result.warnings
    counted = Counter(item.reason for item in result.excluded)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counted.items())
    named = ", ".join(item.run for item in result.excluded[:10])
    return (*result.warnings, f"Excluded: {reasons} ({named}{', ...' if len(result.excluded) > 10 else ''}).")


# ---------------------------------------------------------------------- sections of any study


def trained(study: Study) -> Section:
    """Say what was trained: how many runs, how they ended, the recipe."""
    counts = Counter(run.status for run in study.runs)
    ended = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none so far"
    lead = f"{count(len(study.runs), 'run')}: {ended}."
    tables = [_recipe_table(study.recipe)] if study.recipe else []
    troubled = [run for run in study.runs if run.status != "completed"]
    if troubled:
        reasons = [(run.error or "").strip().rpartition("\n")[2] for run in troubled]
        columns = {"run": [run.id for run in troubled], "status": [run.status for run in troubled], "reason": reasons}
        tables.append(Table(columns, title="Runs that did not complete"))
    notes = tuple(f"Shard {name} cannot be read and is excluded." for name in study.corrupt)
    return Section("What was trained", lead, tables=tuple(tables), notes=notes)


def _recipe_table(recipe: dict[str, Any]) -> Table:
    flat = {
        key if inner is None else f"{key}.{inner}": value
        for key, item in recipe.items()
        for inner, value in (item.items() if isinstance(item, dict) else [(None, item)])
    }
    values = [", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value) for value in flat.values()]
    return Table({"setting": list(flat), "value": values}, title="Recipe")


def accuracy(study: Study) -> Section | None:
    """Show the spread of accuracy over runs."""
    import numpy as np

    from .._plotting import plot_accuracy

    split = next((split for run in study.runs for split in run.accuracy), None)
    if split is None:
        return None
    values = [run.accuracy[split] for run in study.runs if split in run.accuracy]
    sd = (
        f" with a standard deviation of {100 * np.std(values, ddof=1):.3f} percentage points" if len(values) > 1 else ""
    )
    lead = (
        f"On split {split!r}, {count(len(values), 'run has', 'runs have')} a mean accuracy of "
        f"{100 * np.mean(values):.2f} %{sd}, "
        f"ranging from {100 * min(values):.2f} to {100 * max(values):.2f} %."
    )
    drawn = figure(
        lambda ax: plot_accuracy(values, ax),
        shows="Each dot is one run's accuracy. The band is one standard deviation to either side of the mean.",
        does_not_show="Whether the runs would differ on other examples; the variance section answers that.",
        size=(5.4, 2.4),
    )
    left = len(study.runs) - RUNS_LISTED
    note = (f"The table lists the first {RUNS_LISTED} runs; `runspread info --runs -1` lists all.",) if left > 0 else ()
    return Section("Accuracy over runs", lead, (drawn,), (study.runs[:RUNS_LISTED].table(),), note)


def curves(study: Study) -> Section | None:
    """Draw the logged metrics over training, those of the weights last."""
    from .._plotting import plot_curves
    from ..methods.dynamics.metrics_of_weights import WEIGHT_METRICS

    metrics = study.metrics()
    names = [name for name in metrics if metrics[name].values.shape[1] > 1]  # one point is no curve
    if not names:
        return None
    names.sort(key=lambda name: name in WEIGHT_METRICS)
    drawn = tuple(
        figure(
            lambda ax, name=name: plot_curves(metrics[name], ax),
            shows=f"{name} over training: one thin line per run, the median run, and the band that holds 80 % of the "
            "runs.",
            does_not_show="Why runs separate, or whether a difference matters.",
            size=(5.4, 2.6),
        )
        for name in names[:6]
    )
    left = names[6:]
    note = (f"The study holds {count(len(left), 'more metric')}: {', '.join(left)}.",) if left else ()
    return Section("Training curves", f"{count(len(names), 'metric was', 'metrics were')} logged.", drawn, notes=note)
