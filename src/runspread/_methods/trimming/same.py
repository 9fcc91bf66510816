"""Regression test for training code: whether two sets of runs share one distribution of outputs."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_integers, check_seed
from ..._errors import InputError
from ..._reading.margins import Floats, Margin
from ..._reading.outputs import check_same_examples
from ..._reading.scalars import Reading, Scalars, read_scalars
from ..._results import Result, Table
from ..variance.audit import warns_of_seeds
from .curve import curve_alphas
from .laws import Merged
from .levels import Pair, check_alpha, check_epsilon, threshold_terms
from .nodes import SLACK, Nodes, distance, smallest_level
from .resampling import Counter, Progress, check_workers, in_threads

CURVE_POINTS = 51
THRESHOLDS = ("permutation", "dkw", "rigorous")


@dataclass(frozen=True, eq=False, kw_only=True)
class SameModel(Result):
    """Whether the outputs of new runs are distributed as those of old ones, up to a fraction alpha.

    Attributes
    ----------
    same : bool
        Whether `level` is at most `alpha`.
    level : float
        Smallest fraction of the new runs' average distribution that must be discarded for the rest not to be told
        from the old; inf where no trimming helps. The largest over the classes for one-vs-rest.
    alpha : float
        Fraction that may differ.
    class_levels : ndarray [statistics]
        Level of each statistic: one, or one a class for one-vs-rest.
    distance : float
        Kolmogorov distance of the two average distributions, the largest over the statistics.
    p_value : float
        Of equality, over permutations of the runs; NaN for other thresholds.
    delta : (float, float)
        A distance is accepted up to ``delta[0] + delta[1] / (1 - alpha)``.
    alphas, distances : ndarray [levels]
        Trimmed distance by level, the largest over the statistics.
    n_old, n_new : int
        Runs.
    examples_old, examples_new : int
        Examples.
    accuracy_old, accuracy_new : float
        Mean accuracies; NaN without labels.
    margin, classes, clip, reference, mode, threshold, epsilon, seed
        Settings; the reference is the mixture of the old runs.
    """

    same: bool
    level: float
    alpha: float
    class_levels: Floats
    distance: float
    p_value: float
    delta: tuple[float, float]
    alphas: Floats
    distances: Floats
    n_old: int
    n_new: int
    examples_old: int
    examples_new: int
    accuracy_old: float
    accuracy_new: float
    margin: str
    classes: tuple[int, int] | None
    clip: tuple[float, float] | None
    reference: str
    mode: str
    threshold: str | float
    epsilon: float
    seed: int

    def table(self) -> Table:
        """Return the level of each statistic and the facts it rests on."""
        facts: dict[str, Any] = {
            "trimming level": self.level,
            "allowed": self.alpha,
            "distance": self.distance,
            "threshold": self.delta[0] + self.delta[1],
            "p-value of equality": self.p_value,
            "mean accuracy, old": self.accuracy_old,
            "mean accuracy, new": self.accuracy_new,
        }
        if len(self.class_levels) > 1:
            facts |= {f"level of class {k}": level for k, level in enumerate(self.class_levels)}
        return Table({"": list(facts), "value": list(facts.values())})

    def sentence(self) -> str:
        """Return the verdict, what it rests on and what it cannot see."""
        verdict = "are" if self.same else "are not"
        p_value = "" if np.isnan(self.p_value) else f", p-value of equality {self.p_value:.3g}"
        return (
            f"The outputs of {self.n_new} new runs {verdict} distributed as those of {self.n_old} old runs up to "
            f"{self.alpha:g}: the trimming level is {self.level:.3f} (distance {self.distance:.4f}, threshold "
            f"{self.delta[0] + self.delta[1]:.4f} by {self.threshold}, epsilon {self.epsilon:g}{p_value}; "
            f"{self.examples_new} examples). It compares distributions over all examples: changes that keep them, and "
            "changes too small for these numbers of runs, go unseen."
        )


@warns_of_seeds(pooled=True)
def same_model(
    old: Any,
    new: Any,
    *,
    alpha: float = 0.05,
    threshold: Literal["permutation", "dkw", "rigorous"] | float = "permutation",
    epsilon: float = 0.01,
    permutations: int = 999,
    margin: Margin | None = None,
    labels: ArrayLike | None = None,
    classes: tuple[int, int] | None = None,
    clip: tuple[float, float] | None = None,
    split: str = "test",
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SameModel:
    """Say whether new training code gives the same distribution of outputs as the old, up to a fraction alpha.

    The average distribution of the new runs' outputs is trimmed until it is not told from that of the old runs.

    Parameters
    ----------
    old, new : array_like, RunOutputs or study
        Logits [runs, examples, classes], or scalar outputs of a floating type [runs, examples].
    alpha : float
        Fraction of the new distribution that may differ, in [0, 1).
    threshold : {"permutation", "dkw", "rigorous"} or float
        ``permutation``: the distance that runs exchanged between the two sets exceed with probability `epsilon`; it
        needs the same examples, and accounts for the seeds. If the code is the same, the answer is 'no' with
        probability at most `epsilon`, whatever the number of runs. ``dkw`` and ``rigorous``: see `trimming_level`;
        for sets that were evaluated on two independent samples of examples.
    epsilon : float
        Probability of a false alarm.
    permutations : int
        Number of random exchanges of runs.
    margin, labels, classes, clip, split, workers, progress
        As in `trimming`.
    seed : int
        Of the permutations.

    Returns
    -------
    SameModel
        The verdict and what it rests on.

    Raises
    ------
    InputError
        Too few runs or permutations to reach `epsilon`, different examples, or arguments out of range.

    Notes
    -----
    Trimming level: Banerjee et al., arXiv 2406.08307. With the permutation threshold, equality is tested exactly; the
    threshold grows with the difference of the two sets, so the level of a real difference comes out too small rather
    than too large, the more so the fewer the runs. The scalar outputs of all runs are held and sorted together: some
    90 bytes a value at the peak, for every class of one-vs-rest.
    """
    allowed, workers = check_alpha(alpha), check_workers(workers)
    reading = Reading(margin, classes, clip)
    before, after = (read_scalars(source, labels, split, reading) for source in (old, new))
    _check_alike(before, after, threshold)
    delta, p_value = _accepted_distance(before, after, threshold, epsilon, permutations, seed, workers, progress)
    laws = [_nodes(first, second) for first, second in zip(before.values, after.values, strict=True)]
    levels = np.concatenate([smallest_level(nodes, delta) for nodes in laws])
    alphas = curve_alphas(float(levels.max()), CURVE_POINTS)
    curve = np.array([[distance(nodes, 1 / (1 - level))[0] for level in alphas] for nodes in laws]).max(0)
    return SameModel(
        same=bool(levels.max() <= allowed + SLACK),
        level=float(levels.max()),
        alpha=allowed,
        class_levels=levels,
        distance=float(curve[0]),
        p_value=p_value,
        delta=delta,
        alphas=alphas,
        distances=curve,
        n_old=len(before.run_ids),
        n_new=len(after.run_ids),
        examples_old=before.values.shape[2],
        examples_new=after.values.shape[2],
        accuracy_old=before.mean_accuracy(),
        accuracy_new=after.mean_accuracy(),
        margin=before.margin,
        classes=classes,
        clip=clip,
        reference="mixture",
        mode="step",
        threshold=threshold,
        epsilon=epsilon,
        seed=seed,
        excluded=before.excluded + after.excluded,
        warnings=_warnings(before, after),
    )


def _warnings(old: Scalars, new: Scalars) -> tuple[str, ...]:
    notes: list[str] = []
    if shared := new.count_in(old):
        notes.append(f"{shared} new run(s) have exactly the outputs of an old run: are these two studies?")
    for name, runs in (("old", old), ("new", new)):
        if copies := runs.count_copies():
            notes.append(
                f"{copies} {name} run(s) have exactly the outputs of another: leave the copies out, or false alarms "
                "are more than epsilon says."
            )
    return tuple(notes)


def _accepted_distance(
    old: Scalars,
    new: Scalars,
    threshold: str | float,
    epsilon: float,
    permutations: int,
    seed: int,
    workers: int | None,
    progress: Progress | None,
) -> tuple[tuple[float, float], float]:
    """Return the threshold, as (constant, slope), and the p-value of equality, which only permutations give."""
    if threshold == "permutation":
        exchanged, apart = _exchanged(old, new, permutations, epsilon, seed, workers, progress)
        p_value = (1 + (exchanged >= apart).sum()) / (1 + len(exchanged))
        return (_exceeded_with(exchanged, epsilon), 0.0), float(p_value)
    if isinstance(threshold, str):
        check_choice(threshold, "threshold", THRESHOLDS)
    bound: Any = threshold
    sizes = new.values.shape[2], old.values.shape[2]
    return threshold_terms(bound, epsilon, *sizes, "step", len(old.values)), float("nan")


def _nodes(old: Floats, new: Floats) -> Nodes:
    """Return the nodes of two average distributions: the pooled values, since all runs have as many."""
    (nodes,) = Pair(np.sort(old, axis=None), np.sort(new, axis=None)[None], "step").nodes()
    return nodes


def _check_alike(old: Scalars, new: Scalars, threshold: str | float) -> None:
    if old.n_classes != new.n_classes:
        raise InputError(
            f"old runs with {old.n_classes} classes and new ones with {new.n_classes}", "the same classes in both"
        )
    if threshold != "permutation":
        return
    hint = "For two independent samples of examples use threshold='dkw'."
    sizes = old.values.shape[2], new.values.shape[2]
    if sizes[0] != sizes[1]:
        raise InputError(
            "old runs on {} examples and new ones on {}".format(*sizes), "the same examples in the same order", hint
        )
    labels, ids = {"old": old.labels, "new": new.labels}, {"old": old.example_ids, "new": new.example_ids}
    check_same_examples(labels, ids, hint)


def _exchanged(
    old: Scalars,
    new: Scalars,
    permutations: int,
    epsilon: float,
    seed: int,
    workers: int | None,
    progress: Progress | None,
) -> tuple[Floats, float]:
    """Return distances after exchanging runs at random [permutations], and the distance as it is.

    Each is the largest over the statistics.
    """
    n_old, n_new = len(old.run_ids), len(new.run_ids)
    check_epsilon(epsilon)
    permutations, seed = int(check_integers(permutations, "permutations", 1, None)), check_seed(seed)
    possible = min(comb(n_old + n_new, n_old), permutations + 1)
    if possible * epsilon < 1:
        raise InputError(
            f"{n_old} old and {n_new} new runs with {permutations} permutations, which give p-values down to "
            f"{1 / possible:.2g}",
            f"enough for epsilon {epsilon:g}",
            "Train more runs, allow more permutations, or choose a larger epsilon.",
        )
    merged = [Merged.of(np.concatenate(pair)) for pair in zip(old.values, new.values, strict=True)]
    weights = np.repeat([-n_new, n_old], [n_old, n_new])  # whole numbers, so that equal distances are equal
    rows = np.random.default_rng(seed).permuted(np.tile(weights, (permutations, 1)), axis=1)
    total = n_old * n_new * old.values.shape[2]

    def largest(row: NDArray[np.int64]) -> float:
        return max(int(np.abs(np.cumsum(row[each.run])[each.ends]).max()) for each in merged) / total

    counter = Counter(permutations, progress)
    return np.array(in_threads(lambda index: largest(rows[index]), permutations, workers, counter)), largest(weights)


def _exceeded_with(distances: Floats, epsilon: float) -> float:
    """Return the smallest distance that is rejected by no permutation test of size `epsilon`."""
    rank = int(np.floor(epsilon * (len(distances) + 1) + 1e-9))
    return float(np.sort(distances)[-rank])
