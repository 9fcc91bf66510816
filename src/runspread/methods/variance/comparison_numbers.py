"""The numbers of a comparison: the tests that count, and the published ones beside them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .answers import BETTER, EQUIVALENT, Answer, Asked, Discordant
from .clusters import Grouping, single_groups
from .difference import (
    ItemNoise,
    Noise,
    RunNoise,
    noise_of_examples,
    noise_of_runs,
    on_distribution,
    on_models,
    on_test_set,
)
from .pairing import PairedRuns, Pairs, paired_runs
from .power import runs_for_distribution, runs_for_fixed_t, runs_for_welch
from .statistics import RunStatistics
from .sums import number, ratio

_POWER = 0.8
_OF_ORDER = ("var_a", "var_b", "p_superior", "mcnemar_p", "mcnemar_se")


class Numbers(NamedTuple):
    """The fields of a comparison that follow from the outcomes, and what a plan for a margin rests on."""

    fields: dict[str, Any]
    each: tuple[RunNoise | None, RunNoise | None]
    pairs: PairedRuns | None

    def runs_needed(self, asked: Asked, on: str) -> int | None:
        """Return the runs of each that show the margin asked for where both are equally good; None where none do."""
        old, new = self.each
        if asked.what == BETTER or on == "models" or old is None or new is None:
            return None
        power = (1 + _POWER) / 2 if asked.what == EQUIVALENT else _POWER  # both ends have to be shown
        try:
            needed = self._needed(asked, (old.known, new.known), on, power)
        except InputError:  # more than anyone could train
            return None
        return None if math.isinf(needed) else int(needed)

    def _needed(self, asked: Asked, spreads: tuple[float, float], on: str, power: float) -> float:
        margin, alpha = asked.margin, asked.alpha
        first, second = spreads
        if self.fields["form"] == "paired" and self.pairs is not None:
            first, second = self.pairs.one, 0.0
            fixed = runs_for_fixed_t(margin, first, second, 2 * alpha, power, paired=True)
        else:
            fixed = runs_for_welch(margin, first, second, alpha, power, sides=1)
        if on == "test-set":
            return fixed
        tau2, examples = max(0.0, self.fields["tau2"]), self.fields["n_examples"]
        return max(fixed, runs_for_distribution(margin, first, second, tau2, examples, 2 * alpha, power))


def numbers_of(
    a: RunStatistics,
    b: RunStatistics,
    names: tuple[str, str],
    *,
    grouping: Grouping | None,
    pairs: Pairs | None,
    limit: float,
    told: bool = True,
    samples: bool = False,
) -> Numbers:
    """Return the numbers of the old configuration `a` and the new one `b`; `limit` as for `hidden`.

    `told` is False where copies hide the spread of the runs. Of `samples` nothing is known of runs, and nothing may
    depend on which sample of an example comes first.
    """
    unpaired, each = (Noise("none", ()), (None, None)) if samples else noise_of_runs((a, b), grouping, limit)
    examples = single_groups(a.n_examples) if grouping is None else grouping
    items = noise_of_examples(a, b, examples, limit)
    found = None
    if pairs is not None:
        found = paired_runs(a, b, pairs, names, each=each, grouping=grouping, limit=limit)
    counts = found is not None and found.noise is not None and found.fields["paired"]
    noise = Noise("paired", (found.noise,)) if counts and found is not None and found.noise is not None else unpaired
    noise = noise if told else Noise("none", ())
    diff = float(b.sums.mean_acc - a.sums.mean_acc)
    fields: dict[str, Any] = {
        "n_runs_a": a.n_runs,
        "n_runs_b": b.n_runs,
        "n_examples": a.n_examples,
        "mean_a": float(a.sums.mean_acc),
        "mean_b": float(b.sums.mean_acc),
        "diff": diff,
        "var_a": number(a.sums.var_test),
        "var_b": number(b.sums.var_test),
        "form": noise.form,
        "p_superior": _superiority(b.correct, a.correct),
        **_mcnemar(a.first_run, b.first_run),
        **_published(diff, unpaired, items),
        **_spread_over_examples(a, b, noise, items),
    }
    if samples and (a.n_runs, b.n_runs) != (1, 1):
        fields |= dict.fromkeys(_OF_ORDER, math.nan) | dict.fromkeys(("mcnemar_b", "mcnemar_c"))
    fields["answers"] = _answers(fields, noise, items, exact=a.n_runs == b.n_runs == 1 and grouping is None)
    return Numbers(fields | _of_pairs(diff, found, items), each, found)


def _answers(fields: dict[str, Any], noise: Noise, items: ItemNoise, *, exact: bool) -> dict[str, Answer]:
    """Return what each question is answered by; two single models have an exact test besides.

    Where one configuration has one run, "if alike" is the answer on the distribution if it spreads as the other: no
    verdict rests on that, which would err in half of all cases where the single run spreads five times as much.
    """
    two = (Discordant(fields["mcnemar_c"], fields["mcnemar_b"], fields["n_examples"]),) if exact else ()
    forms = {
        "distribution": on_distribution(noise, items) if noise.told else (),
        "test-set": on_test_set(noise) if noise.told else (),
        "models": on_models(items) and (*on_models(items), *two),
    }
    if noise.form == "alike":
        forms["if alike"] = on_distribution(noise, items)
    return {on: Answer(fields["diff"], tests) for on, tests in forms.items()}


def _published(diff: float, noise: Noise, items: ItemNoise) -> dict[str, float]:
    """Return Welch's test, and that on the distribution by the normal distribution, with whatever spread was seen."""
    if len(noise.parts) < 2:
        return dict.fromkeys(("se_welch", "df_welch", "p_welch", "se_dist", "p_dist"), math.nan)
    tests = [part.test for part in noise.parts]
    degrees = ratio(sum(tests) ** 2, sum(part.test**2 / part.degrees for part in noise.parts))
    fixed = _t_test(diff, math.sqrt(sum(tests)), degrees)
    dist = _z_test(diff, items.variance, sum(part.dist for part in noise.parts))
    return {"se_welch": fixed[0], "df_welch": degrees, "p_welch": fixed[1], "se_dist": dist[0], "p_dist": dist[1]}


