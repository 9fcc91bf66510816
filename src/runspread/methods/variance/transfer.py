"""`best_seed_selection`: is a lucky seed better (spec 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ..._reading.copies import Copies
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS_OF_OUTCOMES, OutcomeOptions, divided
from ...errors import InputError
from .defaults import BEST_OF, CONFIDENCE_LEVEL
from .estimate import variance
from .intervals import scaled_interval
from .once import without_copies
from .result import VarianceResult, refuse_beside_result
from .selection import best_of_gain, checked_counts
from .selection_model import BestSeedModel, best_seed_model, mean_of_top
from .transfer_result import BestSeedSelection
from .whole_sources import counted

_ROUNDING = 1e-9
_LEAST_CLUSTERED = 4
_NORMAL = "What a lucky seed is worth takes the accuracies of runs as normal."
_NOTHING = dict.fromkeys(("share", "share_low", "share_high"), math.nan)


@opens("source")
def best_seed_selection(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    counts: Sequence[int] | None = None,
    clusters: ArrayLike | None = None,
    first_half: ArrayLike | None = None,
    confidence_level: float | None = None,
    **reading: Unpack[OutcomeOptions],
) -> BestSeedSelection:
    """Return what picking the best seed is worth on examples that did not pick it.

    Parameters
    ----------
    source : VarianceResult, or as for `variance`
        The runs. A result has its halves and its level already.
    labels, correct, clusters, first_half
        As for `variance`.
    counts : sequence of int, optional
        For which N to say what the best of N runs is worth; default those of the result, or 2, 5, 10.
    confidence_level : float, optional
        Confidence level of the intervals; default 0.95.
    **reading : OutcomeOptions
        How outputs are read: ``split``, ``kind``, ``nan``, ``missing``.

    Raises
    ------
    InputError
        There are fewer than two runs or two examples; or fewer than four runs where examples come in clusters.

    Notes
    -----
    The run that is picked on all examples but one is judged on that one, for each in turn: of accuracies that are
    normal, it gains ``e_N / c4(R)`` times the mean over i of ``Cov(a_-i, x_i) / sd(a_-i)`` (e_N: mean of the largest of
    N standard normals; c4: bias of a standard deviation from R runs). Nothing that picks is looked at again, so that
    equally good seeds gain exactly 0 on average.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> rs.methods.variance.best_seed_selection(logits, labels, counts=(2, 4)).fresh.gain.shape
    (2,)
    """
    if isinstance(source, VarianceResult):
        beside = {"labels": labels, "correct": correct, "first_half": first_half, "clusters": clusters}
        refuse_beside_result(**beside, confidence_level=confidence_level)
        found = source
    else:
        how, _ = divided(best_seed_selection, reading, DEFAULTS_OF_OUTCOMES, {})
        settings = {
            "confidence_level": CONFIDENCE_LEVEL if confidence_level is None else confidence_level,
            "best_of": BEST_OF if counts is None else counts,
            "pairs": "none",
            "clusters": clusters,
        }
        found = _without_copies(source, labels, first_half, {"correct": correct, **how}, settings)
    found.require_runs()
    if len(found.distinct) < found.n_runs and len(found.distinct) > 1:
        raise InputError(
            f"a result in which {found.n_runs} runs are {len(found.distinct)}, as some are copies",
            "runs without copies",
            "Give the runs themselves to best_seed_selection(), which counts copies once.",
        )
    if math.isnan(found.halves.covariance):
        raise InputError(
            f"got {found.n_runs} runs on {found.n_examples} examples", "two runs and two halves of examples"
        )
    numbers = found.halves.best_of if counts is None else checked_counts(counts)
    first, second = found.halves.correct.T / np.array(found.halves.sizes)[:, None]
    gains = np.array([best_of_gain(first, second, number) for number in numbers], np.float64).reshape(-1, 2)
    halves = {name: getattr(found.halves, name) for name in ("top_quarter_gain1", "top_quarter_gain2")}
    halves |= {"best_of_gain1": gains[:, 0], "best_of_gain2": gains[:, 1], "first": first, "second": second}
    return BestSeedSelection.from_numbers(
        _worth(found, numbers) | halves | {"slope_half": found.halves.slope},
        n_runs=len(found.distinct),
        n_examples=found.n_examples,
        confidence_level=found.confidence_level,
        counts=numbers,
        kr20=found.components.kr20,
        excluded=found.excluded,
        warnings=(*found.warnings, _NORMAL),
    )


def _without_copies(
    source: Any, labels: Any, first_half: ArrayLike | None, reading: dict[str, Any], settings: dict[str, Any]
) -> VarianceResult:
    """Return the result on runs of which copies count once, with the warnings about the copies."""
    found = variance(source, labels, first_half=first_half, **reading, **settings)
    if len(found.distinct) in (1, found.n_runs):
        return found
    counting = {"votes": False, "keep_bits": True, "first_half": first_half}
    statistics, outcomes = counted(source, labels, counting, **reading)
    copies = Copies(found.n_runs, found.outcomes.copies, (True,) * len(found.outcomes.copies))
    once = without_copies(statistics, outcomes, copies, counting)
    if once is None:
        raise InputError("statistics of runs among which are copies", "keep_bits=True", "Count the runs with it.")
    return replace(variance(once, **settings), excluded=found.excluded, warnings=found.warnings)


def _worth(found: VarianceResult, counts: tuple[int, ...]) -> dict[str, Any]:
    """Return estimates and intervals of what picking is worth.

    The interval of what is real gives the others: each grows with it, and the noise of the examples is known well.
    """
    bias = _sd_bias(found.n_runs)
    looks = found.sd_test / bias
    gain = picked_gain(found) / bias if found.n_clusters is None else _clustered_gain(found, bias)
    share = min(1.0, max(0.0, gain / looks)) if looks else 0.0
    model = best_seed_model(looks, share, counts)
    most = 1 - found.mean_acc
    gains = np.minimum(gain * model.e_max, most)
    model = replace(model, fresh_gain=gains, top_fresh_gain=min(gain * mean_of_top(model.fraction), most))
    noise = max(0.0, found.var_test - found.var_dist)
    low, high = (_model_at(end**2, noise, counts) for end in found.sd_interval)
    seen = (math.nan, math.nan)
    if found.var_test:
        seen = scaled_interval(found.var_test, found.n_runs - 1, found.confidence_level)
    worth = {
        "apparent_gain": np.minimum(model.apparent_gain, most),
        "apparent_low": np.minimum(math.sqrt(seen[0]) * model.e_max, most),
        "apparent_high": np.minimum(math.sqrt(seen[1]) * model.e_max, most),
        "fresh_gain": model.fresh_gain,
        "fresh_low": np.minimum(np.minimum(low.fresh_gain, most), model.fresh_gain),
        "fresh_high": np.maximum(np.minimum(high.fresh_gain, most), model.fresh_gain),
        "share": share,
        "share_low": low.lam,
        "share_high": high.lam,
        "model": model,
        "model_low": low,
        "model_high": high,
    }
    if found.sd_test or found.sd_ind:
        return worth
    return worth | {name: np.full(len(counts), math.nan) for name in worth if name.startswith("fresh")} | _NOTHING


def _model_at(real: float, noise: float, counts: tuple[int, ...]) -> BestSeedModel:
    total = real + noise
    return best_seed_model(math.sqrt(total), real / total if total else 0.0, counts)


def _sd_bias(runs: int) -> float:
    """Return c4, the mean of a standard deviation from `runs` normal values over the true one."""
    return math.sqrt(2 / (runs - 1)) * math.exp(math.lgamma(runs / 2) - math.lgamma((runs - 1) / 2))


def picked_gain(found: VarianceResult) -> float:
    """Return the mean over examples of the covariance of an example with the accuracy on the others, over its sd."""
    own = found.outcomes.right * (found.n_runs - found.outcomes.right) / (found.n_runs * (found.n_runs - 1))
    with_others = found.outcomes.item_total_cov - own
    others = found.n_examples**2 * found.var_test - found.outcomes.item_total_cov - with_others
    some = others > _ROUNDING * found.n_examples**2 * found.var_test  # others that never differ pick nothing
    return float(np.where(some, with_others / np.sqrt(np.where(some, others, 1.0)), 0.0).mean())


def _clustered_gain(found: VarianceResult, bias: float) -> float:
    """Return the same where clusters are independent: ``s_H^2 / sigma``, each part unbiased by itself."""
    if found.n_runs < _LEAST_CLUSTERED:
        raise InputError(
            f"got {found.n_runs} runs on examples in clusters",
            f"{_LEAST_CLUSTERED} runs or more",
            "Train more runs: fewer have no estimate there.",
        )
    if not found.sd_test:
        return 0.0
    half = (found.n_runs - 1) / 2
    inverse = math.sqrt(half) * math.exp(math.lgamma(half - 0.5) - math.lgamma(half))  # mean of sigma over the sd
    lift = found.var_dist / (found.var_test - found.var_ind) if found.var_dist else 1.0
    return lift * (found.sd_test / bias - found.var_ind / (inverse * found.sd_test))
