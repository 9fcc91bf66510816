"""One number per run: beside the mean of two arms.

Runs are normal with mean 0 and variance 1 unless the setting says otherwise. Tests at 5 %, intervals at 95 %. Bands of
profiles and the chance to improve have more than they say where arms or thresholds lie far from each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runspread.methods.scores import compare_metrics, compare_scores, plan_scores, t_boot_interval
from runspread.methods.scores.arms import all_pairs, maybe_best, versus_baseline
from runspread.methods.scores.bands import improvement_intervals, profile_bands
from runspread.methods.scores.forms import Arm, difference
from runspread.methods.scores.groups import group_shares
from runspread.methods.scores.one_arm import against_target, share_interval
from runspread.methods.scores.over_tasks import by_rank
from runspread.methods.scores.prior import Prior, moderated_form
from runspread.methods.scores.ranks import rank_sum_p
from runspread.methods.scores.task_intervals import task_margin
from runspread.methods.scores.tasks import task_pairs
from runspread.methods.scores.winner import winner
from runspread.methods.variance.power import welch_power
from simulations.promises import Promise, promise

FIVE, AT_LEAST = (0.0, 0.05), (0.95, 1.0)


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(60, round(600 * scale))
    yield from shared(sets, sets if scale >= 1 else sets // 6)
    yield from best_of_several(sets)
    yield from metrics(max(30, round(200 * scale)))
    yield from shares(sets)
    yield from task_margins(4 * sets)
    yield from ranked_tasks(sets)
    yield from over_tasks(max(30, round(150 * scale)))
    yield from priors(sets)
    yield from single(sets)
    yield from plans(4 if scale >= 1 else 3)


def _normal(mean: float, sd: float = 1.0) -> float:
    return 0.5 * math.erfc(-mean / sd / math.sqrt(2))


def shared(sets: int, tested: int) -> Iterator[Promise]:
    """Err with any arm in at most 5 % of cases where all spread alike (Dunnett, Tukey: their quadratures take long)."""
    cells = [(5, n, 1.0) for n in (2, 3, 5, 10)] + [(5, 3, 3.0)]
    for number, (k, n, ratio) in enumerate(cells):
        rng, dunnett, tukey, kept = np.random.default_rng([60, number]), [], [], []
        for at in range(sets):
            values = [scale * rng.normal(size=n) for scale in np.linspace(1, ratio, k)]
            kept.append(bool(maybe_best(values, 0.95, lower=False, spread="shared")[0]))
            if at < tested:
                tukey.append(bool((all_pairs(values, spread="shared").p_pairs_tukey <= 0.05).any()))
                found = versus_baseline(values, 0, 0.95, spread="shared")
                dunnett.append(bool((found.p_baseline_holm <= 0.05).any()))
        setting = f"{k} equal arms of {n} runs, spread='shared'{f', sd 1 to {ratio:g}' * (ratio != 1)}"
        assumed = ratio == 1
        yield promise("some arm is said to differ from an equal baseline", setting, FIVE, dunnett, assumed=assumed)
        yield promise("some pair of arms is said to differ (Tukey)", setting, FIVE, tukey, assumed=assumed)
        yield promise("an arm that is as good as any may be the best", setting, AT_LEAST, kept, assumed=assumed)


def best_of_several(sets: int) -> Iterator[Promise]:
    """Cover what the winner of several arms is worth."""
    for number, (k, n, apart) in enumerate([(k, n, apart) for k in (5, 10) for n in (3, 10) for apart in (0.0, 1.0)]):
        rng, hits = np.random.default_rng([61, number]), []
        for _ in range(sets):
            true = apart * rng.normal(size=k)
            found = winner([mean + rng.normal(size=n) for mean in true], 0.95, lower=False)
            hits.append(found.winner_lo <= true[found.winner] <= found.winner_hi)
        setting = f"{k} arms of {n} runs, true means {apart:g} sd apart"
        yield promise("interval of the winner's mean without its luck covers", setting, (0.92, 1.0), hits)


def metrics(sets: int) -> Iterator[Promise]:
    """Err with any of several metrics in at most 5 % of cases."""
    for number, n in enumerate((3, 5, 10)):
        rng, wrong = np.random.default_rng([62, number]), []
        for _ in range(sets):
            common = rng.normal(size=2 * n)
            columns = {
                name: (0.7 * common + rng.normal(size=2 * n)).tolist() for name in ("a_loss", "b_loss", "c_loss")
            }
            table = {"method": ["old"] * n + ["new"] * n, "seed": [*range(n), *range(n)], **columns}
            found = compare_metrics(table, metric=tuple(columns))
            wrong.append(any(word != "undecided" for word in found.verdicts))
        yield promise("some of 3 correlated metrics is said to differ", f"{n} runs each, equal arms", FIVE, wrong)
    for number, (n, asked) in enumerate([(n, asked) for n in (3, 5, 10) for asked in ("not worse", "equivalent")]):
        rng, wrong = np.random.default_rng([71, number]), []
        for _ in range(sets):
            common = rng.normal(size=2 * n)
            worse = np.repeat([0.0, 1.0], n)  # of a loss: the new arm is worse by the margin in each
            columns = {
                name: (worse + 0.7 * common + 0.7 * rng.normal(size=2 * n)).tolist() for name in ("a_loss", "b_loss")
            }
            table = {"method": ["old"] * n + ["new"] * n, "seed": [*range(n), *range(n)], **columns}
            margins = {"not_worse" if asked == "not worse" else "equivalent": dict.fromkeys(columns, 1.0)}
            wrong.append(asked in compare_metrics(table, metric=tuple(columns), **margins).verdicts)
        setting = f"{n} runs each, the new arm worse by the margin in both"
        yield promise(f"some of 2 correlated metrics is said to be {asked}", setting, FIVE, wrong)


def shares(sets: int) -> Iterator[Promise]:
    """Cover shares of runs that succeed and their difference; call equal shares different in at most 5 % of cases."""
    for number, (n, p, q) in enumerate([(n, p, q) for n in (5, 10, 20) for p, q in ((0.8, 0.8), (0.5, 0.9))]):
        rng, covered, alone, wrong = np.random.default_rng([63, number]), [], [], []
        for _ in range(sets):
            a, b = (rng.random(n) < share for share in (p, q))
            found = group_shares(a.astype(float), b.astype(float), 0.5, 0.95, lower=False)
            covered.append(found.share_lo <= q - p <= found.share_hi)
            wrong.append(found.p_fisher <= 0.05)
            low, high = share_interval(int(a.sum()), n, 0.95)
            alone.append(low <= p <= high)
        setting = f"{n} runs each, {p:.0%} and {q:.0%} succeed"
        yield promise("interval of the difference of shares covers", setting, (0.93, 1.0), covered)
        yield promise("interval of a share covers", setting, AT_LEAST, alone)
        if p == q:
            yield promise("equal shares are said to differ (Fisher)", setting, FIVE, wrong)


def task_margins(sets: int) -> Iterator[Promise]:
    """Say "not worse" or "equivalent" of arms that differ by the margin in at most 5 % of cases, over tasks."""
    cells = [(m, n, shift) for m in (3, 10) for n in (2, 5) for shift in (0.0, 1.0)]
    for number, (m, n, shift) in enumerate(cells):
        rng, wrong = np.random.default_rng([68, number]), {"not worse": [], "equivalent": []}
        for _ in range(sets):
            own = shift * rng.normal(size=m) - 1.0
            pairs = task_pairs([[rng.normal(size=n) for _ in range(m)], [rng.normal(size=n) + at for at in own]])
            found = task_margin(pairs, "not worse", 1.0, 0.95, m, like=True)
            wrong["not worse"].append(found.p_not_worse <= 0.05)
            wrong["equivalent"].append(found.p_equivalent <= 0.05)
        setting = f"{m} tasks, {n} runs per task, the difference varies by {shift:g} sd from task to task"
        for word, hits in wrong.items():
            yield promise(f"arms that differ by the margin on tasks like these are {word}", setting, FIVE, hits)


def ranked_tasks(sets: int) -> Iterator[Promise]:
    """Decide between arms that are equal over tasks like these in at most 5 % of cases, by ranks within each task."""
    for number, (m, n) in enumerate([(m, n) for m in (3, 6, 10, 20) for n in (3, 5)]):
        rng, wrong = np.random.default_rng([72, number]), []
        for _ in range(sets):
            own = 3.0 * rng.normal(size=m)
            cells = [[rng.normal(size=n) for _ in range(m)], [rng.normal(size=n) + at for at in own]]
            wrong.append(task_pairs(by_rank(cells), ranked=True).p_like_used[0] <= 0.05)
        setting = f"{m} tasks, {n} runs per task, the difference varies by 3 sd from task to task"
        yield promise("arms equal over tasks like these are said to differ, normalise='rank'", setting, FIVE, wrong)


def over_tasks(sets: int) -> Iterator[Promise]:
    """Cover profiles at a threshold, the chance to improve, and aggregates that are not means."""
    for number, (m, n) in enumerate([(m, n) for m in (3, 10) for n in (2, 3, 5, 10)]):
        rng, setting = np.random.default_rng([64, number]), f"{m} tasks, {n} runs per task"
        for tau in (0.0, 2.0):
            hits, true = [], 1 - _normal(tau)
            for seed in range(sets):
                low, high = profile_bands([[rng.normal(size=n) for _ in range(m)]], [tau], 0.95, draws=300, seed=seed)
                hits.append(low[0, 0] <= true <= high[0, 0])
            yield promise("pointwise band of a profile covers", f"{setting}, {true:.0%} above", (0.92, 1.0), hits)
        for gap in (0.0, 1.0, 3.0):
            hits, true = [], _normal(gap, math.sqrt(2))
            for seed in range(sets):
                cells = [[rng.normal(size=n) + shift for _ in range(m)] for shift in (gap, 0.0)]
                low, high = improvement_intervals(cells, 0.95, draws=300, seed=seed)
                hits.append(low[0, 1] <= true <= high[0, 1])
            yield promise("interval of the chance to improve covers", f"{setting}, {gap:g} sd", (0.92, 1.0), hits)
        for kind, bounds in (("median", (0.9, 0.99)), ("iqm", (0.93, 0.99))):
            hits = []
            for seed in range(sets):
                cells = [[rng.normal(size=n) for _ in range(m)] for _ in range(2)]
                _, low, high = t_boot_interval(cells, kind, 0.95, draws=300, seed=seed)
                hits.append(low <= 0 <= high)
            yield promise(f"interval of the difference of two {kind}s covers", setting, bounds, hits)


def priors(sets: int) -> Iterator[Promise]:
    """Err in at most 5 % of cases where the spread is drawn from the prior that is named."""
    for number, (n, wrong_by) in enumerate([(n, 1.0) for n in (2, 3, 5)] + [(2, 2.0)]):
        rng, wrong, known = np.random.default_rng([65, number]), [], Prior(1.0, 12.0)
        for _ in range(4 * sets):
            sd = wrong_by * math.sqrt(known.df / rng.chisquare(known.df))
            a, b = (Arm.of(sd * rng.normal(size=n)) for _ in range(2))
            wrong.append(difference(a, b, known=moderated_form(known, a, b)).p() <= 0.05)
        setting = f"{n} runs each, a prior of 12 degrees{', half the true spread' * (wrong_by != 1)}"
        yield promise("better or worse is said of equal means", setting, FIVE, wrong, assumed=wrong_by == 1)


def single(sets: int) -> Iterator[Promise]:
    """Err in at most 5 % of cases against a target that is one run, and by ranks where runs diverge."""
    for number, n in enumerate((2, 3, 5, 10)):
        rng, wrong = np.random.default_rng([66, number]), []
        for _ in range(4 * sets):
            one = against_target(rng.normal(size=n), float(rng.normal()), 0.95, lower=False, is_run=True)
            wrong.append(one.p_target <= 0.05)
        yield promise("a target that is one run of the same is said to differ", f"{n} runs", FIVE, wrong)
    for number, n in enumerate((3, 5, 10)):
        rng, wrong = np.random.default_rng([67, number]), []
        for _ in range(sets):
            a, b = (np.where(rng.random(n) < 0.2, -np.inf, rng.normal(size=n)) for _ in range(2))
            wrong.append(rank_sum_p(a, b) <= 0.05)
        yield promise("equal arms are said to differ, diverged='worst'", f"{n} runs each, 20 % diverge", FIVE, wrong)
    for number, n in enumerate((15, 30)):
        rng, wrong = np.random.default_rng([68, number]), []
        for _ in range(max(50, sets // 8)):
            found = compare_scores(rng.normal(size=n), rng.normal(size=n), metric="return")
            wrong.append(found.ranks.p_perm <= 0.05)
        yield promise("the permutation p of equal arms is at most 5 %, drawn", f"{n} runs each", FIVE, wrong)


def plans(parts: int) -> Iterator[Promise]:
    """Have the power asked for on average over pilots, at equally likely spreads of both, and by a share of pairs."""
    from scipy.special import chdtri

    rng, shown, n = np.random.default_rng(69), [], 5
    spreads = np.sqrt(chdtri(n - 1, (np.arange(parts) + 0.5) / parts) / (n - 1))
    shape = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) / math.sqrt(2.5 / 4)
    for old in spreads:
        for new in 2 * spreads:
            plan = plan_scores(2.0, pilot=(old * shape, new * shape), spread="each")
            power = welch_power(2.0, 1.0, 4.0, int(plan.runs_assurance), int(plan.runs_assurance), 0.05)
            shown += (rng.random(100) < power).tolist()
    setting = "pilots of 5 runs, spread='each', new spreads twice as much"
    yield promise("a planned comparison shows the gap", setting, (0.77, 0.88), shown)
    for number, share in enumerate((0.7, 0.8, 0.9)):
        rng, runs = np.random.default_rng([70, number]), int(plan_scores(superior=share).runs_assurance)
        gap = math.sqrt(2) * _quantile(share)
        shown = (rng.random(1000) < welch_power(gap, 1.0, 1.0, runs, runs, 0.05)).tolist()
        yield promise("a comparison planned by the share of pairs", f"new wins {share:.0%}", (0.78, 1.0), shown)


def _quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))
