"""What a model needs to follow a run while it trains: its emissions in units that a live run can be given."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np

from ..hmm.model import HiddenMarkovModel
from ..hmm.parameters import Array, Frames
from .paths import Paths
from .prepare import PreparedSequences

Moments: TypeAlias = tuple[Array, Array, Array]
_RIDGE = 1e-2  # added to the sums of squares of a state, as the prior of EM: covariances stay regular
_LEAST = 1e-8  # expected checkpoints below which a state has no emissions of its own


def with_live_form(
    model: HiddenMarkovModel, prepared: PreparedSequences, paths: Paths, detours: tuple[int, ...] | None
) -> HiddenMarkovModel:
    """Return the model with what ``monitor`` needs: units, emissions in them, detours, and how far to trust it.

    A run that is standardised on its own needs a mean and a deviation that nobody knows while it trains. So each
    state's emissions are estimated again, from the same checkpoints in units common to all runs, weighted with the
    posteriors; transitions stay.
    """
    known = {"detours": detours, "horizon": int(prepared.lengths.max())}
    if prepared.standardize != "run":
        found = _agreement([values.argmax(axis=1) for values in model.filtered(prepared.frames)], paths)
        return replace(model, center=prepared.center[0], scale=prepared.scale[0], live_agreement=found, **known)
    raw = prepared.raw
    center, scale = raw.x.mean(axis=0), raw.x.std(axis=0)
    frames = Frames((raw.x - center) / scale, raw.offsets, raw.names)
    of_run = [
        sums(x, p, full=model.covariance == "full")
        for x, p in zip(frames.split(frames.x), model.posterior(prepared.frames), strict=True)
    ]
    total = added(of_run)
    means, covars = emissions(total)
    found = float("nan")
    if len(raw) > 1:
        runs = zip(frames.split(frames.x), of_run, strict=True)
        found = _agreement([_held_out(model, x, total, own) for x, own in runs], paths)
    return replace(
        model, center=center, scale=scale, live_means=means, live_covars=covars, live_agreement=found, **known
    )


def sums(x: Array, posterior: Array, *, full: bool) -> Moments:
    """Return each state's expected checkpoints [K], sum of metrics [K, D] and of their squares or products."""
    squares = np.einsum("tk,td,te->kde", posterior, x, x) if full else posterior.T @ np.square(x)
    return posterior.sum(axis=0), posterior.T @ x, squares


def added(parts: list[Moments]) -> Moments:
    """Return the sums over runs."""
    weight, first, second = (np.sum([part[i] for part in parts], axis=0) for i in range(3))
    return weight, first, second


def emissions(moments: Moments) -> tuple[Array, Array]:
    """Return means [K, D] and covariances; those of all checkpoints for a state that has none."""
    weight, first, second = moments
    seen = (weight > _LEAST).reshape(-1, *[1] * (second.ndim - 1))
    second = np.where(seen, second, second.sum(axis=0))
    first = np.where(seen.reshape(len(weight), 1), first, first.sum(axis=0))
    count = np.where(weight > _LEAST, weight, max(weight.sum(), 1.0)).reshape(seen.shape)
    means = first / count.reshape(len(weight), 1)
    if second.ndim == 2:
        return means, (_RIDGE + np.maximum(second - count * means**2, 0.0)) / count
    outer = means[:, :, None] * means[:, None, :]
    return means, (_RIDGE * np.eye(means.shape[1]) + second - count * outer) / count


def _held_out(model: HiddenMarkovModel, x: Array, total: Moments, own: Moments) -> Array:
    """Return the states that emissions of the other runs give a run, known checkpoint by checkpoint."""
    weight, first, second = (np.subtract(everything, part) for everything, part in zip(total, own, strict=True))
    means, covars = emissions((weight, first, second))
    return replace(model, means=means, covars=covars).filtered([x])[0].argmax(axis=1)


def _agreement(states: list[Array], paths: Paths) -> float:
    """Return the mean over runs of the share of checkpoints that are in the decoded state."""
    return float(np.mean([(live == path).mean() for live, path in zip(states, paths, strict=True)]))
