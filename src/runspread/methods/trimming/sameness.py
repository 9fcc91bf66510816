"""Regression test for training code: whether two sets of runs can be distinguished by their outputs and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack

import numpy as np

from ..._checks import check_choice, check_integers, check_seed
from ..._reading.margins import Floats
from ..._reading.opening import opens
from ..._reading.outputs import check_same_examples
from ..._reading.scalars import Scalars
from ..._results import Result, Table
from ...errors import InputError
from .._ties import merge
from ..audit.auditing import warns_of_seeds
from .agreement import Agreement
from .curve import curve_alphas
from .defaults import ALLOWED, EPSILON, MODE, PERMUTATIONS, REFERENCE, TrimmingSettings
from .exchanges import ROUNDING, Exchanges, check_resolution, exchanges
from .inputs import Inputs
from .laws import Merged
from .levels import Pair, beyond_reach, check_alpha, threshold_terms
from .nodes import SLACK, Nodes, distance, smallest_level
from .resampling import Counter, in_threads
from .sameness_words import counted, sentence

CURVE_POINTS = 51
THRESHOLDS = ("permutation", "dkw", "rigorous")
NAN = float("nan")


@dataclass(frozen=True, eq=False, kw_only=True)
class SameModel(Result):
    """Whether new runs can be distinguished from old ones: by their outputs beyond a fraction alpha, or by answers.

    Attributes
    ----------
    same : bool
        Whether neither test shows a difference: of distributions, beyond `alpha`, or of answers, example by example.
    same_distribution : bool
        Whether `level` is at most `alpha`.
    same_examples : bool or None
        Whether `p_examples` is above `epsilon_each`; None where answers were not compared.
    level : float
        Smallest fraction of the new runs' average distribution that must be discarded for the rest to be
        indistinguishable from the old; inf where no trimming helps. The largest over the classes for one-vs-rest.
    alpha : float
        Fraction that may differ.
    class_levels : ndarray [statistics]
        Level of each statistic: one, or one a class for one-vs-rest.
    distance : float
        Kolmogorov distance of the two average distributions, the largest over the statistics.
    p_value : float
        Of equal distributions, over exchanges of runs; NaN for other thresholds.
    p_examples : float
        Of equal answers example by example, over the same exchanges; NaN where answers were not compared.
    epsilon_each : float
        Level of each test: half of `epsilon` where there are two.
    arrangements : int
        Arrangements of the runs that p-values are shares of, the observed one among them; 0 for other thresholds.
    exact : bool
        Whether these are all that can be distinguished.
    disagreement : (float, float, float)
        Mean share of examples on which two old runs, an old and a new one, two new ones predict different classes (of
        single outputs without labels, the mean absolute difference); NaN where answers were not compared.
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

    picture = ".plots:plot_same_model"

    same: bool
    same_distribution: bool
    same_examples: bool | None
    level: float
    alpha: float
    class_levels: Floats
    distance: float
    p_value: float
    p_examples: float
    epsilon_each: float
    arrangements: int
    exact: bool
    disagreement: tuple[float, float, float]
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
            "p-value, distribution of outputs": self.p_value,
            "p-value, example by example": self.p_examples,
            "level of each test": self.epsilon_each,
            "arrangements of the runs": self.arrangements or None,
        }
        names = ("old with old", "old with new", "new with new")
        facts |= {f"disagreement, {name}": share for name, share in zip(names, self.disagreement, strict=True)}
        facts |= {"mean accuracy, old": self.accuracy_old, "mean accuracy, new": self.accuracy_new}
        if len(self.class_levels) > 1:
            facts |= {f"level of class {k}": level for k, level in enumerate(self.class_levels)}
        return Table({"": list(facts), "value": list(facts.values())})

    def sentence(self) -> str:
        """Return the verdict, what it rests on and what it cannot see."""
        return sentence(self)


