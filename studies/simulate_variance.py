"""False-positive rates and coverage of the variance methods, by simulation; prints docs/simulation-variance.md.

Run from the repository root: ``python studies/simulate_variance.py > docs/simulation-variance.md``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import runspread as rs

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.variance.probit import draw, draw_pair, fixed_variance, population_variance

EXAMPLES = 200
SD = 0.0015  # of accuracy between runs, as on CIFAR-10


def percent(hits: list[bool]) -> str:
    """Return a share with its standard error."""
    share = float(np.mean(hits))
    return f"{100 * share:.1f} ± {100 * math.sqrt(share * (1 - share) / len(hits)):.1f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def data_sets(beta: float, runs: int, sets: int) -> Iterator[tuple[rs.VarianceResult, np.ndarray]]:
    rng = np.random.default_rng([runs, int(1000 * beta)])
    for _ in range(sets):
        matrix, alpha = draw(rng, runs, EXAMPLES, beta)
        yield rs.variance(correct=matrix, pairs="none"), alpha


def intervals(sets: int) -> str:
    rows: list[list[str]] = []
    for beta in (0.0, 0.1, 0.3):
        truth = population_variance(beta)
        for runs in (5, 10, 50, 200):
            fixed, population, bounds, positive, estimates = [], [], [], [], []
            for result, alpha in data_sets(beta, runs, sets):
                fixed.append(result.ci_fixed_lo <= fixed_variance(alpha, beta) <= result.ci_fixed_hi)
                population.append(result.ci_pop_lo <= truth <= result.ci_pop_hi)
                bounds.append(math.sqrt(truth) <= result.sd_interval[1])
                positive.append(result.p_chi2 < 0.05)
                estimates.append(result.var_dist)
            mean, error = np.mean(estimates), np.std(estimates) / math.sqrt(sets)
            means = f"{1e4 * mean:.3f} ± {1e4 * error:.3f}"
            row = [f"{100 * math.sqrt(truth):.2f}", str(runs), f"{1e4 * truth:.3f}", means]
            rows.append([*row, percent(fixed), percent(population), percent(bounds), percent(positive)])
    head = ["true sd (points)", "runs", "true variance (1e-4)", "mean estimate (1e-4)"]
    shares = ["fixed-set interval (%)", "population interval (%)", '"at most" (%)', "p_chi2 < 0.05 (%)"]
    return table([*head, *shares], rows)


def comparisons(sets: int) -> str:
    rows: list[list[str]] = []
    few = [(beta, 0.0, (runs, runs)) for beta in (0.1, 0.3) for runs in (2, 3, 5)]
    many = [(0.0, (10, 10)), (0.5, (3, 10)), (0.5, (10, 10)), (0.5, (30, 10)), (0.5, (100, 100))]
    for beta, tau, runs in (*few, *((0.1, *setting) for setting in many)):
        rng = np.random.default_rng([7, *runs])
        found = [rs.compare(correct=draw_pair(rng, runs, EXAMPLES, beta, tau)) for _ in range(sets)]
        wrong = [
            [result.p_dist < 0.05 for result in found],
            [result.p_welch < 0.05 for result in found],
            [result.verdict() != "undecided" for result in found],
        ]
        rows.append([f"{beta}", f"{tau}", f"{runs[0]} and {runs[1]}", *(percent(hits) for hits in wrong)])
    head = ["beta", "spread of the difference", "runs", "z_dist (%)", "Welch, read as such a claim (%)"]
    return table([*head, "verdict, both tests (%)"], rows)


def stop(rule: rs.StoppingRule, runs: np.ndarray, baseline: np.ndarray | None) -> rs.Look:
    count = rule.next_look(0)
    while True:
        assert count is not None
        look = rule.look(runs[:count], baseline)
        if look.stop:
            return look
        count = look.next_runs


def spread_rules(sets: int) -> str:
    rows: list[list[str]] = []
    for question in ("se=0.05", "se=0.03", "se=0.02", "gap=0.2", "gap=0.1"):
        rule = rs.stopping_rule(question, max_runs=200)
        rng = np.random.default_rng(8)
        looks = [stop(rule, 0.94 + SD * rng.normal(size=200), None) for _ in range(sets)]
        if rule.kind == "se":
            needed = math.ceil((SD / rule.value) ** 2)
        else:
            needed = rs.plan_runs(rule.value, variance=SD**2).runs_fixed_t
        wrong = [look.answered and look.runs < needed for look in looks]
        row = [question, str(needed), f"{np.mean([look.runs for look in looks]):.0f}"]
        rows.append([*row, percent([look.answered for look in looks]), percent(wrong)])
    return table(["question", "runs needed", "runs at the stop", "answered (%)", "stopped too early (%)"], rows)


def _is_wrong(verdict: str, gap: float, smallest: float) -> bool:
    """Return whether a verdict claims what is not so (the true gap is zero or positive)."""
    return (
        verdict == "worse" or (verdict == "better" and gap == 0) or (verdict.startswith("smaller") and gap >= smallest)
    )


def baseline_rules(sets: int) -> str:
    rows: list[list[str]] = []
    few = [(runs, 0.0, ratio) for runs in (3, 5) for ratio in (0.5, 1.0, 2.0)]
    settings = [
        *few,
        (10, 0.0, 1.0),
        (40, 0.0, 1.0),
        (40, 0.0, 2.0),
        (40, 0.0, 0.5),
        (40, 0.001, 1.0),
        (40, 0.002, 1.0),
    ]
    for runs, gap, ratio in settings:
        rule = rs.stopping_rule("gap=0.1", max_runs=120, against=runs)
        rng = np.random.default_rng([9, runs])
        looks = []
        for _ in range(sets):
            baseline = 0.94 + SD * rng.normal(size=runs)
            looks.append(stop(rule, 0.94 + gap + ratio * SD * rng.normal(size=120), baseline))
        verdicts = [look.verdict for look in looks]
        wrong = [_is_wrong(verdict, gap, rule.value) for verdict in verdicts]
        row = [str(runs), f"{100 * gap:.1f}", f"{ratio:g}", f"{np.mean([look.runs for look in looks]):.0f}"]
        counts = [percent([v == name for v in verdicts]) for name in ("better", "smaller than the gap", "undecided")]
        rows.append([*row, *counts, percent(wrong)])
    head = ["baseline runs", "true gap (points)", "sd over baseline's", "runs at the stop", "better (%)"]
    return table([*head, "smaller (%)", "undecided (%)", "wrong (%)"], rows)


def audits(sets: int) -> str:
    rows: list[list[str]] = []
    for shared, noise in ((0, 0.8), (2, 0.8), (2, 0.5), (2, 0.3)):
        rng = np.random.default_rng([10, shared])
        failed = []
        for _ in range(sets):
            batch = rng.normal(size=(12, 200))
            if shared:
                batch[1] = batch[0]
            losses = np.exp(-np.arange(200) / 40) + 0.7
            losses = losses + 0.1 * (noise * batch + math.sqrt(1 - noise**2) * rng.normal(size=(12, 200)))
            evidence = rs.RunEvidence.from_arrays(seeds={"order": list(range(12))}, losses=losses)
            failed.append(not rs.audit(evidence).passed)
        rows.append(["none" if not shared else "two of twelve", f"{100 * noise**2:.0f}", percent(failed)])
    return table(["runs with the same order", "share of a step's variance that is the batch (%)", "flagged (%)"], rows)


PAGE = """# How often the variance methods are right

