"""Planning, and training until a question is answered.

Training until it is known: accuracies are normal with a standard deviation of 0.15 points. Without a baseline, a stop
is too early when the true standard error is still above the one asked for, or when the true spread needs more runs for
the gap (80 % power). Runs that fail lose so many standard deviations of the others.

Plans: runs of the probit model (see Variance of training) on 100 examples of mean difficulty 0.25, against others that
lose half a probit, so that both spread alike. A pilot of the first is planned from, then so many new runs of each are
compared, for the true gap; 80 % power is asked for. The range at 90 % is to hold the runs that the true spread takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import ndtr
from tests.methods.variance.probit import MEAN, TAU, draw_clustered

import runspread as rs
from runspread.methods.variance import InterimLook, StoppingRule, VarianceResult, plan_gap, plan_runs, stopping_rule
from runspread.methods.variance.power import runs_for_welch
from simulations.promises import Promise, promise

SD = 0.0015  # of accuracy between runs, as on CIFAR-10
AT_MOST = (0.0, 0.05)
POWER, COVERAGE = (0.78, 1.0), (0.87, 1.0)
EXAMPLES, BETA, EASY, WORSE, MOST = 100, 0.3, 0.25, -0.5, 150
TOO_EARLY, SHOWN = "training stops too early", "a comparison of the planned runs shows the gap"

Draw = Callable[[np.random.Generator, int], np.ndarray]


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets, plans = max(50, round(300 * scale)), max(50, round(150 * scale))
    yield from without_baseline(sets)
    yield from where_runs_fail(sets)
    yield from with_baseline(sets)
    yield from after_a_pilot(plans)
    yield from gaps(plans)
    yield from on_another_test_set(plans)
    yield from on_the_distribution(max(30, round(60 * scale)))


def stop(rule: StoppingRule, runs: np.ndarray, baseline: np.ndarray | None) -> InterimLook:
    """Return the look at which the rule stops."""
    count = rule.next_look(0)
    while True:
        assert count is not None
        look = rule.look(runs[:count], baseline)
        if look.stop:
            return look
        count = look.next_runs


def without_baseline(sets: int) -> Iterator[Promise]:
    """Stop too early as rarely as promised."""
    for question in ("se=0.05", "se=0.02", "gap=0.2", "gap=0.1"):
        rule = stopping_rule(question, max_runs=200)
        rng = np.random.default_rng(8)
        looks = [stop(rule, 0.94 + SD * rng.normal(size=200), None) for _ in range(sets)]
        if rule.kind == "se":
            needed = math.ceil((SD / rule.value) ** 2)
        else:
            needed = plan_runs(rule.value, variance=SD**2).runs_needed
        wrong = [look.answered and look.runs < needed for look in looks]
        yield promise(TOO_EARLY, f"--until {question}, {needed} runs needed", AT_MOST, wrong)


def failing(share: float, depth: float) -> Draw:
    """Return a draw of accuracies of which a share loses `depth` standard deviations of the others."""
    return lambda rng, runs: 0.9 + SD * (rng.normal(size=runs) - depth * (rng.random(runs) < share))


def where_runs_fail(sets: int) -> Iterator[Promise]:
    """Keep the promise where runs fail, if that is guarded against; else say what happens."""
    heavy: Draw = lambda rng, runs: 0.9 + SD * rng.standard_t(3, runs)  # noqa: E731
    failures = [
        (f"{share:.0%} of runs fail by {depth:g} sd", share, depth) for share in (0.1, 0.2) for depth in (5, 20)
    ]
    settings = [
        (text, failing(share, depth), SD * math.sqrt(1 + share * (1 - share) * depth**2), guard, guard > 0)
        for text, share, depth in failures
        for guard in (0.0, 0.1)
    ]
    settings += [
        ("no run fails", failing(0, 0), SD, 0.1, True),
        ("t distribution of 3 degrees", heavy, 3**0.5 * SD, 0.1, False),
    ]
    for text, draw, sd, guard, assumed in settings:
        rng = np.random.default_rng(10)
        rule = stopping_rule(f"se={100 * sd / math.sqrt(45)}", max_runs=120, failures=guard)
        looks = [stop(rule, draw(rng, 120), None) for _ in range(sets // 2)]
        guarded = "guarded against one in ten" if guard else "taken as normal"
        wrong = [look.answered and look.runs < 45 for look in looks]
        yield promise(TOO_EARLY, f"{text}, {guarded}, 45 runs needed", AT_MOST, wrong, assumed=assumed)


def _is_wrong(verdict: str, gap: float, smallest: float) -> bool:
    """Return whether a verdict claims what is not so (the true gap is zero or positive)."""
    return (
        verdict == "worse" or (verdict == "better" and gap == 0) or (verdict.startswith("smaller") and gap >= smallest)
    )


def with_baseline(sets: int) -> Iterator[Promise]:
    """Give a wrong verdict against a baseline as rarely as promised, over all looks."""
    settings = [
        (runs, gap, ratio, 0.0)
        for runs, gap, ratio in (
            (3, 0.0, 0.5),
            (3, 0.0, 2.0),
            (5, 0.0, 1.0),
            (10, 0.0, 1.0),
            (40, 0.0, 2.0),
            (40, 0.001, 1.0),
        )
    ]
    for runs, gap, ratio, share in (*settings, (10, 0.0, 1.0, 0.1)):
        rule = stopping_rule("gap=0.1", max_runs=120, against=runs)
        rng = np.random.default_rng([9, runs])
        draw = failing(share, 10)
        wrong = []
        for _ in range(sets):
            look = stop(rule, gap + 0.9 + ratio * (draw(rng, 120) - 0.9), draw(rng, runs))
            wrong.append(_is_wrong(look.verdict, gap, rule.value))
        setting = f"{runs} runs of the baseline, true gap {100 * gap:.1f} points, sd {ratio:g} times the baseline's"
        setting += f", {share:.0%} of all runs fail by 10 sd" if share else ""
        yield promise("a wrong verdict after training until gap=0.1", setting, AT_MOST, wrong, assumed=not share)


def truth(alpha: np.ndarray, beta: float) -> tuple[float, float]:
    """Return the true mean and variance of the accuracy of a run on examples of these difficulties."""
    nodes, weights = hermegauss(40)
    weights = weights / weights.sum()
    p = ndtr(alpha[:, None] + beta * nodes)
    mean = p.mean(axis=0) @ weights
    return float(mean), float(((p.mean(axis=0) - mean) ** 2 + (p * (1 - p)).mean(axis=0) / len(alpha)) @ weights)


def outcomes(rng: np.random.Generator, runs: int, alpha: np.ndarray, *, failures: float = 0.0) -> np.ndarray:
    """Return correctness of runs on these examples; a failing run loses 1.5 probits."""
    lost = 1.5 * (rng.random((runs, 1)) < failures)
    return rng.random((runs, len(alpha))) < ndtr(alpha + BETA * rng.normal(size=(runs, 1)) - lost)


def shown(rng: np.random.Generator, runs: float, alpha: np.ndarray, other: np.ndarray, on: str, **how: float) -> bool:
    """Return whether a comparison of so many new runs of each decides."""
    count = int(min(runs, MOST))
    found = rs.compare(correct=tuple(outcomes(rng, count, each, **how) for each in (alpha, other)))
    return found.verdict(on) in ("better", "worse")


def after_a_pilot(sets: int) -> Iterator[Promise]:
    """Have the power asked for with the runs planned, and hold the runs needed in the range."""
    for pilot, failures, easy in ((3, 0.0, EASY), (5, 0.0, EASY), (10, 0.0, EASY), (10, 0.1, EASY), (10, 0.0, MEAN)):
        rng = np.random.default_rng([11, pilot])
        right, held = [], []
        for _ in range(sets):
            alpha = rng.normal(easy, TAU, EXAMPLES)
            (mean, variance), (lower, other) = (truth(alpha + shift, BETA) for shift in (0, WORSE))
            plan = plan_runs(mean - lower, rs.variance(correct=outcomes(rng, pilot, alpha, failures=failures)))
            right.append(shown(rng, plan.runs_needed, alpha, alpha + WORSE, "test-set", failures=failures))
            held.append(plan.runs_low <= runs_for_welch(mean - lower, variance, other, 0.05, 0.8) <= plan.runs_high)
        broken = f", {failures:.0%} of runs fail" if failures else ""
        broken += ", the other spreads more than the pilot" if easy == MEAN else ""
        yield promise(SHOWN, f"pilot of {pilot} runs, this test set{broken}", POWER, right, assumed=not broken)
        if not broken:
            yield promise("the range of a plan holds the runs needed", f"pilot of {pilot} runs", COVERAGE, held)


def gaps(sets: int) -> Iterator[Promise]:
    """Show the gap that so many runs are said to show; differences within noise are rarely beyond it."""
    for pilot in (3, 10):
        rng = np.random.default_rng([12, pilot])
        right, noisy = [], []
        for _ in range(sets):
            values = 0.9 + SD * rng.normal(size=(2, 8))
            plan = plan_gap(8, _pilot(rng, pilot))
            difference = float(values[0].mean() - values[1].mean())
            noisy.append(abs(difference) > plan.gap_noise)
            error = math.sqrt(float(values.var(axis=1, ddof=1).sum()) / 8)
            right.append(abs(difference + plan.gap_needed) / error > _critical(values))
        yield promise(
            "Welch's test shows the gap that 8 runs of each are said to show", f"pilot of {pilot} runs", POWER, right
        )
        yield promise(
            "equal configurations differ by more than the noise said", f"pilot of {pilot} runs", AT_MOST, noisy
        )


def _critical(values: np.ndarray) -> float:
    from scipy.stats import t

    spread = values.var(axis=1, ddof=1)
    return float(t.ppf(0.975, spread.sum() ** 2 / ((spread**2).sum() / (values.shape[1] - 1))))


def _pilot(rng: np.random.Generator, runs: int) -> VarianceResult:
    """Return runs whose accuracies on 100,000 examples are normal with `SD`, all right on the first ones."""
    right = np.round(100_000 * (0.9 + SD * rng.normal(size=runs))).astype(int)
    return rs.variance(correct=np.arange(100_000) < right[:, None], pairs="none")


def on_another_test_set(sets: int) -> Iterator[Promise]:
    """Carry the spread to a test set of four times as many examples, alone or in clusters."""
    for size in (1, 5):
        rng = np.random.default_rng([13, size])
        right = []
        for _ in range(sets):
            correct, _, clusters = draw_clustered(rng, 8, np.full(40, size), 0.1, 0.5)
            found = rs.variance(correct=correct, clusters=clusters if size > 1 else None, pairs="none")
            plan = plan_runs(0.06, found, n_examples=4 * correct.shape[1])
            new = draw_clustered(rng, 2 * min(plan.runs_needed, MOST), np.full(160, size), 0.1, 0.5)[0]
            values = new.mean(axis=1).reshape(2, -1)
            error = math.sqrt(float(values.var(axis=1, ddof=1).sum()) / values.shape[1])
            right.append(abs(float(values[0].mean() - values[1].mean()) + 0.06) / error > _critical(values))
        groups = "examples" if size == 1 else "clusters of 5 examples"
        yield promise(SHOWN, f"pilot of 8 runs on 40 {groups}, planned for 160", POWER, right)


def on_the_distribution(sets: int) -> Iterator[Promise]:
    """Have the power asked for on the distribution: new runs on new examples."""
    rng = np.random.default_rng(14)
    shift = -0.9
    right = []
    gap = truth(rng.normal(MEAN, TAU, 40_000), BETA)[0] - truth(rng.normal(MEAN + shift, TAU, 40_000), BETA)[0]
    for _ in range(sets):
        draw = lambda: rng.normal(MEAN, TAU, EXAMPLES)  # noqa: E731
        alpha = draw()
        beyond = alpha + shift + rng.normal(0, 0.5, EXAMPLES)
        pilot = rs.compare(correct=(outcomes(rng, 6, alpha), outcomes(rng, 6, beyond)))
        plan = plan_runs(gap, pilot)
        new = draw()
        right.append(shown(rng, plan.runs_needed_dist, new, new + shift + rng.normal(0, 0.5, EXAMPLES), "distribution"))
    yield promise(SHOWN, "pilot of 6 and 6 runs, the distribution", POWER, right)
