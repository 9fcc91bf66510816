"""One model and two models on a grid: means, differences and verdicts (evals 2, 3)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .._statistics import holm_adjusted
from ..scores.forms import Difference, Judged, first_shown, judged
from ..scores.one_arm import t_quantile
from .bars import BOOTSTRAP, WILSON, Bar, Variances, bar_of, effective_items, interval, together
from .defaults import FEW_DISCORDANT, FEW_ITEMS, POWER
from .differences import guarded, mcnemar
from .grid import Grid, ModelGrid, stratified
from .means import Level, Strata, mean_bar, prompts_of, same_items_bar, samples_bar, seeds_of, trainings_in_pairs
from .posterior import Posterior, posterior_of
from .resampling import resampled
from .result import Counts, Discordant, ModelDifference, ModelScore
from .row_weights import by_rows, missing_by_rows


class How(NamedTuple):
    """What holds for all models of a call."""

    on: str
    level: float
    asked: str
    margin: float | None
    random_prompts: bool
    bounded: bool = False  # whether differences lie within -1..1
    method: str = WILSON
    by_rows: bool = False
    pair_seeds: bool = False
    bayes: bool = False
    binary: bool = False  # whether all scores are 0 or 1


class Pair(NamedTuple):
    """Two models on their common items."""

    old: ModelGrid
    new: ModelGrid
    rows: NDArray[np.bool_]
    variances: Variances
    value: float  # mean difference
    one: Difference
    discordant: Discordant
    forced: bool  # too few equal differences for any verdict
    strata: Strata


def _variances(
    values: NDArray[np.float64], strata: Strata, levels: list[Level], how: How, samples: Bar | None
) -> Variances:
    """Return the variances of a mean; those of new trainings on the same items where these are asked for."""
    found = mean_bar(values, strata, levels, samples)
    if how.on == "test-set":
        bar = same_items_bar(levels)
        return replace(found, var_new=bar.variance, df_new=bar.df)
    return found


def _levels(
    models: list[ModelGrid], by_prompt: NDArray[np.float64], rows: NDArray[np.bool_], grid: Grid, how: How
) -> tuple[list[Level], Level | None]:
    """Return what the trainings of the models add, and what random prompts do."""
    if how.pair_seeds and len(models) == 2:
        levels = [trainings_in_pairs(models[0], models[1], rows, grid)]
    else:
        seeds = [found for found in (seeds_of(model, rows, grid) for model in models) if found is not None]
        levels = seeds if len(seeds) == len(models) else []
    return levels, prompts_of(by_prompt, rows, grid) if how.random_prompts else None


def _bar(found: Variances, on: str) -> Bar:
    return bar_of(found, "distribution" if on == "test-set" else on)


def _with_prompts(found: Variances, prompts: Level | None, how: How) -> Variances:
    """Return variances with those of random prompts added, for new items and for new trainings."""
    if prompts is None or how.on in ("samples", "test-set"):
        return found
    one = [(prompts.variance, prompts.inter, prompts.levels)]
    items = together(Bar(found.var_items, found.df_items), one)
    if math.isnan(found.var_new):
        return replace(found, var_items=items.variance, df_items=items.df)
    new = together(Bar(found.var_new, found.df_new), one)
    return replace(found, var_items=items.variance, df_items=items.df, var_new=new.variance, df_new=new.df)


def score_of_model(grid: Grid, model: ModelGrid, how: How) -> ModelScore:
    """Return the mean of a model on all its items."""
    rows = ~np.isnan(model.x)
    strata = grid.strata(rows)
    model = by_rows(model, strata) if how.by_rows else model
    levels, prompts = _levels([model], model.by_prompt, rows, grid, how)
    found = _variances(model.x, strata, levels, how, samples_bar(model, rows, strata))
    found = _with_prompts(found, prompts, how)
    mean, bar = stratified(model.x, strata), _bar(found, how.on)
    most = model.answers if grid.binary and how.on == "models" else math.inf
    if how.method == BOOTSTRAP:
        lo, hi = resampled(model, strata, how.level, trainings=how.on == "distribution")
    else:
        lo, hi = interval(mean, bar, how.level, found.n_clusters, bounded=grid.bounded, most=most, method=how.method)
    items, every = int(rows.sum()), grid.strata(np.ones_like(rows))
    bounds = missing_by_rows(model, every) if how.by_rows else (model.worst, model.best)
    worst, best = (stratified(one, every) if grid.bounded else math.nan for one in bounds)
    return ModelScore(
        model=model.name,
        mean=mean,
        lo=lo,
        hi=hi,
        se=math.sqrt(bar.variance) if bar.variance >= 0 else math.nan,
        df=bar.df,
        n_eff=effective_items(mean, bar.variance, found.n_clusters, most) if grid.bounded else math.nan,
        mean_rows=model.mean_rows,
        worst=worst,
        best=best,
        variances=found,
        counts=Counts(
            n_items=items,
            n_clusters=found.n_clusters,
            n_seeds=model.seeds,
            n_prompts=model.prompts,
            n_answers=model.answers,
            n_left_out=len(rows) - items + model.lost,
        ),
    )


def decided(
    grid: Grid, old: ModelGrid, new: ModelGrid, how: How, others: NDArray[np.float64], rows: NDArray[np.bool_]
) -> int:
    """Return 1 if these items [items] alone show that the new model is better, -1 for worse, 0 for neither.

    `others` are the p-values of the other comparisons [comparisons - 1], which the correction counts as they stand.
    """
    if len(np.unique(grid.cluster_codes[rows])) < 2:
        return 0
    pair = pair_of(grid, old, new, how, rows)
    p = holm_adjusted(np.append(p_of(pair), others))[0]
    return int(np.sign(pair.one.value)) if p <= 1 - how.level and not pair.forced else 0


def pair_of(grid: Grid, old: ModelGrid, new: ModelGrid, how: How, only: NDArray[np.bool_] | None = None) -> Pair:
    """Return the difference of two models on their common items, or on those of them that `only` [items] keeps."""
    d = new.x - old.x
    rows = common_items(d, old.name, new.name) if only is None else only
    strata = grid.strata(rows)
    if how.by_rows:
        old, new = by_rows(old, strata), by_rows(new, strata)
        d = new.x - old.x
    levels, prompts = _levels([old, new], new.by_prompt - old.by_prompt, rows, grid, how)
    bars = [samples_bar(model, rows, strata) for model in (old, new)]
    samples = None
    if bars[0] is not None and bars[1] is not None:
        total = bars[0].variance + bars[1].variance
        below = sum(bar.variance**2 / bar.df for bar in bars if bar is not None and bar.df > 0)
        samples = Bar(total, total**2 / below if below > 0 else 1.0)
    found = _with_prompts(_variances(d, strata, levels, how, samples), prompts, how)
    value = stratified(d, strata)
    bar = _bar(found, how.on)
    one = guarded(value, bar, d[rows], grid.grouping(np.flatnonzero(rows)))
    forced = not bar.variance > 0 and int(rows.sum()) < FEW_ITEMS
    return Pair(old, new, rows, found, value, one, _discordant(grid, old, new, rows), forced, strata)


def common_items(d: NDArray[np.float64], old: str, new: str) -> NDArray[np.bool_]:
    """Return on which items [items] two models can be compared; NaN in `d` where one of them has no answer."""
    rows = ~np.isnan(d)
    if not rows.any():
        raise InputError(
            f"{new} and {old} have no item in common",
            "the same items",
            "Are these different data sets, or is the id of an item another one?",
        )
    return rows


def _discordant(grid: Grid, old: ModelGrid, new: ModelGrid, rows: NDArray[np.bool_]) -> Discordant:
    """Return the exact test of two models that answered once, where items are independent."""
    once = all(model.answers == int((~np.isnan(model.x)).sum()) and model.seeds == 1 for model in (old, new))
    if not (grid.binary and once and grid.cluster is None):
        return Discordant()
    found = mcnemar(old.x[rows], new.x[rows])
    return Discordant(n01=found.n01, n10=found.n10, exact_p=found.exact_p)


def p_of(pair: Pair) -> float:
    """Return the p of the verdict: the larger one of the exact test too where few items differ."""
    p, exact = pair.one.p(), pair.discordant.exact_p
    if exact is not None and (pair.discordant.n01 or 0) + (pair.discordant.n10 or 0) < FEW_DISCORDANT:
        return exact if math.isnan(p) else max(p, exact)
    return p


def margin_p(pair: Pair, how: How) -> float:
    """Return the p of the question with a margin; NaN without one."""
    found = _judged(pair, how)
    return found.p_equivalent if how.asked == "equivalent" else found.p_not_worse


def _judged(pair: Pair, how: How) -> Judged:
    return judged(pair.one, how.margin, how.level, how.asked, lower=False)


def _verdict(pair: Pair, p: float, p_margin: float, how: How) -> str:
    """Return the verdict by p-values that are corrected for the number of comparisons."""
    if pair.forced or not pair.one.forms:
        return "undecided"
    return first_shown(how.asked, pair.one.value, p, p_margin, 1 - how.level)


def judged_pair(pair: Pair, p_holm: float, p_margin: float, how: How, compared: int) -> ModelDifference:
    """Return the verdict on a pair, one of `compared`, by its corrected p-values of no difference and of the margin."""
    one, alpha, found = pair.one, 1 - how.level, _judged(pair, how)
    lo, hi = within(one.interval(how.level), bounded=how.bounded)
    lo_all, hi_all = within(one.interval(1 - alpha / compared), bounded=how.bounded)
    bar = Bar(one.forms[0].se ** 2, one.forms[0].df) if one.forms else Bar(math.nan, math.nan)
    missing = [~np.isnan(other.x) & np.isnan(model.x) for model, other in ((pair.old, pair.new), (pair.new, pair.old))]
    return ModelDifference(
        old=pair.old.name,
        new=pair.new.name,
        diff=pair.value,
        lo=lo,
        hi=hi,
        p=p_of(pair),
        p_holm=p_holm,
        lo_all=lo_all,
        hi_all=hi_all,
        se=one.forms[0].se if one.forms else 0.0,
        df=one.df,
        p_not_worse=found.p_not_worse,
        p_equivalent=found.p_equivalent,
        verdict=_verdict(pair, p_holm, p_margin, how),
        smallest_gap=smallest_gap(bar, alpha),
        n_items=int(pair.rows.sum()),
        lacks_old=int(missing[0].sum()),
        lacks_new=int(missing[1].sum()),
        variances=pair.variances,
        discordant=pair.discordant,
        posterior=_posterior(pair, how),
    )


def _posterior(pair: Pair, how: How) -> Posterior:
    """Return the posterior of the difference, of means with as many independent questions as their variance tells."""
    if not how.bayes:
        return Posterior()
    old, new = (_questions(model, pair.strata, how) for model in (pair.old, pair.new))
    return posterior_of(old, new, how.level)


def _questions(model: ModelGrid, strata: Strata, how: How) -> tuple[float, float]:
    """Return the mean of a model, and how many independent questions would tell it as well."""
    mean, found = stratified(model.x, strata), mean_bar(model.x, strata, [])
    most = model.answers if how.binary else math.inf
    return mean, effective_items(mean, found.var_items, found.n_clusters, most)


def within(ends: tuple[float, float], *, bounded: bool) -> tuple[float, float]:
    """Return an interval without what no difference can be; where scores lie within 0..1 it is `bounded`."""
    return (max(-1.0, ends[0]), min(1.0, ends[1])) if bounded else ends


def smallest_gap(bar: Bar, alpha: float, power: float = POWER) -> float:
    """Return the true gap that data of this variance show with the power (evals 5)."""
    if not bar.variance > 0 or not bar.df > 0:
        return math.nan
    return (t_quantile(1 - alpha / 2, bar.df) + t_quantile(power, bar.df)) * math.sqrt(bar.variance)