Printed by `python studies/simulate_variance.py --sets {sets}`; {sets} simulated data sets a row (five times as many
for the stopping rules), ± one standard error. Nothing here is asserted that the script did not count.

## Intervals for the distribution-wise variance

Runs of the probit model `X = [U < Phi(alpha_i + beta z_r)]`, `alpha ~ N(1.5, 1)`, {examples} examples. The fixed-set
interval is judged by the covariance between the very examples of the test set, the population interval by the true
variance over examples. Both should hold in 95 of 100 data sets; the test should reject in 5 of 100 where the true
spread is zero. `"at most"` is the share of data sets in which the true spread is below the upper end, with which the
sentence of a result leads (by design 97.5 of 100).

{intervals}

## Comparing two configurations that are equally good on the distribution

The runs of each differ by `beta` as above, and the success rates of the two from example to example (standard deviation
of the probit, second column). A false positive is a claim that one is better. Welch's test over runs answers another
question, that of this very test set; its column shows what happens when it is read as a claim about the distribution.
The normal law of z_dist flatters few runs, so the verdict on the distribution, which decides the exit status of
`runspread compare`, asks both tests.

{comparisons}

## Training until known

Accuracies are normal with a standard deviation of 0.15 points. Without a baseline, a stop is too early when the true
standard error is still above the one asked for, or when the true spread needs more runs for the gap (80 % power). The
rule promises at most 5 %.

{spread}

Against a baseline, a wrong stop is a sign where there is no difference, the wrong sign, or `smaller than the gap`
where the gap is at least that; the rule promises at most 5 % over all looks. A baseline has three runs or more;
three or five leave nearly all undecided where there is no gap.

{baseline}

## The seed audit

Twelve runs, 200 logged steps. The audit promises a false alarm in at most 0.1 of 100 clean studies.

{audits}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    sets = parser.parse_args().sets
    parts = {
        "intervals": intervals(sets),
        "comparisons": comparisons(sets),
        "spread": spread_rules(5 * sets),
        "baseline": baseline_rules(5 * sets),
        "audits": audits(sets),
    }
    print(PAGE.format(sets=sets, examples=EXAMPLES, **parts), end="")


if __name__ == "__main__":
    main()
