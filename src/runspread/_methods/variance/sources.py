"""`variance_by_source`: which source of randomness the spread comes from (spec 6)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._errors import InputError
from ..._results import Result, Table
from .audit import warns_of_seeds
from .calibration import calibration
from .estimate import variance
from .outcomes import Outcomes, as_outcomes, checked_correct
from .result import points, root
from .statistics import counted

ROLES = ("init", "order", "augment")
_EFFECTS = tuple(effect for size in (1, 2, 3) for effect in itertools.combinations(range(3), size))
_BLOCK = 2**22


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
        """Return a row a group; standard deviations in percentage points."""
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
        parts = ", ".join(
            f"{self.names[i]} alone {math.sqrt(self.f_ratio[i]):.0%} (p {self.p_value[i]:.2g})" for i in others
        )
        return (
            f"Of the standard deviation of {points(math.sqrt(self.var_test[all_varied]))} points with all sources "
            f"varied ({self.n_runs[all_varied]} runs, {self.n_examples} examples), one source at a time gives: "
            f"{parts}; the other sources were fixed at one value, so another value may give another share."
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class SourceComponents(Result):
    """Variance components of a crossed design of three seeds, one run a cell.

    Components come in the order a, b, c, ab, ac, bc, abc, with a, b, c the `roles`. Negative ones stay negative.

    Attributes
    ----------
    roles : tuple of str
        Names of the three sources.
    levels : tuple of int
        Number of seeds of each.
    n_examples : int
        Size of the test set.
    ms_test, ms_dist : ndarray of float [7]
        Mean squares of the accuracies, and their unbiased versions on the distribution.
    comp_test, comp_dist : ndarray of float [7]
        Variance components.
    total_test, total_dist : float
        Their sums: the variance between runs in which everything varies.
    total_effect_test, total_effect_dist : ndarray of float [3]
        Expected variance when only that source varies.
    """

    roles: tuple[str, str, str]
    levels: tuple[int, int, int]
    n_examples: int
    ms_test: NDArray[np.float64]
    ms_dist: NDArray[np.float64]
    comp_test: NDArray[np.float64]
    comp_dist: NDArray[np.float64]
    total_test: float
    total_dist: float
    total_effect_test: NDArray[np.float64]
    total_effect_dist: NDArray[np.float64]

    def table(self) -> Table:
        """Return a row a component; shares are of the total variance."""
        columns = {
            "source": [" x ".join(self.roles[axis] for axis in effect) for effect in _EFFECTS],
            "share on test set": self.comp_test / self.total_test if self.total_test else [math.nan] * 7,
            "variance on test set": self.comp_test,
            "variance on distribution": self.comp_dist,
        }
        return Table(columns, formats={"share on test set": ".1%"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        shares = self.total_effect_test / self.total_test if self.total_test else np.full(3, math.nan)
        parts = ", ".join(f"{role} alone {share:.0%}" for role, share in zip(self.roles, shares, strict=True))
        cells = " x ".join(map(str, self.levels))
        return (
            f"Varying one source gives, of the variance with all sources varied (sd {points(root(self.total_test))} "
            f"points, {cells} runs, {self.n_examples} examples): {parts}; {self.comp_test[6] / self.total_test:.0%} is "
            f"the interaction of all three. Few levels make these shares rough."
        )


@warns_of_seeds(pooled=True)
def variance_by_source(
    source: Any = None,
    labels: ArrayLike | None = None,
    *,
    correct: Any = None,
    seeds: ArrayLike | None = None,
    roles: tuple[str, str, str] = ROLES,
    reference: str = "all",
    split: str = "test",
    nan: str = "raise",
) -> SourceGroups | SourceComponents:
    """Return how much of the spread each source of randomness brings: initialisation, data order, augmentation.

    Two designs are understood. One at a time: groups of runs in which all seeds vary, or only one (2304.01910,
    section 6). Crossed: every combination of some seeds of each role, one run each; this one separates interactions.

    Parameters
    ----------
    source : mapping, array_like, RunOutputs or study
        One at a time: name of each group to its runs (as for `variance`). Otherwise the outputs of all runs, whose
        design follows from `seeds`; a study brings its own.
    labels : array_like of int [examples], optional
        True classes; taken from the source where it has them.
    correct : array_like of 0/1, or mapping to such, optional
        Given instead of `source`: [runs, examples], or crossed [a, b, c, examples].
    seeds : array_like [runs, 3], optional
        Seed of each run by role.
    roles : tuple of str
        Names of the roles.
    reference : str
        Name of the group in which all sources vary.
    split, nan
        As for `variance`.

    Returns
    -------
    SourceGroups or SourceComponents
        One at a time or crossed.

    Raises
    ------
    InputError
        The seeds follow neither design.
    """
    for key, given in (("source", source), ("correct", correct)):
        if isinstance(given, Mapping):
            groups = {str(name): {key: runs} for name, runs in given.items()}
            return _one_at_a_time(groups, labels, reference, split, nan)
    if correct is not None and np.ndim(correct) == 4:
        return _crossed(checked_correct(np.asarray(correct)), roles)
    outcomes = as_outcomes(source, labels, correct=correct, split=split, nan=nan)
    table = _seeds_of(source, outcomes, roles) if seeds is None else np.asarray(seeds)
    if table.shape != (outcomes.shape[0], 3):
        raise InputError(f"seeds of shape {table.shape}", f"[runs, 3], here ({outcomes.shape[0]}, 3)")
    matrix = np.concatenate([chunk.correct.copy() for chunk in outcomes.chunks()])
    cells = _cells(table)
    if cells is not None:
        return _crossed(matrix[cells], roles)
    found = _groups(table, roles, reference)
    predicted = _predicted(outcomes)
    if predicted is None:
        return _one_at_a_time(
            {name: {"correct": matrix[rows]} for name, rows in found.items()}, None, reference, split, nan
        )
    parts = {name: {"source": predicted[rows]} for name, rows in found.items()}
    return _one_at_a_time(parts, outcomes.labels, reference, split, nan)


def _predicted(outcomes: Outcomes) -> NDArray[Any] | None:
    chunks = [predicted for _, predicted in outcomes.chunks() if predicted is not None]
    return np.concatenate(chunks) if chunks else None


def _seeds_of(source: Any, outcomes: Outcomes, roles: Sequence[str]) -> NDArray[Any]:
    """Return the seeds [runs, roles] that a study recorded for the runs it has outputs of."""
    if not hasattr(source, "runs"):
        raise InputError("runs without seeds", "seeds= [runs, 3], a mapping of groups, or a study")
    by_id = {run.id: run.seeds for run in source.runs}
    return np.array([[getattr(by_id[name], role) for role in roles] for name in outcomes.run_ids], object)


def _cells(seeds: NDArray[Any]) -> NDArray[np.intp] | None:
    """Return the run in each cell [a, b, c] of a complete crossing with one run a cell, None for another design."""
    codes = np.stack([_codes(column) for column in seeds.T], axis=1)
    levels = tuple(int(size) for size in codes.max(axis=0) + 1)
    if len(codes) != math.prod(levels) or min(levels) < 2:
        return None
    flat = np.asarray(np.ravel_multi_index(tuple(codes.T), levels))
    return np.argsort(flat).reshape(levels) if len(np.unique(flat)) == len(flat) else None


def _codes(column: NDArray[Any]) -> NDArray[np.int64]:
    """Return a number for each distinct seed, in order of appearance (seeds may be None)."""
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(seed, len(seen)) for seed in column.tolist()], np.int64)


def _groups(seeds: NDArray[Any], roles: Sequence[str], reference: str) -> dict[str, NDArray[np.intp]]:
    """Return the runs of the one-at-a-time design: for each role the largest set in which it alone varies."""
    codes = np.stack([_codes(column) for column in seeds.T], axis=1)
    found: dict[str, NDArray[np.intp]] = {}
    for axis, role in enumerate(roles):
        others = np.delete(codes, axis, axis=1)
        _, inverse, sizes = np.unique(others, axis=0, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(inverse.ravel() == int(sizes.argmax()))
        if len(np.unique(codes[rows, axis])) == len(rows) >= 3:
            found[role] = rows
    single = {int(row) for rows in found.values() for row in rows}
    rest = [row for row in range(len(codes)) if row not in single]
    varied = [row for row in rest if all((codes[rest, axis] == codes[row, axis]).sum() == 1 for axis in range(3))]
    if not found or len(varied) < 3:
        raise InputError(
            f"{len(varied)} runs in which all seeds vary, and groups for {', '.join(found) or 'no role'}",
            "three runs or more in each group, or a complete crossing",
            "Train with the other seeds fixed, for example over=['init'].",
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


def _one_at_a_time(
    groups: Mapping[str, Mapping[str, Any]], labels: ArrayLike | None, reference: str, split: str, nan: str
) -> SourceGroups:
    from scipy.special import fdtr

    check_choice(reference, "reference", list(groups))
    found = [_group(part, labels, split, nan) for part in groups.values()]
    if len({group.examples for group in found}) > 1 or min(group.runs for group in found) < 2:
        raise InputError(
            f"groups of {[group.runs for group in found]} runs on {[group.examples for group in found]} examples",
            "two runs or more in each group, on the same examples",
        )
    base = found[list(groups).index(reference)]
    ratios = np.array([group.var_test for group in found]) / base.var_test
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
    )


def _group(part: Mapping[str, Any], labels: ArrayLike | None, split: str, nan: str) -> _Group:
    statistics, outcomes = counted(part.get("source"), labels, {}, correct=part.get("correct"), split=split, nan=nan)
    found = variance(statistics, pairs="none")
    voted = outcomes is None or outcomes.labels is not None
    return _Group(
        found.n_runs,
        found.n_examples,
        found.mean_acc,
        found.var_test,
        found.var_ind,
        found.var_dist,
        (found.ci_fixed_lo, found.ci_fixed_hi),
        calibration(statistics).disagreement if voted and statistics.labels is not None else math.nan,
    )


def _crossed(correct: NDArray[np.bool_], roles: tuple[str, str, str]) -> SourceComponents:
    """Return the components of correctness [a, b, c, examples]."""
    *levels, examples = correct.shape
    if min(levels) < 2 or examples < 2:
        raise InputError(f"correct of shape {correct.shape}", "two seeds or more of each role, and two examples")
    test = _mean_squares(correct.mean(axis=-1)[..., None])[:, 0]
    own = np.zeros(7)
    step = max(1, _BLOCK // math.prod(levels))
    for start in range(0, examples, step):
        own += _mean_squares(correct[..., start : start + step].astype(np.float64)).sum(axis=1)
    dist = examples / (examples - 1) * (test - own / examples**2)
    comp_test, comp_dist = _components(test, tuple(levels)), _components(dist, tuple(levels))
    return SourceComponents(
        roles=roles,
        levels=(levels[0], levels[1], levels[2]),
        n_examples=examples,
        ms_test=test,
        ms_dist=dist,
        comp_test=comp_test,
        comp_dist=comp_dist,
        total_test=float(comp_test.sum()),
        total_dist=float(comp_dist.sum()),
        total_effect_test=_total_effects(comp_test),
        total_effect_dist=_total_effects(comp_dist),
    )


def _mean_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squares [7, examples] of values [a, b, c, examples] in the order of the effects."""
    levels = values.shape[:3]
    found = np.empty((7, values.shape[3]))
    for row, effect in enumerate(_EFFECTS):
        contrast = np.zeros(values.shape)
        for size in range(len(effect) + 1):
            for kept in itertools.combinations(effect, size):
                averaged = tuple(axis for axis in range(3) if axis not in kept)
                contrast += (-1) ** (len(effect) - size) * values.mean(axis=averaged, keepdims=True)
        degrees = math.prod(levels[axis] - 1 for axis in effect)
        found[row] = np.square(contrast).sum(axis=(0, 1, 2)) / degrees
    return found


def _components(squares: NDArray[np.float64], levels: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the random-effects components from mean squares (order a, b, c, ab, ac, bc, abc)."""
    i, j, k = levels
    a, b, c, ab, ac, bc, abc = squares.tolist()
    return np.array(
        [
            (a - ab - ac + abc) / (j * k),
            (b - ab - bc + abc) / (i * k),
            (c - ac - bc + abc) / (i * j),
            (ab - abc) / k,
            (ac - abc) / j,
            (bc - abc) / i,
            abc,
        ]
    )


def _total_effects(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each source, the sum of the components in which it takes part."""
    return np.array(
        [sum(components[row] for row, effect in enumerate(_EFFECTS) if axis in effect) for axis in range(3)]
    )
