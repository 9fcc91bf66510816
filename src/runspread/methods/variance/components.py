"""`sources`: which source of randomness the spread comes from (spec 6)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.accepting import examples_of
from ..._reading.copies import repeated_rows
from ..._reading.correctness import Outcomes, as_outcomes, checked_correct
from ..._reading.opening import opens
from ..._reading.outputs import check_same_examples
from ..._results import Excluded, Result, Table
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .class_calibration import calibration
from .estimate import variance
from .statistics import RunStatistics, counted
from .sums import ratio
from .wording import points, root

ROLES = ("init", "order", "augment")
_BLOCK = 2**22


def _effects(sources: int) -> tuple[tuple[int, ...], ...]:
    """Return the main effects and interactions: a, b, c, ab, ac, bc, abc for three sources."""
    axes = range(sources)
    return tuple(effect for size in range(1, sources + 1) for effect in itertools.combinations(axes, size))


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
        if not self.var_test[all_varied] > 0:
            return (
                f"The {self.n_runs[all_varied]} runs with all sources varied have equal accuracies on "
                f"{self.n_examples} examples: there is no spread to give shares of."
            )
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
    """Variance components of a crossed design of three seeds, or of two, one run a cell.

    Components come in the order a, b, c, ab, ac, bc, abc, with a, b, c the `roles`; with two a, b, ab. Negative ones
    stay negative.

    Attributes
    ----------
    roles : tuple of str
        Names of the sources.
    levels : tuple of int
        Number of seeds of each.
    n_examples : int
        Size of the test set.
    ms_test, ms_dist : ndarray of float [7 or 3]
        Mean squares of the accuracies, and their unbiased versions on the distribution.
    comp_test, comp_dist : ndarray of float [7 or 3]
        Variance components.
    total_test, total_dist : float
        Their sums: the variance between runs in which everything varies.
    total_effect_test, total_effect_dist : ndarray of float [sources]
        Expected variance when only that source varies.
    """

    picture = ".plots:plot_sources"

    roles: tuple[str, ...]
    levels: tuple[int, ...]
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
            "source": [" x ".join(self.roles[axis] for axis in effect) for effect in _effects(len(self.roles))],
            "share on test set": self.comp_test / (self.total_test or math.nan),
            "variance on test set": self.comp_test,
            "variance on distribution": self.comp_dist,
        }
        return Table(columns, formats={"share on test set": ".1%"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        if not self.total_test > 0:
            return (
                f"The {' x '.join(map(str, self.levels))} runs show no spread on {self.n_examples} examples to split "
                f"between {', '.join(self.roles)}."
            )
        shares = self.total_effect_test / self.total_test
        parts = ", ".join(f"{role} alone {share:.0%}" for role, share in zip(self.roles, shares, strict=True))
        cells = " x ".join(map(str, self.levels))
        between = "all three" if len(self.roles) == 3 else "the two"
        return (
            f"Varying one source gives, of the variance with all sources varied (sd {points(root(self.total_test))} "
            f"points, {cells} runs, {self.n_examples} examples): {parts}, each with the interactions it is part of; "
            f"{self.comp_test[-1] / self.total_test:.0%} is the interaction of {between}. Few levels make these shares "
            "rough."
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
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
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
    split, kind, nan
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
    reading: dict[str, Any] = {"split": split, "kind": kind, "nan": nan}
    for key, given in (("source", source), ("correct", correct)):
        if isinstance(given, Mapping):
            groups = {str(name): {key: runs} for name, runs in given.items()}
            return _one_at_a_time(groups, labels, reference, reading)
    if correct is not None and np.ndim(correct) in (3, 4):
        return _crossed(checked_correct(np.asarray(correct)), roles)
    outcomes = as_outcomes(source, labels, correct=correct, **reading)
    if outcomes.shape[0] < 2:
        raise InputError(f"{outcomes.shape[0]} usable run", "two or more, which differ in a seed")
    table = _seeds_of(source, outcomes, roles) if seeds is None else _seeds_given(seeds, outcomes, roles)
    vary = [axis for axis in range(len(roles)) if _codes(table[:, axis]).any()]
    table, roles = table[:, vary], [roles[axis] for axis in vary]
    matrix = np.concatenate([chunk.correct.copy() for chunk in outcomes.chunks()])
    cells = _cells(table)
    if cells is not None:
        notes = repeated_rows(np.packbits(matrix, axis=1), matrix.shape[1])
        return replace(_crossed(matrix[cells], roles), excluded=outcomes.excluded, warnings=notes)
    found = _groups(table, roles, reference)
    predicted = _predicted(outcomes)
    if predicted is None:
        parts = {name: {"correct": matrix[rows]} for name, rows in found.items()}
    else:
        parts = {name: {"source": predicted[rows]} for name, rows in found.items()}
    result = _one_at_a_time(parts, None if predicted is None else outcomes.labels, reference, {"split": split})
    return replace(result, excluded=outcomes.excluded)


def _seeds_given(seeds: ArrayLike, outcomes: Outcomes, roles: Sequence[str]) -> NDArray[Any]:
    """Return the seeds of the runs that are kept, from those of all runs or of those that are kept."""
    table = np.asarray(seeds)
    runs, kept = len(outcomes.keep), outcomes.shape[0]
    if table.ndim != 2 or table.shape[1] != len(roles) or len(table) not in (runs, kept):
        raise InputError(f"seeds of shape {table.shape}", f"[runs, {len(roles)}], here ({runs}, {len(roles)})")
    return table[outcomes.keep] if len(table) == runs else table


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
    """Return the run in each cell [a, b, ...] of a complete crossing with one run a cell, None for another design."""
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
            f"{len(varied)} runs in which all seeds vary, and groups for {', '.join(found) or 'no role'}",
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
            f"groups of {[group.runs for group in found]} runs on {[group.examples for group in found]} examples",
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


def _crossed(correct: NDArray[np.bool_], roles: Sequence[str]) -> SourceComponents:
    """Return the components of correctness [a, b, c, examples], or [a, b, examples]."""
    *levels, examples = correct.shape
    if len(levels) != len(roles) or min(levels) < 2 or examples < 2:
        raise InputError(
            f"correct of shape {correct.shape} for roles {', '.join(roles)}",
            "an axis a role with two seeds or more of each, and two examples",
        )
    test = _mean_squares(correct.mean(axis=-1)[..., None])[:, 0]
    own = np.zeros(len(test))
    step = max(1, _BLOCK // math.prod(levels))
    for start in range(0, examples, step):
        own += _mean_squares(correct[..., start : start + step].astype(np.float64)).sum(axis=1)
    dist = examples / (examples - 1) * (test - own / examples**2)
    comp_test, comp_dist = _components(test, tuple(levels)), _components(dist, tuple(levels))
    return SourceComponents(
        roles=tuple(roles),
        levels=tuple(levels),
        n_examples=examples,
        ms_test=test,
        ms_dist=dist,
        comp_test=comp_test,
        comp_dist=comp_dist,
        total_test=float(comp_test.sum()),
        total_dist=float(comp_dist.sum()),
        total_effect_test=_total_effects(comp_test, len(levels)),
        total_effect_dist=_total_effects(comp_dist, len(levels)),
    )


def _mean_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squares [effects, examples] of values [a, b, (c,) examples] in the order of the effects."""
    levels = values.shape[:-1]
    axes, effects = tuple(range(len(levels))), _effects(len(levels))
    found = np.empty((len(effects), values.shape[-1]))
    for row, effect in enumerate(effects):
        contrast = np.zeros(values.shape)
        for size in range(len(effect) + 1):
            for kept in itertools.combinations(effect, size):
                averaged = tuple(axis for axis in axes if axis not in kept)
                contrast += (-1) ** (len(effect) - size) * values.mean(axis=averaged, keepdims=True)
        degrees = math.prod(levels[axis] - 1 for axis in effect)
        found[row] = np.square(contrast).sum(axis=axes) / degrees
    return found


def _components(squares: NDArray[np.float64], levels: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the random-effects components: mean squares of an effect and of those that hold it, with changing sign."""
    effects = _effects(len(levels))
    found = np.empty(len(effects))
    for row, effect in enumerate(effects):
        signed = [
            (-1) ** (len(other) - len(effect)) * square
            for other, square in zip(effects, squares.tolist(), strict=True)
            if set(effect) <= set(other)
        ]
        found[row] = sum(signed) / math.prod(size for axis, size in enumerate(levels) if axis not in effect)
    return found


def _total_effects(components: NDArray[np.float64], sources: int) -> NDArray[np.float64]:
    """Return, for each source, the sum of the components in which it takes part."""
    effects = _effects(sources)
    return np.array(
        [sum(components[row] for row, effect in enumerate(effects) if axis in effect) for axis in range(sources)]
    )