def _of_pairs(diff: float, found: PairedRuns | None, items: ItemNoise) -> dict[str, Any]:
    """Return the fields on pairs, with the paired forms of the published tests."""
    if found is None or found.noise is None:
        return {} if found is None else found.fields
    noise = found.noise
    fixed = _t_test(diff, math.sqrt(noise.test), noise.degrees)
    dist = _z_test(diff, items.variance, noise.dist)
    names = ("se_paired", "p_paired", "df_paired", "se_dist_paired", "p_dist_paired")
    shown = {key: value for key, value in found.fields.items() if key != "paired"}
    return shown | dict(zip(names, (*fixed, noise.degrees, *dist), strict=True))


def _t_test(diff: float, error: float, degrees: float) -> tuple[float, float]:
    """Return the standard error and the two-sided p-value; NaN where no spread was seen."""
    from scipy.special import stdtr

    return error, 2 * float(stdtr(degrees, -abs(ratio(diff, error))))


def _z_test(diff: float, items: float, runs: float) -> tuple[float, float]:
    """Return the standard error on the distribution and the two-sided p-value of the normal distribution."""
    from scipy.special import ndtr

    error = math.nan if math.isnan(items) else math.sqrt(items + max(0.0, runs))
    return error, 2 * float(ndtr(-abs(ratio(diff, error))))


def _spread_over_examples(a: RunStatistics, b: RunStatistics, noise: Noise, items: ItemNoise) -> dict[str, float]:
    """Return the variance over examples of the difference, and its unbiased form without the noise of runs."""
    difference = b.right / b.n_runs - a.right / a.n_runs
    spread = float(difference.var(ddof=1)) if len(difference) > 1 else math.nan
    if not noise.told:
        return {"s2_diff": spread, "tau2": math.nan}
    inter = sum(part.inter for part in noise.parts)
    return {"s2_diff": spread, "tau2": a.n_examples * (items.variance - inter)}


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the exact test that two trained models err equally often (one run of each configuration)."""
    from scipy.special import bdtr

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    total = only_first + only_second
    p = min(1.0, 2 * float(bdtr(min(only_first, only_second), total, 0.5))) if total else 1.0
    difference = first.astype(np.float64) - second
    return {
        "mcnemar_b": only_first,
        "mcnemar_c": only_second,
        "mcnemar_p": p,
        "mcnemar_se": float(difference.std(ddof=1)) / math.sqrt(len(first)) if len(first) > 1 else math.nan,
    }


def _superiority(new: NDArray[np.int64], old: NDArray[np.int64]) -> float:
    """Return the share of run pairs in which the new one has more correct predictions, ties counting half."""
    ordered = np.sort(old)
    below, not_above = np.searchsorted(ordered, new, "left"), np.searchsorted(ordered, new, "right")
    return float((below + not_above).sum() / (2 * len(new) * len(old)))
