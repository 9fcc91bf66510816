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
from .levels import Pair, beyond_reach, check_alpha, threshold_terms
from .merged_values import MergedValues
from .nodes import SLACK, Nodes, distance, smallest_level
from .records import ComparisonSettings, NewRuns, OldRuns, SameTests
from .resampling import Counter, in_threads
from .sameness_words import counted, sentence

CURVE_POINTS = 51
THRESHOLDS = ("permutation", "dkw", "rigorous")


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
        Whether ``tests.p_examples`` is above ``tests.epsilon_each``; None where answers were not compared.
    level : float
        Smallest fraction of the new runs' average distribution that must be discarded for the rest to be
        indistinguishable from the old; inf where no trimming helps. The largest over the classes for one-vs-rest.
    alpha : float
        Fraction that may differ.
    class_levels : ndarray [statistics]
        Level of each statistic: one, or one per class for one-vs-rest.
    distance : float
        Kolmogorov distance of the two average distributions, the largest over the statistics.
    delta : (float, float)
        A distance is accepted up to ``delta[0] + delta[1] / (1 - alpha)``.
    alphas, distances : ndarray [levels]
        Trimmed distance by level, the largest over the statistics.
    tests : SameTests
        p-values, and what they rest on.
    old, new : Side
        Numbers of runs and examples, and mean accuracy.
    settings : ComparisonSettings
        Margin, classes, clip, reference, mode, threshold, epsilon and seed; the reference is the mixture of the old
        runs.
    """

    picture = ".plots:plot_same_model"

    same: bool
    same_distribution: bool
    same_examples: bool | None
    level: float
    alpha: float
    class_levels: Floats
    distance: float
    delta: tuple[float, float]
    alphas: Floats
    distances: Floats
    tests: SameTests
    old: OldRuns
    new: NewRuns
    settings: ComparisonSettings

    def table(self) -> Table:
        """Return the level of each statistic and the facts it rests on."""
        facts: dict[str, Any] = {
            "trimming level": self.level,
            "allowed": self.alpha,
            "distance": self.distance,
            "threshold": self.delta[0] + self.delta[1],
            "p-value, distribution of outputs": self.tests.p_value,
            "p-value, example by example": self.tests.p_examples,
            "level of each test": self.tests.epsilon_each,
            "arrangements of the runs": self.tests.arrangements or None,
        }
        names = ("old with old", "old with new", "new with new")
        facts |= {f"disagreement, {name}": share for name, share in zip(names, self.tests.disagreement, strict=True)}
        facts |= {"mean accuracy, old": self.old.accuracy, "mean accuracy, new": self.new.accuracy}
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
    side they are not. The scalar outputs of all runs are held and sorted together: some 90 bytes per value at the peak,
    for every class of one-vs-rest.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 2
    >>> outputs = 2 * np.eye(2)[labels] + rng.normal(size=(8, 200, 2))  # [runs, examples, classes]
    >>> rs.same(outputs, outputs[:, ::-1], epsilon=0.05, permutations=99).same
    True
    """
    allowed, inputs = check_alpha(alpha), Inputs.of(same, settings)
    given = [inputs.read(source) for source in (old, new)]
    exchanged = threshold == "permutation"
    before, after = (runs.distinct() if exchanged else runs for runs in given)
    _check_alike(before, after, threshold)
    if exchanged:
        copies = sum(len(runs.run_ids) for runs in given) - len(before.run_ids) - len(after.run_ids)
        delta, tests = _exchanged(before, after, epsilon, permutations, seed, copies, inputs)
    else:
        delta, tests = _bound(before, after, threshold, epsilon), SameTests(epsilon_each=epsilon)
    found = _trimmed(before, after, delta)
    alike, answers = bool(found["level"] <= allowed + SLACK), _same_examples(tests)
    return SameModel(
        same=alike and answers is not False,
        same_distribution=alike,
        same_examples=answers,
        alpha=allowed,
        delta=delta,
        tests=tests,
        old=OldRuns.counted(before),
        new=NewRuns.counted(after),
        settings=ComparisonSettings(
            **inputs.used(before), reference=REFERENCE, mode=MODE, threshold=threshold, epsilon=epsilon, seed=seed
        ),
        excluded=before.excluded + after.excluded,
        warnings=_warnings(before, after, [len(runs.run_ids) for runs in given]),
        **found,
    )


def _trimmed(old: Scalars, new: Scalars, delta: tuple[float, float]) -> dict[str, Any]:
    """Return how much of the new runs' average must be discarded, and the distance that is left by level."""
    pairs = [_nodes(first, second) for first, second in zip(old.values, new.values, strict=True)]
    levels = np.concatenate([smallest_level(nodes, delta) for nodes in pairs])
    alphas = curve_alphas(float(levels.max()), CURVE_POINTS)
    curve = np.array([[distance(nodes, 1 / (1 - level))[0] for level in alphas] for nodes in pairs]).max(0)
    return {
        "level": float(levels.max()),
        "class_levels": levels,
        "distance": float(curve[0]),
        "alphas": alphas,
        "distances": curve,
    }


def _same_examples(tests: SameTests) -> bool | None:
    """Return whether answers are not shown to differ; None where they were not compared."""
    return None if np.isnan(tests.p_examples) else tests.p_examples > tests.epsilon_each * (1 + ROUNDING)


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
                f"{', or nearly so, and count once' if aside else ': exclude the copies'}."
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
            f"got old runs with {old.n_classes} classes and new ones with {new.n_classes}", "the same classes in both"
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
) -> tuple[tuple[float, float], SameTests]:
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
    whole = SameTests(epsilon_each=level, p_value=ways.p_value(distances), arrangements=len(ways.new), exact=ways.exact)
    if not answered:
        return delta, whole
    answers = Agreement.of(old, new)
    p_examples = ways.p_value(answers.statistics(ways.new))
    return delta, replace(whole, p_examples=p_examples, disagreement=answers.shares(ways.new))


def _distances(old: Scalars, new: Scalars, ways: Exchanges, inputs: Inputs) -> Floats:
    """Return the distance of the two sets under each arrangement [arrangements], the largest over the statistics."""
    n_old, n_new = len(old.run_ids), len(new.run_ids)
    merged = [MergedValues.of(np.concatenate(pair)) for pair in zip(old.values, new.values, strict=True)]
    weights = np.where(ways.new, n_old, -n_new)  # whole numbers, so that equal distances are equal
    total = n_old * n_new * old.values.shape[2]

    def largest(row: int) -> float:
        return max(int(np.abs(np.cumsum(weights[row][each.run])[each.ends]).max()) for each in merged) / total

    counter = Counter(len(weights) - 1, inputs.progress)
    others = in_threads(lambda index: largest(index + 1), len(weights) - 1, inputs.workers, counter)
    return np.array([largest(0), *others])
