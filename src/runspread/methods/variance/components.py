"""`sources`: which source of randomness the spread comes from (spec 6)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.accepting import examples_of
from ..._reading.copies import repeated_rows
from ..._reading.correctness import Outcomes, as_outcomes, checked_correct
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS, ReadingOptions, divided
from ..._reading.outputs import check_same_examples
from ..._results import Excluded, Result, Table
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .class_calibration import calibration
from .crossed import SourceComponents, crossed_components
from .estimate import variance
from .statistics import RunStatistics
from .sums import ratio
from .whole_sources import counted
from .wording import points, root

ROLES = ("init", "order", "augment")


@dataclass(frozen=True, eq=False, kw_only=True)
class SourceGroups(Result):
    """Spread of accuracy in groups of runs in which one source of randomness varies at a time.

    The others are fixed at one value, so each variance is conditional on it; over such values its expectation is the
    total effect of the source.

    Attributes
    ----------
    names : tuple of str
        Names of the groups.
    reference : str
        The group that the others are compared with: the one in which everything varies.
    n_runs : ndarray of int [groups]
        Runs of each.
    n_examples : int
        Size of the test set.
    mean_acc, var_test, var_ind, var_dist : ndarray of float [groups]
        As in `VarianceResult`.
    ci_dist : ndarray of float [groups, 2]
        Interval of ``var_dist`` for this test set.
    disagreement : ndarray of float [groups]
        Share of examples on which two runs disagree; NaN where only correctness is known.
    f_ratio, p_value : ndarray of float [groups]
        Variance over that of the reference, and the two-sided p-value of the F test with R-1 degrees of freedom each.
    """

    picture = ".plots:plot_sources"

    names: tuple[str, ...]
    reference: str
    n_runs: NDArray[np.int64]
    n_examples: int
    mean_acc: NDArray[np.float64]
    var_test: NDArray[np.float64]
    var_ind: NDArray[np.float64]
    var_dist: NDArray[np.float64]
    ci_dist: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    f_ratio: NDArray[np.float64]
    p_value: NDArray[np.float64]

    def table(self) -> Table:
        """Return one row per group; standard deviations in percentage points."""
        columns = {
            "varied": self.names,
            "runs": self.n_runs,
            "accuracy": self.mean_acc,
            "sd": 100 * np.sqrt(self.var_test),
            "independent": 100 * np.sqrt(self.var_ind),
            "real": [100 * root(value) for value in self.var_dist],
            "low": [100 * root(value) for value in self.ci_dist[:, 0]],
            "high": [100 * root(value) for value in self.ci_dist[:, 1]],
            "disagreement": self.disagreement,
            "variance ratio": self.f_ratio,
            "p": self.p_value,
        }
        spreads = dict.fromkeys(("sd", "independent", "real", "low", "high"), ".3f")
        formats = {"accuracy": ".2%", "disagreement": ".2%", "variance ratio": ".2f", "p": ".3g", **spreads}
        return Table(columns, formats=formats)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        others = [i for i, name in enumerate(self.names) if name != self.reference]
        all_varied = self.names.index(self.reference)
        if not self.var_test[all_varied] > 0:
            return (
                f"The {self.n_runs[all_varied]} runs with all sources varied have equal accuracies on "
                f"{self.n_examples} examples: there is no spread to give shares of."
            )
        parts = ", ".join(
            f"{self.names[i]} alone {math.sqrt(self.f_ratio[i]):.0%} (p {self.p_value[i]:.2g})" for i in others
        )
        return (
            f"Of the standard deviation of {points(math.sqrt(self.var_test[all_varied]))} percentage points with all "
            f"sources varied ({self.n_runs[all_varied]} runs, {self.n_examples} examples), one source at a time gives: "
            f"{parts}; the other sources were fixed at one value, so another value may give another share."
        )


@opens("source")
@warns_of_seeds(pooled=True)
def sources(
    source: Any = None,
    labels: Any = None,
    *,
    correct: Any = None,
    seeds: ArrayLike | None = None,
    roles: Sequence[str] = ROLES,
    reference: str = "all",
    **reading: Unpack[ReadingOptions],
) -> SourceGroups | SourceComponents:
    """Return how much of the spread each source of randomness brings: initialisation, data order, augmentation.

    Two designs are understood. One at a time: groups of runs in which all seeds vary, or only one (2304.01910,
    section 6). Crossed: every combination of some seeds of three roles, or of two with the third fixed, one run each;
    this one separates interactions.

    Parameters
    ----------
    source : mapping, array_like, RunOutputs or study
        One at a time: name of each group to its runs (as for `variance`). Otherwise the outputs of all runs, whose
        design follows from `seeds`; a study brings its own.
    labels : array_like of int [examples], optional
        True classes; taken from the source where it has them.
    correct : array_like of 0/1, or mapping to such, optional
        Given instead of `source`: [runs, examples], or crossed [a, b, c, examples] or [a, b, examples] (name the two
        `roles` then).
    seeds : array_like [runs, roles], optional
        Seed of each run by role.
    roles : sequence of str
        Names of the roles.
    reference : str
        Name of the group in which all sources vary.
    **reading : ReadingOptions
        How outputs are read: ``split``, ``kind``, ``nan``.

    Returns
    -------
    SourceGroups or SourceComponents
        One at a time or crossed.

    Raises
    ------
    InputError
        The seeds follow neither design.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> groups = {"all": logits[:4], "init": logits[4:]}  # in the second only the initialisation varied
    >>> rs.methods.variance.sources(groups, labels).var_test.shape
    (2,)
    """
    how, _ = divided(sources, reading, DEFAULTS, {})
    for key, given in (("source", source), ("correct", correct)):
        if isinstance(given, Mapping):
            groups = {str(name): {key: runs} for name, runs in given.items()}
            return _one_at_a_time(groups, labels, reference, how)
    if correct is not None and np.ndim(correct) in (3, 4):
        return crossed_components(checked_correct(np.asarray(correct)), roles)
    outcomes = as_outcomes(source, labels, correct=correct, **how)
    if outcomes.shape[0] < 2:
        raise InputError(f"got {outcomes.shape[0]} usable run", "two or more, which differ in a seed")
    table = _seeds_of(source, outcomes, roles) if seeds is None else _seeds_given(seeds, outcomes, roles)
    vary = [axis for axis in range(len(roles)) if _codes(table[:, axis]).any()]
    table, roles = table[:, vary], [roles[axis] for axis in vary]
    matrix = np.concatenate([chunk.correct.copy() for chunk in outcomes.chunks()])
    cells = _cells(table)
    if cells is not None:
        notes = repeated_rows(np.packbits(matrix, axis=1), matrix.shape[1])
        return replace(crossed_components(matrix[cells], roles), excluded=outcomes.excluded, warnings=notes)
    found = _groups(table, roles, reference)
    predicted = _predicted(outcomes)
    if predicted is None:
        parts = {name: {"correct": matrix[rows]} for name, rows in found.items()}
    else:
        parts = {name: {"source": predicted[rows]} for name, rows in found.items()}
    result = _one_at_a_time(parts, None if predicted is None else outcomes.labels, reference, {"split": how["split"]})
    return replace(result, excluded=outcomes.excluded)


def _seeds_given(seeds: ArrayLike, outcomes: Outcomes, roles: Sequence[str]) -> NDArray[Any]:
    """Return the seeds of the runs that are kept, from those of all runs or of those that are kept."""
    table = np.asarray(seeds)
    runs, kept = len(outcomes.keep), outcomes.shape[0]
    if table.ndim != 2 or table.shape[1] != len(roles) or len(table) not in (runs, kept):
        raise InputError(f"got seeds of shape {table.shape}", f"[runs, {len(roles)}], here ({runs}, {len(roles)})")
    return table[outcomes.keep] if len(table) == runs else table


def _predicted(outcomes: Outcomes) -> NDArray[Any] | None:
    chunks = [predicted for _, predicted in outcomes.chunks() if predicted is not None]
    return np.concatenate(chunks) if chunks else None


def _seeds_of(source: Any, outcomes: Outcomes, roles: Sequence[str]) -> NDArray[Any]:
    """Return the seeds [runs, roles] that a study recorded for the runs it has outputs of."""
    if not hasattr(source, "runs"):
        raise InputError("got runs without seeds", "seeds= [runs, 3], a mapping of groups, or a study")
    by_id = {run.id: run.seeds for run in source.runs}
    return np.array([[getattr(by_id[name], role) for role in roles] for name in outcomes.run_ids], object)


def _cells(seeds: NDArray[Any]) -> NDArray[np.intp] | None:
    """Return the run in each cell [a, b, ...] of a complete crossing with one run per cell, None for another design."""
    codes = np.array([_codes(column) for column in seeds.T], np.int64).reshape(seeds.shape[1], -1).T
    levels = tuple(int(size) for size in codes.max(axis=0) + 1)
    if len(levels) < 2 or len(codes) != math.prod(levels):
        return None
    flat = np.asarray(np.ravel_multi_index(tuple(codes.T), levels))
    return np.argsort(flat).reshape(levels) if len(np.unique(flat)) == len(flat) else None


def _codes(column: NDArray[Any]) -> NDArray[np.int64]:
    """Return a number for each distinct seed, in order of appearance (seeds may be None)."""
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(seed, len(seen)) for seed in column.tolist()], np.int64)


def _groups(seeds: NDArray[Any], roles: Sequence[str], reference: str) -> dict[str, NDArray[np.intp]]:
    """Return the runs of the one-at-a-time design: for each role the largest set in which it alone varies."""
    codes = np.array([_codes(column) for column in seeds.T], np.int64).reshape(seeds.shape[1], -1).T
    found: dict[str, NDArray[np.intp]] = {}
    for axis, role in enumerate(roles):
        others = np.delete(codes, axis, axis=1)
        _, inverse, sizes = np.unique(others, axis=0, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(inverse.ravel() == int(sizes.argmax()))
        if len(np.unique(codes[rows, axis])) == len(rows) >= 3:
            found[role] = rows
    single = {int(row) for rows in found.values() for row in rows}
    rest = [row for row in range(len(codes)) if row not in single]
    varied = [
        row for row in rest if all((codes[rest, axis] == codes[row, axis]).sum() == 1 for axis in range(len(roles)))
    ]
    if not found or len(varied) < 3:
        raise InputError(
            f"got {len(varied)} runs in which all seeds vary, and groups for {', '.join(found) or 'no role'}",
            "three runs or more in each group, or a complete crossing",
            "Train studies with the other seeds fixed, for example vary=('init',) or --vary init, and give them "
            "together: rs.sources({'all': a, 'init': b}), or runspread sources all=A init=B.",
        )
    return {reference: np.array(varied, np.intp), **found}


class _Group(NamedTuple):
    """The numbers of one group of runs."""

    runs: int
    examples: int
    mean_acc: float
    var_test: float
    var_ind: float
    var_dist: float
    ci: tuple[float, float]
    disagreement: float
    labels: NDArray[np.int64] | None
    excluded: tuple[Excluded, ...]
    warnings: tuple[str, ...]


def _one_at_a_time(
    groups: Mapping[str, Mapping[str, Any]], labels: Any, reference: str, reading: Mapping[str, str]
) -> SourceGroups:
    from scipy.special import fdtr

    if reference not in groups:
        raise InputError(
            f"groups {', '.join(groups)} and none of the name {reference!r}",
            "one in which all sources vary, to compare the others with",
            f"Call it {reference!r}, or name another with reference=.",
        )
    found = [_group(part, labels, reading) for part in groups.values()]
    if len({group.examples for group in found}) > 1 or min(group.runs for group in found) < 2:
        raise InputError(
            f"got groups of {[group.runs for group in found]} runs on {[group.examples for group in found]} examples",
            "two runs or more in each group, on the same examples",
        )
    check_same_examples(
        {name: group.labels for name, group in zip(groups, found, strict=True)},
        {name: examples_of(part.get("source"), reading["split"]) for name, part in groups.items()},
    )
    base = found[list(groups).index(reference)]
    ratios = np.array([ratio(group.var_test, base.var_test) for group in found])
    below = np.array([fdtr(g.runs - 1, base.runs - 1, f) for g, f in zip(found, ratios.tolist(), strict=True)])
    p = np.minimum(1.0, 2 * np.minimum(below, 1 - below))
    own = [name == reference for name in groups]
    return SourceGroups(
        names=tuple(groups),
        reference=reference,
        n_runs=np.array([group.runs for group in found]),
        n_examples=base.examples,
        mean_acc=np.array([group.mean_acc for group in found]),
        var_test=np.array([group.var_test for group in found]),
        var_ind=np.array([group.var_ind for group in found]),
        var_dist=np.array([group.var_dist for group in found]),
        ci_dist=np.array([group.ci for group in found]),
        disagreement=np.array([group.disagreement for group in found]),
        f_ratio=ratios,
        p_value=np.where(own, math.nan, p),
        excluded=tuple(
            Excluded(f"{name}: {item.run}", item.reason)
            for name, group in zip(groups, found, strict=True)
            for item in group.excluded
        ),
        warnings=tuple(f"{name}: {note}" for name, group in zip(groups, found, strict=True) for note in group.warnings)
        + _shared_runs({name: part.get("source") for name, part in groups.items()}),
    )


def _shared_runs(sources: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a warning for each two groups of studies that share runs: their variances are no two measurements."""
    ids = {name: {run.id for run in source.runs} for name, source in sources.items() if hasattr(source, "weights")}
    return tuple(
        f"Groups {a} and {b} share {len(ids[a] & ids[b])} runs, so their ratio is nearer to 1 than it should be."
        for a, b in itertools.combinations(ids, 2)
        if len(ids[a] & ids[b]) > 1  # one run may well belong to both: that with the fixed seeds
    )


def _group(part: Mapping[str, Any], labels: Any, reading: Mapping[str, str]) -> _Group:
    source = part.get("source")
    reading = {} if isinstance(source, RunStatistics) else reading
    statistics, outcomes = counted(source, labels, {}, correct=part.get("correct"), **reading)
    found = variance(statistics, pairs="none")
    voted = outcomes is None or outcomes.labels is not None
    return _Group(
        found.n_runs,
        found.n_examples,
        found.mean_acc,
        found.var_test,
        found.var_ind,
        found.var_dist,
        (found.intervals.var_fixed_low, found.intervals.var_fixed_high),
        calibration(statistics).disagreement.rate if voted and statistics.labels is not None else math.nan,
        statistics.labels,
        statistics.excluded,
        statistics.repeats,
    )