@opens("old", "new")
@warns_of_seeds(pooled=True)
def same(
    old: Any,
    new: Any,
    *,
    alpha: float = ALLOWED,
    threshold: Literal["permutation", "dkw", "rigorous"] | float = "permutation",
    epsilon: float = EPSILON,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    **settings: Unpack[TrimmingSettings],
) -> SameModel:
    """Say whether runs of new training code can be distinguished from runs of the old.

    The average distribution of the new runs' outputs is trimmed until it is not distinguishable from that of the old
    runs. Where labels or examples' ids show that both have the same examples, the answers are compared example by
    example as well.

    Parameters
    ----------
    old, new : array_like, RunOutputs or study
        Logits [runs, examples, classes], or scalar outputs of a floating type [runs, examples]. Copies of a run count
        once where runs are exchanged.
    alpha : float
        Fraction of the new distribution that may differ, in [0, 1).
    threshold : {"permutation", "dkw", "rigorous"} or float
        ``permutation``: the distance that runs exchanged between the two sets exceed with probability `epsilon`; it
        needs the same examples, and accounts for the seeds. If the code is the same, the answer is 'no' with
        probability at most `epsilon`, whatever the number of runs. ``dkw`` and ``rigorous``: see `trimming_level`;
        for sets that were evaluated on two independent samples of examples. They hold for these runs, not for other
        seeds, and compare distributions only.
    epsilon : float
        Probability of a false alarm; with answers compared too, half of it for each test.
    permutations : int
        Exchanges of runs: all, where there are fewer, else so many distinct random ones; more where each of two tests
        needs them to reach half of epsilon.
    seed : int
        Seed of random exchanges.
    **settings
        As in `trimming`: see `TrimmingSettings`.

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
    than too large, the more so the fewer the runs. Answers are compared by the energy distance of the runs under their
    share of disagreements (Szekely and Rizzo, doi 10.1016/j.jspi.2013.03.018), and by mean accuracy; with one run on a
    side they are not. The scalar outputs of all runs are held and sorted together: some 90 bytes a value at the peak,
    for every class of one-vs-rest.
    """
    allowed, inputs = check_alpha(alpha), Inputs.of(same, settings)
    given = [inputs.read(source) for source in (old, new)]
    exchanged = threshold == "permutation"
    before, after = (runs.distinct() if exchanged else runs for runs in given)
    _check_alike(before, after, threshold)
    if exchanged:
        copies = sum(len(runs.run_ids) for runs in given) - len(before.run_ids) - len(after.run_ids)
        found = _exchanged(before, after, epsilon, permutations, seed, copies, inputs)
    else:
        found = _Tests(_bound(before, after, threshold, epsilon), epsilon)
    pairs = [_nodes(first, second) for first, second in zip(before.values, after.values, strict=True)]
    levels = np.concatenate([smallest_level(nodes, found.delta) for nodes in pairs])
    alphas = curve_alphas(float(levels.max()), CURVE_POINTS)
    curve = np.array([[distance(nodes, 1 / (1 - level))[0] for level in alphas] for nodes in pairs]).max(0)
    alike, answers = bool(levels.max() <= allowed + SLACK), found.same_examples
    return SameModel(
        same=alike and answers is not False,
        same_distribution=alike,
        same_examples=answers,
        level=float(levels.max()),
        alpha=allowed,
        class_levels=levels,
        distance=float(curve[0]),
        p_value=found.p_value,
        p_examples=found.p_examples,
        epsilon_each=found.level,
        arrangements=found.arrangements,
        exact=found.exact,
        disagreement=found.disagreement,
        delta=found.delta,
        alphas=alphas,
        distances=curve,
        n_old=len(before.run_ids),
        n_new=len(after.run_ids),
        examples_old=before.values.shape[2],
        examples_new=after.values.shape[2],
        accuracy_old=before.mean_accuracy(),
        accuracy_new=after.mean_accuracy(),
        margin=before.margin,
        classes=inputs.scalars.classes,
        clip=inputs.scalars.clip,
        reference=REFERENCE,
        mode=MODE,
        threshold=threshold,
        epsilon=epsilon,
        seed=seed,
        excluded=before.excluded + after.excluded,
        warnings=_warnings(before, after, [len(runs.run_ids) for runs in given]),
    )


