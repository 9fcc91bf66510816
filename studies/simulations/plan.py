"""Planning, and training until a question is answered.

Accuracies are normal with a standard deviation of 0.15 points. Without a baseline, a stop is too early when the true
standard error is still above the one asked for, or when the true spread needs more runs for the gap (80 % power).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import runspread as rs
from simulations.promises import Promise, promise

SD = 0.0015  # of accuracy between runs, as on CIFAR-10
AT_MOST = (0.0, 0.05)


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(50, round(1000 * scale))
    yield from without_baseline(sets)
    yield from with_baseline(sets)


def stop(rule: rs.StoppingRule, runs: np.ndarray, baseline: np.ndarray | None) -> rs.Look:
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
        rule = rs.stopping_rule(question, max_runs=200)
        rng = np.random.default_rng(8)
        looks = [stop(rule, 0.94 + SD * rng.normal(size=200), None) for _ in range(sets)]
        if rule.kind == "se":
            needed = math.ceil((SD / rule.value) ** 2)
        else:
            needed = rs.plan_runs(rule.value, variance=SD**2).runs_fixed_t
        wrong = [look.answered and look.runs < needed for look in looks]
        yield promise("training stops too early", f"--until {question}, {needed} runs needed", AT_MOST, wrong)


def _is_wrong(verdict: str, gap: float, smallest: float) -> bool:
    """Return whether a verdict claims what is not so (the true gap is zero or positive)."""
    return (
        verdict == "worse" or (verdict == "better" and gap == 0) or (verdict.startswith("smaller") and gap >= smallest)
    )


def with_baseline(sets: int) -> Iterator[Promise]:
    """Give a wrong verdict against a baseline as rarely as promised, over all looks."""
    for runs, gap, ratio in (
        (3, 0.0, 0.5),
        (3, 0.0, 2.0),
        (5, 0.0, 1.0),
        (10, 0.0, 1.0),
        (40, 0.0, 2.0),
        (40, 0.001, 1.0),
    ):
        rule = rs.stopping_rule("gap=0.1", max_runs=120, against=runs)
        rng = np.random.default_rng([9, runs])
        wrong = []
        for _ in range(sets):
            baseline = 0.94 + SD * rng.normal(size=runs)
            look = stop(rule, 0.94 + gap + ratio * SD * rng.normal(size=120), baseline)
            wrong.append(_is_wrong(look.verdict, gap, rule.value))
        setting = f"{runs} runs of the baseline, true gap {100 * gap:.1f} points, sd {ratio:g} times the baseline's"
        yield promise("a wrong verdict after training until gap=0.1", setting, AT_MOST, wrong)
