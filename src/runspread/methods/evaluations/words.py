"""The sentences of evaluations: the answer, its interval, and what it does not cover (evals 9)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..._words import count, listed, p_text
from ..scores.one_arm import t_quantile

if TYPE_CHECKING:
    from .result import Evaluations, ModelDifference, ModelScore

COVERS = {
    "distribution": "on questions like these, over new trainings",
    "models": "on questions like these",
    "test-set": "on these questions, over new trainings",
    "samples": "on these questions from these checkpoints, over new answers",
}


def plural(noun: str) -> str:
    """Return the plural of what clusters are called."""
    ending = noun[-1:]
    return f"{noun[:-1]}ies" if ending == "y" and noun[-2:-1] not in "aeiou" else f"{noun}s"


def answer(one: Evaluations) -> str:
    """Return the answer of a result: of one model its mean, of two their difference, of more who is best."""
    if not one.differences:
        return _of_model(one, one.models[0])
    if one.question.chosen is not None:
        return _of_chosen(one, one.question.chosen)
    return _of_two(one, one.differences[0]) if len(one.differences) == 1 else _of_many(one)


def _unit(one: Evaluations, value: float) -> str:
    """Return a number in points with one decimal, small ones with two figures, or in the unit of the scores."""
    if not one.in_unit:
        return f"{value:.4g}"
    points = 100 * value
    return f"{points:.2g}" if 1e-9 < abs(points) < 0.05 else f"{points + 0.0:.1f}"


def _level(one: Evaluations) -> str:
    return f"{round(100 * one.question.level, 6):g} %"


def _of_model(one: Evaluations, score: ModelScore) -> str:
    """Return the mean of one model."""
    counts, noun = score.counts, one.question.clusters
    inside = f" in {count(counts.n_clusters, noun, plural(noun))}" if noun else ""
    what = f"{_unit(one, score.mean)}{' % of' if one.in_unit else ' on'} {count(counts.n_items, 'question')}{inside}"
    verb = "answers" if one.in_unit else "scores"
    cover = _cover(one, noun)
    ends = f"{_unit(one, score.lo)} to {_unit(one, score.hi)}"
    text = f"{score.model} {verb} {what} ({_level(one)} interval {ends} for {cover})."
    return f"{text} {_not_covered(one, [score])}".strip()


def _of_chosen(one: Evaluations, chosen: str) -> str:
    """Return how good the model is that led on the other half of the questions, and which it is better than."""
    score = next(score for score in one.models if score.model == chosen)
    scale = " %" if one.in_unit else ""
    ends = f"{_level(one)} interval {_unit(one, score.lo)} to {_unit(one, score.hi)}"
    found = f"{_unit(one, score.mean)}{scale} on the other ({ends}) {COVERS[one.question.on]}"
    groups = {word: [gap.old for gap in one.differences if gap.verdict == word] for word in _ORDER}
    words = {"undecided": "undecided against", "equivalent": "equivalent to"}
    told = [f"{words.get(word, f'{word} than')} {listed(names)}" for word, names in groups.items() if names]
    tests = count(len(one.differences), "comparison")
    text = f"{chosen} leads on one half of the questions and has {found}: {'; '.join(told)} (Holm over {tests})."
    return f"{text} {_not_covered(one, list(one.models))}".strip()


def _cover(one: Evaluations, noun: str | None) -> str:
    from_new = f" from new {plural(noun)}" if noun else ""
    return {
        "distribution": f"new questions{from_new}, new trainings",
        "models": f"new questions{from_new}, these checkpoints",
        "test-set": "new trainings, these questions",
        "samples": "new answers, these questions and checkpoints",
    }[one.question.on]


def _not_covered(one: Evaluations, scores: list[ModelScore]) -> str:
    if one.question.on in ("distribution", "test-set"):
        return ""
    single = all(score.counts.n_seeds == 1 for score in scores)
    start = "One training run" if len(scores) == 1 and single else "One training run each" if single else ""
    return f"{start}: the bar does not cover a new training." if start else "The bar does not cover a new training."


def _of_two(one: Evaluations, gap: ModelDifference) -> str:
    """Return the verdict on two models."""
    where, ends = COVERS[one.question.on], f"{_unit(one, gap.lo)} to {_unit(one, gap.hi)}"
    points = " points" if one.in_unit else ""
    scores = [score for score in one.models if score.model in (gap.old, gap.new)]
    seeds = [score.counts.n_seeds for score in scores]
    trained = ""
    if one.question.on in ("distribution", "test-set"):
        same = f"{seeds[0]} trainings each" if len(set(seeds)) == 1 else f"{listed(seeds)} trainings"
        trained = f", averaged over {same}"
    shown = min(gap.smallest_gap, 1.0) if one.in_unit else gap.smallest_gap
    least = f"a gap under {_unit(one, shown)}{points} would be missed one time in five"
    rest = _not_covered(one, scores)
    if not math.isnan(gap.posterior.p_better):
        rest = f"{_belief(gap)} {rest}".strip()
    if gap.verdict in ("better", "worse"):
        p = p_text(gap.p)
        what = f"{_unit(one, abs(gap.diff))}{points} {gap.verdict}"
        text = f"{gap.new} is {what} than {gap.old} ({ends}; {p}) {where}{trained}; {least}."
        return f"{text} {rest}".strip()
    if gap.verdict in ("not worse", "equivalent"):
        return f"{_within(one, gap)} {where}{trained}. {rest}".strip()
    text = f"Undecided: {gap.new} - {gap.old} = {_unit(one, gap.diff)}{points} ({ends}) {where}{trained}."
    if not math.isnan(gap.smallest_gap):
        text = f"{text} {least[:1].upper()}{least[1:]}."
    return f"{text} {rest}".strip()


def _belief(gap: ModelDifference) -> str:
    """Return the posterior probability that the new model is better; what rounds to 0 or 1 is neither."""
    share = 100 * gap.posterior.p_better
    shown = "less than 0.1" if share < 0.05 else "more than 99.9" if share > 99.95 else f"{share:.1f}"
    return f"With independent Jeffreys priors, {gap.new} is better with a probability of {shown} %."


def _within(one: Evaluations, gap: ModelDifference) -> str:
    """Return a verdict with a margin, and the interval that belongs to it: at 1 - 2 (1 - level)."""
    points, level = " points" if one.in_unit else "", one.question.level
    margin = f"{_unit(one, one.question.margin or 0.0)}{points}"
    half = t_quantile(level, gap.df) * gap.se
    ends = f"{_unit(one, gap.diff - half)} to {_unit(one, gap.diff + half)}"
    what = f"not worse than {gap.old} by more than {margin}"
    if gap.verdict == "equivalent":
        what = f"within {margin} of {gap.old}"
    interval = f"{round(100 * (2 * level - 1), 6):g} % interval {ends}"
    return f"{gap.new} is {what}: {_unit(one, gap.diff)}{points} ({interval})"


def _of_many(one: Evaluations) -> str:
    """Return who may be the best of several models, or who is better than the baseline."""
    where = COVERS[one.question.on]
    if one.question.baseline is not None:
        groups = {word: [gap.new for gap in one.differences if gap.verdict == word] for word in _ORDER}
        told = [f"{word}: {listed(names)}" for word, names in groups.items() if names]
        tests = count(len(one.differences), "comparison")
        text = f"Against {one.question.baseline}, {'; '.join(told)} (Holm over {tests}) {where}."
    else:
        leader = max(one.models, key=lambda score: score.mean)
        best = listed(one.may_be_best)
        first = f"{leader.model} leads with {_unit(one, leader.mean)}{' %' if one.in_unit else ''}"
        if len(one.may_be_best) == 1:
            tests = count(len(one.models) - 1, "comparison with it", "comparisons with it")
            text = f"{first} and is better than every other model (Holm over {tests}) {where}."
        else:
            text = f"{first}, and the best may be {best}: no test separates them {where}."
        text += " The leader's mean is chosen on these questions, and so too high on average."
    return f"{text} {_not_covered(one, list(one.models))}".strip()


_ORDER = ("better", "not worse", "equivalent", "undecided", "worse")