@dataclass(frozen=True)
class _Tests:
    """The threshold of the distance, as (constant, slope), the level of each test, and what exchanges of runs gave."""

    delta: tuple[float, float]
    level: float
    p_value: float = NAN
    p_examples: float = NAN
    arrangements: int = 0
    exact: bool = False
    disagreement: tuple[float, float, float] = (NAN, NAN, NAN)

    @property
    def same_examples(self) -> bool | None:
        """Whether answers are not shown to differ; None where they were not compared."""
        return None if np.isnan(self.p_examples) else self.p_examples > self.level * (1 + ROUNDING)


def _warnings(old: Scalars, new: Scalars, given: Sequence[int]) -> tuple[str, ...]:
    notes: list[str] = []
    if shared := new.count_in(old):
        have = "has" if shared == 1 else "have"
        notes.append(f"{counted(shared, 'new run')} {have} exactly the outputs of an old run: are these two studies?")
    for name, runs, number in (("old", old, given[0]), ("new", new, given[1])):
        aside = number - len(runs.run_ids)
        if copies := aside or runs.count_copies():
            notes.append(
                f"{counted(copies, f'{name} run')} {'has' if copies == 1 else 'have'} exactly the outputs of another"
                f"{', or nearly so, and count once' if aside else ': leave the copies out'}."
            )
    return tuple(notes)


def _bound(old: Scalars, new: Scalars, threshold: str | float, epsilon: float) -> tuple[float, float]:
    """Return the threshold that holds for two samples of examples."""
    if isinstance(threshold, str):
        check_choice(threshold, "threshold", THRESHOLDS)
    bound: Any = threshold
    sizes = new.values.shape[2], old.values.shape[2]
    delta = threshold_terms(bound, epsilon, *sizes, "step", len(old.values))
    if beyond_reach(delta):
        raise InputError(
            f"cannot tell: {sizes[1]} old and {sizes[0]} new examples, for which the threshold is {sum(delta):.3g}",
            "a threshold below 1, the largest distance",
            "Use more examples.",
        )
    return delta


def _nodes(old: Floats, new: Floats) -> Nodes:
    """Return the nodes of two average distributions: the pooled values, since all runs have as many."""
    first, second = merge(old.ravel(), new.ravel())
    (nodes,) = Pair(np.sort(first), np.sort(second)[None], "step").nodes()
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
    epsilon: float,
    permutations: int,
    seed: int,
    copies: int,
    inputs: Inputs,
) -> _Tests:
    """Compare distributions, and answers where the examples are known to be the same, over exchanges of runs."""
    n_old, n_new = len(old.run_ids), len(new.run_ids)
    permutations, seed = int(check_integers(permutations, "permutations", 1, None)), check_seed(seed)
    aligned = all(runs.right is not None for runs in (old, new)) or None not in (old.example_ids, new.example_ids)
    level, permutations = check_resolution(n_old, n_new, permutations, epsilon, 2 if aligned else 1, copies)
    answered = aligned and min(n_old, n_new) > 1
    level = level if answered else epsilon
    ways = exchanges(n_old, n_new, permutations, np.random.default_rng(seed))
    distances = _distances(old, new, ways, inputs)
    delta = ways.threshold(distances, level), 0.0
    whole = _Tests(delta, level, ways.p_value(distances), NAN, len(ways.new), ways.exact)
    if not answered:
        return whole
    answers = Agreement.of(old, new)
    p_examples = ways.p_value(answers.statistics(ways.new))
    return replace(whole, p_examples=p_examples, disagreement=answers.shares(ways.new))


def _distances(old: Scalars, new: Scalars, ways: Exchanges, inputs: Inputs) -> Floats:
    """Return the distance of the two sets under each arrangement [arrangements], the largest over the statistics."""
    n_old, n_new = len(old.run_ids), len(new.run_ids)
    merged = [Merged.of(np.concatenate(pair)) for pair in zip(old.values, new.values, strict=True)]
    weights = np.where(ways.new, n_old, -n_new)  # whole numbers, so that equal distances are equal
    total = n_old * n_new * old.values.shape[2]

    def largest(row: int) -> float:
        return max(int(np.abs(np.cumsum(weights[row][each.run])[each.ends]).max()) for each in merged) / total

    counter = Counter(len(weights) - 1, inputs.progress)
    others = in_threads(lambda index: largest(index + 1), len(weights) - 1, inputs.workers, counter)
    return np.array([largest(0), *others])
