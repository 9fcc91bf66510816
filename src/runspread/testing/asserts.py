"""Assertions about training code: each says how rarely it is red where nothing changed, and what it would have seen."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._words import count
from ..errors import InputError, RunspreadWarning
from ..methods.gate.regression import Scale, Tested, check_values, far_values, regression_limits, regression_test
from .baselines import RUNS, Baseline, check_classes, check_processor, write_baseline

Run = Callable[[int], float]


def assert_no_regression(run: Run | Sequence[float], baseline: Baseline, *, margin: float = 0.0) -> Tested | None:
    """Fail if new runs are shown to be worse than a baseline by more than a margin.

    Parameters
    ----------
    run : callable or sequence of float
        From a seed to the outcome of one training, NaN where it failed; or outcomes, which are judged together.
    baseline : Baseline
        From the fixture ``stochastic_baseline``, or `read_baseline`.
    margin : float
        By how much they may be worse, in the unit of the outcome.

    Returns
    -------
    Tested or None
        What was found; None where the baseline was made anew.

    Raises
    ------
    AssertionError
        The runs are worse. Where nothing changed this happens in at most ``baseline.false_red`` of commits, for 95 % of
        baselines of normal runs.
    InputError
        The baseline has too few runs, runs that do not vary, or was made on another kind of processor.

    Notes
    -----
    Green does not say that nothing got worse: what is printed says how large a shift would have been seen.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import runspread as rs
    >>> old = np.random.default_rng(0).normal(0.9, 0.01, 10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     baseline = rs.testing.write_baseline(
    ...         Path(folder) / "accuracy.json", old, range(10), metric="accuracy", higher=True
    ...     )
    >>> found = rs.testing.assert_no_regression([0.90, 0.89, 0.91], baseline)
    accuracy: not shown to be worse (0.11 sd, limit 2.4 sd).
    >>> rs.testing.assert_no_regression([0.40, 0.41, 0.39], baseline)
    Traceback (most recent call last):
        ...
    AssertionError: ...
    """
    if baseline.update:
        _update(run, baseline)
        return None
    values = check_values(baseline.values)
    _check(baseline)
    seeds = baseline.new_seeds()
    new = (lambda: float(run(next(seeds)))) if callable(run) else run
    settings: dict[str, Any] = {"false_red": baseline.false_red, "max_runs": baseline.max_runs}
    found = regression_test(new, values, higher=baseline.higher, margin=margin, **settings)
    if found.red:
        raise AssertionError(_message(baseline, found))
    print(_green(baseline, found, values, whole=not callable(run)))  # noqa: T201  (pytest shows it on request)
    return found


def _message(baseline: Baseline, found: Tested) -> str:
    """Return why a test is red, in words that a stranger to it understands."""
    runs = ", ".join(f"{value:.4g}" for value in found.judged)
    fresh = "fresh run" if len(found.outcomes) > len(found.judged) else "new run"
    mean = math.fsum(found.judged) / len(found.judged)
    often = f"fewer than 1 of {1 / baseline.false_red:,.0f} commits, for 95 % of baselines"
    return (
        f"{baseline.name}: {baseline.metric} is worse than its baseline. New mean {mean:.4g} of "
        f"{count(len(found.judged), fresh)} ({runs}); {baseline.sentence()}. {found.far:.3g} sd worse, limit "
        f"{found.limit:.3g} sd. If nothing changed this happens in {often}. Repeat: pytest --stochastic-seed "
        f"{baseline.first_seed}. If the change is meant: pytest --update-baselines"
    )


def _green(baseline: Baseline, found: Tested, values: np.ndarray, *, whole: bool) -> str:
    """Return what a green test did not show; `whole`: outcomes were handed in and judged together, at one limit."""
    if whole:
        return f"{baseline.name}: not shown to be worse ({found.far:.2g} sd, limit {found.limit:.2g} sd)."
    seen = regression_limits(len(values), baseline.false_red, max_runs=baseline.max_runs).seen()
    shift = Scale.of(values, higher=baseline.higher).shift(values, seen)
    return (
        f"{baseline.name}: {baseline.metric} is not shown to be worse ({found.far:.2g} sd, limit {found.limit:.2g} "
        f"sd). A shift of {shift:.2g} would have been seen 9 times in 10."
    )


def assert_not_worse(run: Run | Sequence[float], baseline: Baseline, *, margin: float, runs: int = 5) -> None:
    """Fail unless new runs are shown to be worse by less than a margin, or better.

    Parameters
    ----------
    run : callable or sequence of float
        From a seed to the outcome of one training; or outcomes.
    baseline : Baseline
        From the fixture ``stochastic_baseline``, or `read_baseline`.
    margin : float
        Above 0, in the unit of the outcome.
    runs : int
        New runs.

    Raises
    ------
    AssertionError
        It is not shown: they are worse, or the runs are too few to say. A training that is worse by the margin passes
        in at most ``baseline.false_red`` of cases, on average over baselines.
    InputError
        The margin is not above 0, there are too few runs, or the baseline is of another kind of processor.

    Examples
    --------
    >>> import runspread as rs
    >>> losses = (0.31, 0.29, 0.30, 0.32, 0.28, 0.30, 0.31, 0.29)
    >>> baseline = rs.testing.Baseline("small_mlp", metric="loss", values=losses)
    >>> new = [0.30, 0.31, 0.29, 0.31, 0.30]
    >>> rs.testing.assert_not_worse(new, baseline, margin=0.05)
    >>> rs.testing.assert_not_worse(new, baseline, margin=0.01)
    Traceback (most recent call last):
        ...
    AssertionError: small_mlp: loss is not shown to be not worse than its baseline by the margin 0.01 ...
    """
    from ..methods.gate.regression import shown_not_worse

    if baseline.update:
        _update(run, baseline)
        return
    if not margin > 0:
        hint = "To fail on what is shown to be worse: assert_no_regression."
        raise InputError(f"margin={margin}", "a number above 0", hint)
    values = check_values(baseline.values)
    _check(baseline)
    seeds = baseline.new_seeds()
    new = [float(run(next(seeds))) for _ in range(runs)] if callable(run) else [float(value) for value in run]
    failed = [value for value in new if not math.isfinite(value)]
    if failed or len(new) < 2:
        raise AssertionError(
            f"{baseline.name}: {len(failed)} of {count(len(new), 'new run')} failed"
            if failed
            else f"{baseline.name}: 1 new run cannot show that it is not worse"
        )
    found = shown_not_worse(new, values, margin, level=baseline.false_red, higher=baseline.higher)
    if found.verdict not in ("not worse", "better"):
        repeat = f"Repeat: pytest --stochastic-seed {baseline.first_seed}"
        said = "is worse" if found.verdict == "worse" else "is not shown to be not worse"
        raise AssertionError(
            f"{baseline.name}: {baseline.metric} {said} than its baseline by the margin {margin:g} "
            f"(p = {found.p_not_worse:.2g}, level {baseline.false_red:g}). New mean {np.mean(new):.4g} of "
            f"{len(new)} runs; {baseline.sentence()}. {repeat}. More runs, "
            "or a larger margin, can show more."
        )


def assert_same_distribution(outputs: ArrayLike, baseline: Baseline) -> None:
    """Fail if outputs of new runs are distinguishable from those of a baseline, in either direction.

    Parameters
    ----------
    outputs : array_like [runs] or [runs, examples]
        Outcomes; or predicted classes, which are compared example by example with those that the baseline has.
    baseline : Baseline
        From the fixture ``stochastic_baseline``, or `read_baseline`.

    Raises
    ------
    AssertionError
        They differ. Where nothing changed this happens in ``baseline.false_red`` of commits on average over baselines,
        not for each: after a red, look at what it says before you look at the rate.
    InputError
        Too few runs to show anything, other examples, or a baseline of another kind of processor.

    Examples
    --------
    >>> import runspread as rs
    >>> losses = (0.31, 0.29, 0.30, 0.32, 0.28, 0.30, 0.31, 0.29)
    >>> baseline = rs.testing.Baseline("small_mlp", metric="loss", values=losses)
    >>> rs.testing.assert_same_distribution([0.30, 0.29, 0.31, 0.30, 0.32], baseline)
    >>> rs.testing.assert_same_distribution([0.20, 0.19, 0.21, 0.22, 0.18], baseline)
    Traceback (most recent call last):
        ...
    AssertionError: small_mlp: loss of 5 new runs differ from those of the baseline (p = 0.0016, ...
    """
    from ..methods.gate.exact import permutation_p

    new = np.asarray(outputs)
    if baseline.update:
        predictions = new if new.ndim == 2 else None
        _write(baseline, new.mean(1) if new.ndim == 2 else new, (), 0.0, predictions)
        return
    _check(baseline)
    if new.ndim == 2:
        p, what = _p_by_example(check_classes(new), baseline), f"answers on {new.shape[1]} examples"
    elif new.ndim != 1 or not np.isfinite(new).all():
        raise InputError(f"the new runs have outcomes of shape {new.shape}", "finite ones [runs], or [runs, examples]")
    else:
        values = check_values(baseline.values)
        _check_reach(len(values), len(new), baseline.false_red, math.comb(len(values) + len(new), len(new)) / 2)
        p, what = min(1.0, 2 * min(permutation_p(values, new), permutation_p(-values, -new))), baseline.metric
    if p <= baseline.false_red:
        meant = "If the change is meant: pytest --update-baselines"
        raise AssertionError(
            f"{baseline.name}: {what} of {count(len(new), 'new run')} differ from those of the baseline (p = {p:.2g}, "
            f"level {baseline.false_red:g}; {baseline.sentence()}). This does not say which is better. {meant}"
        )


def _p_by_example(new: np.ndarray, baseline: Baseline) -> float:
    """Return the p-value of equal answers example by example, over all exchanges of runs."""
    from ..methods.trimming.agreement import Agreement, differences
    from ..methods.trimming.exchanges import arrangements, exchanges

    old = baseline.answers()
    if old is None:
        raise InputError("the baseline has no predictions", "predicted classes", "Update it with predictions.")
    if old.shape[1:] != new.shape[1:]:
        raise InputError(f"{new.shape[1]} new examples and {old.shape[1]} of the baseline", "the same examples")
    if len(new) < 2:
        raise InputError("there is 1 new run", "2 or more, which say how far runs differ by themselves")
    _check_reach(len(old), len(new), baseline.false_red, arrangements(len(old), len(new)))
    least = max(999, math.ceil(2 / baseline.false_red))
    ways = exchanges(len(old), len(new), least, np.random.default_rng(baseline.first_seed))
    both = np.concatenate([old.astype(np.int64), new.astype(np.int64)])
    return ways.p_value(Agreement(differences(both), None, both.shape[1]).statistics(ways.new))


def _check_reach(old: int, new: int, level: float, ways: float) -> None:
    """Raise where the smallest p-value, one in so many ways, is above the level: no difference could be shown."""
    if 1 / ways > level:
        raise InputError(
            f"{old} runs of the baseline and {new} new ones give p-values down to {1 / ways:.2g}",
            f"p-values down to {level:g}",
            "Use more new runs.",
        )


def assert_learns(run: Callable[[int], tuple[int, int]], chance: float, *, seed: int = 0, level: float = 1e-6) -> None:
    """Fail unless one run is right more often than chance.

    Parameters
    ----------
    run : callable
        From a seed to the numbers of right answers and of examples.
    chance : float
        Share of right answers without learning.
    seed : int
        Of the run.
    level : float
        How rarely chance alone passes.

    Raises
    ------
    AssertionError
        The run is compatible with chance.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.testing.assert_learns(lambda seed: (90, 100), chance=0.1)
    """
    from scipy.stats import binom

    right, examples = run(seed)
    if not 0 <= right <= examples or not 0 < chance < 1:
        raise InputError(f"{right} right answers of {examples}, chance {chance}", "right answers of all, and a share")
    p = float(binom.sf(right - 1, examples, chance))
    if p > level:
        raise AssertionError(
            f"the run is right on {right} of {examples} examples, chance on {chance:.3g} of them (p = {p:.2g}, level "
            f"{level:g}): it is not shown to have learned anything"
        )


def _update(run: Run | Sequence[float], baseline: Baseline, runs: int = RUNS) -> None:
    """Run a baseline anew, on seeds that no run had, and write it."""
    if not callable(run):
        _write(baseline, [float(value) for value in run], (), 0.0, None)  # nobody said which seeds
        return
    stream, begun = baseline.new_seeds("baseline"), time.monotonic()
    seeds = [next(stream) for _ in range(runs)]
    values = [float(run(seed)) for seed in seeds]
    _write(baseline, values, seeds, (time.monotonic() - begun) / runs, None)


def _write(baseline: Baseline, values: Any, seeds: Any, seconds: float, predictions: Any) -> None:
    if baseline.path is None:
        raise InputError("the baseline has no file", "one from stochastic_baseline or read_baseline")
    facts: dict[str, Any] = {name: getattr(baseline, name) for name in ("name", "metric", "higher", "config")}
    made = write_baseline(baseline.path, values, seeds, predictions=predictions, seconds=round(seconds, 3), **facts)
    print(f"{made.path} was written: {made.sentence()}. Review and commit it.")  # noqa: T201  (the plug-in says it too)


def _check(baseline: Baseline) -> None:
    """Refuse a baseline of another processor, and warn of one that sees less than it might."""
    check_processor(baseline)
    far = far_values(np.asarray(baseline.values))
    if len(far):
        warnings.warn(
            f"a run of the baseline {baseline.name} lies far from the others ({far[0]:.4g}): the test sees less.",
            RunspreadWarning,
            stacklevel=3,
        )
