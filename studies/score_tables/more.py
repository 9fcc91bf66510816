"""Tables 13.3 to 13.7 of the specification of scores: modes, several arms, tasks, plans from pilots, looks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from simulations.scores import LOOKS, draw

from runspread.methods._statistics import holm_adjusted
from runspread.methods.scores import e_value, look_levels, plan_scores, t_boot_interval
from runspread.methods.scores.arms import all_pairs, maybe_best
from runspread.methods.scores.forms import Arm, difference
from runspread.methods.scores.modes import LEVEL, dip_statistic, gap_statistic, shape, tabled_quantiles, tail_share
from runspread.methods.variance.power import welch_power

from .rows import LAWS, Row, mean_row, row, within

# 13.3: by runs; normal, uniform, exponential, lognormal, t3, Gumbel, rounded; two groups
ONE_GROUP = ("normal", "uniform", "exponential", "skewed", "heavy tails", "gumbel", "rounded")
TWO_GROUPS = ((0.5, 4), (0.5, 6), (0.5, 10), (0.2, 4), (0.2, 6), (0.2, 10), (0.1, 10))  # share of the lower, distance
MODES = {
    8: ((0.015, 0.043, 0.029, 0.031, 0.009, 0.018, 0.018), (0.09, 0.29, 0.81, 0.04, 0.16, 0.45, 0.18)),
    12: ((0.005, 0.028, 0.032, 0.032, 0.003, 0.011, 0.006), (0.08, 0.43, 0.96, 0.05, 0.25, 0.69, 0.35)),
    20: ((0.004, 0.028, 0.025, 0.029, 0.004, 0.003, 0.006), (0.12, 0.56, 0.99, 0.02, 0.31, 0.92, 0.61)),
    30: ((0.002, 0.029, 0.020, 0.029, 0.002, 0.004, 0.004), (0.19, 0.82, 1.0, 0.03, 0.60, 0.96, 0.60)),
    50: ((0.002, 0.018, 0.018, 0.029, 0.001, 0.004, 0.004), (0.37, 0.98, 1.0, 0.12, 0.83, 0.98, 0.58)),
}
ARMS = (3, 5, 10)
FAMILY = {  # runs, largest sd: Tukey and Kramer, Welch with Holm, by number of arms
    (3, 1): ((0.053, 0.046, 0.049), (0.031, 0.018, 0.018)),
    (3, 3): ((0.068, 0.071, 0.095), (0.033, 0.028, 0.020)),
    (10, 1): ((0.054, 0.045, 0.050), (0.044, 0.033, 0.033)),
}
WORST_PLACED = {  # law, largest sd: range over arms and runs of how often the worst-placed arm is in the set
    ("normal", 1): (0.957, 0.975),
    ("normal", 3): (0.949, 0.960),
    ("skew", 3): (0.921, 0.939),
    ("bimodal", 3): (0.806, 0.929),
}
SET_SIZES = {3: (1.95, 3.66, 8.35), 5: (1.15, 1.70, 3.97), 10: (1.00, 1.01, 1.07)}  # one arm 2.5 sd ahead
OVER_TASKS = {  # tasks, runs: t-boot of mean, interquartile mean, median
    **{(3, 2): (0.98, 0.98, 0.92), (3, 3): (0.95, 0.95, 0.90), (3, 5): (0.96, 0.94, 0.91)},
    **{(10, 2): (0.97, 0.96, 0.96), (10, 3): (0.96, 0.95, 0.94), (10, 5): (0.97, 0.96, 0.96)},
    **{(26, 3): (0.95, 0.95, 0.96), (26, 10): (0.94, 0.95, 0.93)},
}
PILOTS = {  # runs of the pilot: median runs, mean power, share of plans with a power below 60 %; each of three plans
    2: ((9, 0.53, 0.55), (55, 0.81, 0.22), (115, 0.87, 0.15)),
    3: ((12, 0.62, 0.43), (30, 0.81, 0.20), (52, 0.88, 0.12)),
    5: ((15, 0.70, 0.31), (22, 0.81, 0.16), (34, 0.89, 0.08)),
    10: ((16, 0.75, 0.17), (19, 0.81, 0.10), (26, 0.89, 0.04)),
    20: ((17, 0.78, 0.07), (18, 0.81, 0.04), (23, 0.88, 0.01)),
}
PLANS = ("runs_plugin", "runs_assurance", "runs_upper")
ERRORS = {  # at 5 %, Pocock, O'Brien and Fleming, e-value
    "normal": (0.177, 0.045, 0.049, 0.010),
    "skew": (0.137, 0.029, 0.038, 0.005),
    "bimodal": (0.142, 0.038, 0.047, 0.008),
    "heavy": (0.157, 0.037, 0.044, 0.006),
}
DECIDED = {1.0: ((0.78, 13.9), (0.86, 15.6), (0.54, 16.7)), 2.0: ((1.0, 6.7), (1.0, 9.7), (1.0, 8.7))}
KINDS = ("every look at 5 %", "Pocock", "O'Brien-Fleming", "e-value")


def modes(sets: int) -> Iterator[Row]:
    """13.3: how often two groups are said."""
    sets = max(50, sets // 2)
    for n, (one, two) in MODES.items():
        for number, (law, share) in enumerate(zip(ONE_GROUP, one, strict=True)):
            rng = np.random.default_rng([7, n, number])
            hits = sum(_one_group(rng, n, law) for _ in range(sets))
            yield row("13.3", f"one group: {law}, {n} runs", share, hits / sets, sets, of=2000)
        for number, ((lower, apart), share) in enumerate(zip(TWO_GROUPS, two, strict=True)):
            rng, hits = np.random.default_rng([8, n, number]), 0
            for _ in range(sets):
                hits += shape(rng.normal(size=n) - apart * (rng.random(n) < lower)).two_groups
            setting = f"two groups: {lower:.0%} lower by {apart}, {n} runs"
            yield row("13.3", setting, share, hits / sets, sets, of=1000, digits=2)


def _one_group(rng: np.random.Generator, n: int, law: str) -> bool:
    if law == "gumbel":
        return shape(rng.gumbel(size=n)).two_groups
    if law != "rounded":
        return shape(draw(rng, n, law)).two_groups
    x = np.round(rng.normal(size=n), 1)  # with a resolution of 0: an upper bound
    levels, gaps, dips = tabled_quantiles(n)
    return min(tail_share(gap_statistic(x, 0.0)[0], gaps, levels), tail_share(dip_statistic(x), dips, levels)) <= LEVEL


def arms(sets: int) -> Iterator[Row]:
    """13.4: family-wise errors, and the set of arms that may be the best."""
    for (n, ratio), (tukey, welch) in FAMILY.items():
        for k, share in zip(ARMS, tukey, strict=True):
            few = max(20, sets // (16 if k == max(ARMS) else 8))  # its quadratures take long
            yield _family("Tukey", k, n, ratio, share, few)
        for k, share in zip(ARMS, welch, strict=True):
            yield _family("Welch with Holm", k, n, ratio, share, sets)
    cells = ((law, ratio, k, n) for law, ratio in WORST_PLACED for k in ARMS for n in (3, 5, 10))
    for law, ratio, k, n in cells:
        rng, kept = np.random.default_rng([10, k, n, ratio]), np.zeros(k)
        for _ in range(sets):
            values = [sd * draw(rng, n, LAWS[law]) for sd in np.linspace(1, ratio, k)]
            kept += maybe_best(values, 0.95, lower=False)
        setting = f"worst-placed arm in the set: {law}, {k} arms of {n} runs, sd 1 to {ratio}"
        yield within("13.4", setting, WORST_PLACED[law, ratio], kept.min() / sets, sets // 2, of=3000)
    for n, sizes in SET_SIZES.items():
        for k, size in zip(ARMS, sizes, strict=True):
            rng = np.random.default_rng([11, k, n])
            draws = ([rng.normal(size=n) + 2.5 * (at == 0) for at in range(k)] for _ in range(sets))
            found = [float(maybe_best(values, 0.95, lower=False).sum()) for values in draws]
            setting = f"size of the set: one of {k} arms of {n} runs ahead by 2.5 sd"
            yield mean_row("13.4", setting, size, found, of=6000, rounding=0.01)


def _family(test: str, k: int, n: int, ratio: int, share: float, sets: int) -> Row:
    """Return how often any pair of equal arms is said to differ."""
    rng, hits = np.random.default_rng([9, n, ratio, k]), 0
    for _ in range(sets):
        values = [sd * rng.normal(size=n) for sd in np.linspace(1, ratio, k)]
        hits += bool((all_pairs(values).p_pairs_tukey if test == "Tukey" else _holm(values)).min() <= 0.05)
    return row("13.4", f"{test}: {k} equal arms of {n} runs, sd 1 to {ratio}", share, hits / sets, sets, of=6000)


def _holm(values: list[np.ndarray]) -> np.ndarray:
    found = [Arm.of(x) for x in values]
    return holm_adjusted(np.array([difference(a, b).p() for at, a in enumerate(found) for b in found[:at]]))


def tasks(sets: int) -> Iterator[Row]:
    """13.5: coverage of aggregates over tasks (means of tasks normal, runs of spread 1)."""
    sets = max(50, sets // 4)
    for (m, n), shares in OVER_TASKS.items():
        for kind, share in zip(("mean", "iqm", "median"), shares, strict=True):
            rng, hits = np.random.default_rng([12, m, n]), 0
            for seed in range(sets):
                means = rng.normal(size=m)
                _, low, high = t_boot_interval(
                    [[mean + rng.normal(size=n) for mean in means]], kind, 0.95, draws=300, seed=seed
                )
                truth = np.mean(means) if kind == "mean" else _truth(means, kind)
                hits += low <= truth <= high
            yield row("13.5", f"t-boot of the {kind}: {m} tasks, {n} runs", share, hits / sets, sets, of=500, digits=2)


def _truth(means: np.ndarray, kind: str) -> float:
    """Return the aggregate with ever so many runs: of the interquartile mean that of the mixture of all tasks."""
    if kind == "median":
        return float(np.median(means))
    quantiles = np.random.default_rng(0).normal(size=2000)
    whole = np.sort((means[:, None] + quantiles).ravel())
    cut = len(whole) // 4
    return float(whole[cut:-cut].mean())


def pilots(sets: int) -> Iterator[Row]:
    """13.6: plans from pilots, by quantiles of the pilot's spread; no chance is in it but that of the grid."""
    from scipy.stats import chi2

    points = (np.arange(60) + 0.5) / 60
    for runs, expected in PILOTS.items():
        shape_of = np.linspace(-1, 1, runs)
        shape_of /= shape_of.std(ddof=1)
        spreads = np.sqrt(chi2.ppf(points, runs - 1) / (runs - 1))
        plans = [plan_scores(1.0, pilot=spread * shape_of).to_dict() for spread in spreads]
        for name, (median, power, below) in zip(PLANS, expected, strict=True):
            n = np.array([max(2, round(plan[name])) for plan in plans])
            powers = np.array([welch_power(1.0, 1.0, 1.0, int(one), int(one), 0.05) for one in n])
            setting = f"{name}: pilot of {runs} runs"
            for what, share, found, width in (
                ("median runs", median, float(np.median(n)), 0.06 * median + 0.5),
                ("mean power", power, powers.mean(), 0.015),
                ("power below 60 %", below, (powers < 0.6).mean(), 0.025),
            ):
                yield Row("13.6", f"{what}, {setting}", share, found, 4 * abs(found - share) / width)


