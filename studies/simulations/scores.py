"""One number per run.

Runs are normal unless the setting says otherwise: skewed is lognormal (sigma 0.75), failing has one run in five 6 sd
lower, heavy tails are Student's t with 3 degrees; all have mean 0 and variance 1. Tests at 5 %, intervals at 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runspread.methods.scores import e_value, look_levels, plan_scores, t_boot_interval
from runspread.methods.scores.arms import maybe_best, versus_baseline
from runspread.methods.scores.basis import error_floor
from runspread.methods.scores.forms import Arm, difference, judged
from runspread.methods.scores.modes import shape
from runspread.methods.scores.one_arm import against_target, arm_intervals
from runspread.methods.scores.pairing import pairing
from runspread.methods.scores.ranks import newcombe_interval, pairs_above
from runspread.methods.scores.tasks import task_pairs
from runspread.methods.variance.power import welch_power
from simulations.promises import Promise, promise

FIVE, COVERED = (0.0, 0.05), (0.94, 0.96)
LOOKS = (3, 4, 5, 6, 8, 10, 13, 16, 20)


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(200, round(4000 * scale))
    yield from false_differences(sets)
    yield from margins(sets)
    yield from intervals(sets)
    yield from superiority(sets)
    yield from groups(max(100, round(1000 * scale)))
    yield from several(max(100, round(1000 * scale)))
    yield from tasks(max(50, round(300 * scale)))
    yield from plans(max(20, round(150 * scale)))
    yield from looks(max(100, round(1500 * scale)))
    yield from pairs(max(100, round(1500 * scale)))
    yield from test_sets(max(100, round(1500 * scale)))


def draw(rng: np.random.Generator, n: int, law: str = "normal") -> np.ndarray:
    """Return runs [n] of one law, mean 0 and variance 1."""
    if law == "skewed":
        s2 = 0.75**2
        raw, spread = rng.lognormal(0, 0.75, n), math.exp(s2 / 2) * math.sqrt(math.expm1(s2))
        return (raw - math.exp(s2 / 2)) / spread
    if law == "failing":
        raw = rng.normal(size=n) - 6 * (rng.random(n) < 0.2)
        return (raw + 1.2) / math.sqrt(1 + 36 * 0.16)
    if law == "heavy tails":
        return rng.standard_t(3, n) / math.sqrt(3)
    if law == "uniform":
        return rng.uniform(-math.sqrt(3), math.sqrt(3), n)
    if law == "exponential":
        return rng.exponential(size=n) - 1
    if law == "rounded":
        return np.round(rng.normal(size=n), 1)
    return rng.normal(size=n)


def _verdict(a: np.ndarray, b: np.ndarray, margin: float | None = None, asked: str = "better") -> str:
    return judged(difference(Arm.of(a), Arm.of(b)), margin, 0.95, asked, lower=False).verdict


def false_differences(sets: int) -> Iterator[Promise]:
    """Call equal means different in at most 5 % of cases; the guarded form in at most 8.4 % where it is stretched."""
    what = "better or worse is said of equal means"
    cells = [(n, n, 1.0, "normal", FIVE) for n in (2, 3, 5, 10)]
    cells += [(a, b, 1.0, "normal", FIVE) for a, b in ((2, 8), (20, 2), (3, 20), (1, 5))]
    cells += [(n, n, 3.0, "normal", FIVE) for n in (3, 5, 10)]
    cells += [(2, 8, 1 / 3, "normal", (0.0, 0.084)), (2, 20, 1 / 3, "normal", (0.0, 0.084))]
    cells += [(5, 5, 1.0, law, FIVE) for law in ("skewed", "failing", "heavy tails")]
    cells += [(5, 5, 3.0, law, FIVE) for law in ("skewed", "failing")]
    for number, (a, b, ratio, law, bounds) in enumerate(cells):
        rng = np.random.default_rng([40, number])
        hits = [_verdict(draw(rng, a, law), ratio * draw(rng, b, law)) != "undecided" for _ in range(sets)]
        spread = "" if ratio == 1 else f", new spreads {ratio:.2g} times as much"
        assumed = law == "normal" or ratio == 1
        yield promise(what, f"{a} and {b} runs, {law}{spread}", bounds, hits, assumed=assumed)


def margins(sets: int) -> Iterator[Promise]:
    """Show not worse and equivalent in at most 5 % of cases where the truth lies at the margin of 1 sd."""
    for asked in ("not worse", "equivalent"):
        for number, n in enumerate((2, 3, 5, 10)):
            rng = np.random.default_rng([41, number])
            hits = [_verdict(draw(rng, n), draw(rng, n) - 1.0, 1.0, asked) in (asked, "better") for _ in range(sets)]
            yield promise(f"{asked} is shown though new is worse by the margin", f"{n} runs each", FIVE, hits)


def intervals(sets: int) -> Iterator[Promise]:
    """Cover the mean, the spread, the next run and the difference."""
    for number, (n, law) in enumerate([(n, "normal") for n in (2, 3, 5, 10)] + [(5, "skewed"), (5, "failing")]):
        rng = np.random.default_rng([42, number])
        found, assumed = {"mean": [], "standard deviation": [], "next run": [], "chance to beat 0": []}, law == "normal"
        for _ in range(sets):
            x = draw(rng, n, law)
            one, target = arm_intervals(x, 0.95), against_target(x, 0.0, 0.95, lower=False)
            found["mean"].append(one.mean_lo <= 0 <= one.mean_hi)
            found["standard deviation"].append(one.sd_lo <= 1 <= one.sd_hi)
            found["next run"].append(one.next_lo <= draw(rng, 1, law)[0] <= one.next_hi)
            found["chance to beat 0"].append(target.beat_normal_lo <= 0.5 <= target.beat_normal_hi)
        for name, hits in found.items():
            if assumed or name != "chance to beat 0":
                yield promise(f"interval of the {name} covers", f"{n} runs, {law}", COVERED, hits, assumed=assumed)


def superiority(sets: int) -> Iterator[Promise]:
    """Cover the chance that a new run is better: of few runs 90 % and more, as few values of it are possible."""
    for number, (n, gap) in enumerate([(n, gap) for n in (2, 3, 5, 10) for gap in (0.0, 1.0)]):
        rng, true, hits = np.random.default_rng([43, number]), 0.5 * math.erfc(-gap / 2), []
        for _ in range(sets):
            a, b = draw(rng, n), draw(rng, n) + gap
            low, high = newcombe_interval(pairs_above(a, b) / n**2, n, n, 0.95)
            hits.append(low <= true <= high)
        yield promise("interval of P(new better) covers", f"{n} runs each, {gap:g} sd apart", (0.9, 1.0), hits)


def groups(sets: int) -> Iterator[Promise]:
    """Call one group two in at most 5 % of cases."""
    laws = ("normal", "uniform", "exponential", "skewed", "heavy tails", "rounded")
    for number, (n, law) in enumerate([(n, law) for n in (8, 20) for law in laws]):
        rng = np.random.default_rng([44, number])
        hits = [shape(draw(rng, n, law)).two_groups for _ in range(sets)]
        yield promise("two groups are said of one", f"{n} runs, {law}", FIVE, hits)


def several(sets: int) -> Iterator[Promise]:
    """Keep the best arm in the set, and err with any of the arms against a baseline in at most 5 % of cases."""
    cells = [(k, n, "normal", 1.0) for k in (3, 5, 10) for n in (3, 10)]
    cells += [(5, 3, "normal", 3.0), (5, 5, "skewed", 1.0), (5, 5, "failing", 3.0)]
    for number, (k, n, law, ratio) in enumerate(cells):
        rng, kept, wrong = np.random.default_rng([45, number]), [], []
        scales = np.linspace(1, ratio, k)
        for _ in range(sets):
            values = [scale * draw(rng, n, law) for scale in scales]
            kept.append(bool(maybe_best(values, 0.95, lower=False)[0]))
            wrong.append(bool((versus_baseline(values, 0, 0.95).p_baseline_holm <= 0.05).any()))
        setting, assumed = f"{k} equal arms of {n} runs, {law}{f', sd 1 to {ratio:g}' * (ratio != 1)}", law == "normal"
        yield promise("an arm that is as good as any may be the best", setting, (0.95, 1.0), kept, assumed=assumed)
        yield promise("some arm is said to differ from an equal baseline", setting, FIVE, wrong, assumed=assumed)


def tasks(sets: int) -> Iterator[Promise]:
    """Cover aggregates by resampled runs; call equal methods different in at most 5 % of cases on tasks like these."""
    for number, (m, n) in enumerate([(m, n) for m in (3, 10) for n in (2, 3, 5)]):
        rng, found = np.random.default_rng([46, number]), {"mean": [], "iqm": []}
        for _ in range(sets):
            arm = [draw(rng, n) for _ in range(m)]
            for kind, hits in found.items():
                _, low, high = t_boot_interval([arm], kind, 0.95, draws=300, seed=int(rng.integers(2**31)))
                hits.append(low <= 0 <= high)
        for kind, hits in found.items():
            yield promise(
                f"interval of the {kind} over tasks covers", f"{m} tasks, {n} runs per task", (0.93, 0.99), hits
            )
    for number, (m, shift) in enumerate([(m, shift) for m in (3, 10) for shift in (0.0, 1.0)]):
        rng, wrong = np.random.default_rng([47, number]), []
        for _ in range(4 * sets):
            own = shift * rng.normal(size=m)
            cells = [[draw(rng, 3) for _ in range(m)], [draw(rng, 3) + at for at in own]]
            wrong.append(bool(task_pairs(cells).p_like_used[0] <= 0.05))
        setting = f"{m} tasks, 3 runs per task, the difference varies by {shift:g} sd from task to task"
        yield promise("methods equal on tasks like these are said to differ there", setting, FIVE, wrong)


def plans(sets: int) -> Iterator[Promise]:
    """Have the power asked for on average over pilots (a draw of the comparison each)."""
    for number, runs in enumerate((3, 5, 10)):
        rng, shown = np.random.default_rng([48, number]), []
        for _ in range(sets):
            plan = plan_scores(1.0, pilot=draw(rng, runs))
            power = welch_power(1.0, 1.0, 1.0, int(plan.runs_assurance), int(plan.runs_assurance), 0.05)
            shown += (rng.random(50) < power).tolist()
        yield promise("a planned comparison shows the gap", f"pilot of {runs} runs, gap of 1 sd", (0.78, 0.85), shown)


def looks(sets: int) -> Iterator[Promise]:
    """Err in at most 5 % of cases over all planned looks together."""
    for kind in ("pocock", "obrien-fleming"):
        levels = look_levels(LOOKS, kind=kind)
        for law in ("normal", "skewed", "failing", "heavy tails"):
            rng, wrong = np.random.default_rng(49), []
            for _ in range(sets):
                a, b = draw(rng, LOOKS[-1], law), draw(rng, LOOKS[-1], law)
                ps = [difference(Arm.of(a[:n]), Arm.of(b[:n])).p() for n in LOOKS]
                wrong.append(bool((np.array(ps) <= levels).any()))
            yield promise("a difference is said at some look at equal means", f"9 looks, {kind}, {law}", FIVE, wrong)
    rng, wrong = np.random.default_rng(50), []
    for _ in range(sets):
        a, b = draw(rng, 20), draw(rng, 20)
        wrong.append(max(e_value(a[:n], b[:n]) for n in range(2, 21)) >= 20)
    yield promise("the always valid test stops at equal means", "after each run from 2 to 20", FIVE, wrong)


def pairs(sets: int) -> Iterator[Promise]:
    """Pair runs only where their correlation is shown, so that the test keeps its size."""
    for number, (rho, n) in enumerate([(rho, n) for rho in (0.0, 0.6, 0.9) for n in (3, 5, 10)]):
        rng, wrong = np.random.default_rng([51, number]), []
        for _ in range(sets):
            shared = draw(rng, n)
            a, b = (math.sqrt(rho) * shared + math.sqrt(1 - rho) * draw(rng, n) for _ in range(2))
            one = pairing(a, b, range(n), range(n), 0.95)
            found = one.difference(b.mean() - a.mean()) if one.paired else difference(Arm.of(a), Arm.of(b))
            wrong.append(found.p() <= 0.05)
        yield promise(
            "better or worse is said of equal means, paired=True", f"{n} pairs, correlation {rho:g}", FIVE, wrong
        )


def test_sets(sets: int) -> Iterator[Promise]:
    """Call methods different that are equally good on the distribution, from accuracies on one test set of 500.

    Examples are of several difficulties, on which the methods differ; errors of runs on an example are independent.
    """
    what = "better or worse is said of methods that are equally good on other examples"
    for number, n in enumerate((2, 3, 5, 10)):
        rng, plain, floored = np.random.default_rng([50, number]), [], []
        for _ in range(sets):
            hard = rng.normal(1.5, 1.5, 500)
            rates = [1 / (1 + np.exp(-hard - rng.normal(0, 1.5, 500))) for _ in range(2)]
            a, b = ((rng.random((n, 500)) < rate).mean(axis=1) for rate in rates)
            plain.append(_verdict(a, b) != "undecided")
            arms = [Arm.of(x, error_floor(x, 500, "fraction", "accuracy")) for x in (a, b)]
            floored.append(judged(difference(*arms), None, 0.95, "better", lower=False).verdict != "undecided")
        yield promise(what, f"{n} runs each, size of the test set given", FIVE, floored)
        yield promise(what, f"{n} runs each, size of the test set not given", FIVE, plain, assumed=False)