def looks(sets: int) -> Iterator[Row]:
    """13.7: errors and decisions over nine looks."""
    for law, errors in ERRORS.items():
        first = _looked(sets, LAWS[law], 0.0)
        for at, (kind, share) in enumerate(zip(KINDS, errors, strict=True)):
            yield row("13.7", f"error of {kind}: {law}", share, (first[:, at] > 0).mean(), sets)
    for gap, expected in DECIDED.items():
        first = _looked(sets, "normal", gap)
        for at, (share, runs) in enumerate(expected, start=1):
            decided = first[:, at] > 0
            yield row("13.7", f"decided by {KINDS[at]}: gap of {gap:g} sd", share, decided.mean(), sets, digits=2)
            spent = np.where(decided, first[:, at], LOOKS[-1])
            yield mean_row("13.7", f"runs of {KINDS[at]}: gap of {gap:g} sd", runs, spent, of=20_000, rounding=0.1)


def _looked(sets: int, law: str, gap: float) -> np.ndarray:
    """Return the runs at the first look that decides [sets, kinds]; 0 where none does."""
    rng, found = np.random.default_rng([13, int(gap)]), np.zeros((sets, len(KINDS)))
    levels = [np.full(len(LOOKS), 0.05), *(look_levels(LOOKS, kind=kind) for kind in ("pocock", "obrien-fleming"))]
    for at in range(sets):
        a, b = draw(rng, LOOKS[-1], law), gap + draw(rng, LOOKS[-1], law)
        p = np.array([difference(Arm.of(a[:n]), Arm.of(b[:n])).p() for n in LOOKS])
        says = [p <= level for level in levels] + [np.array([e_value(a[:n], b[:n]) >= 20 for n in LOOKS])]
        found[at] = [LOOKS[int(np.argmax(one))] if one.any() else 0 for one in says]
    return found
