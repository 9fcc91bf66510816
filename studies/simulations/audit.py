"""The seed audit.

Losses are logged at 100 or 200 steps by 2, 5 or 16 runs in turn, unless the setting says otherwise; noise has a
standard deviation of 1. Honest runs must not be called dependent; shared batches make 60 % of the variance of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tests.methods.variance.probit import draw

import runspread as rs
from runspread.methods.audit import RunEvidence
from runspread.methods.variance import independence_test, pair_deviations
from simulations.promises import Promise, promise

Floats = NDArray[np.float64]
HONEST, FOUND = (0.0, 0.02), (0.95, 1.0)
SHARE = 0.6
SIZES = ((2, 100), (5, 200), (16, 100))


def _trend(t: Floats) -> Floats:
    return 10 * np.exp(-4 * t / len(t))


SCHEDULES: dict[str, Callable[[Floats], Floats]] = {
    "a smooth decay": _trend,
    "a steep start": lambda t: 40 * np.exp(-t / 3) + 3 / (1 + t / 10),
    "one task after the other": lambda t: _trend(t) + np.where(t < len(t) // 2, 0, 8 * np.exp((len(t) // 2 - t) / 10)),
    "two tasks in turn, every point": lambda t: np.where(t % 2, 6 * np.exp(-2 * t / len(t)), 3 * np.exp(-t / 20)),
    "two tasks in turn, every ten points": lambda t: np.where(t // 10 % 2, 5, 3) * np.exp(-(t % 10) / 3) + _trend(t),
    "three tasks in turn, every ten points": lambda t: np.array([3, 0, 5])[(t // 10 % 3).astype(int)] + _trend(t),
    "warm restarts every five points": lambda t: _trend(t) + 3 - 3 * (t % 5) / 5,
    "restarts that fade": lambda t: _trend(t) * (1.5 - (t % 5) / 10),
    "restarts after 4, 8, 16, ... points": lambda t: (
        _trend(t) + 4 * np.exp(-4 * ((t + 4) / 2 ** np.floor(np.log2(t + 4)) - 1))
    ),
    "a pattern of period 2": lambda t: _trend(t) + np.where(t % 2, 1, -1),
    "a pattern of period 3": lambda t: _trend(t) + np.sqrt(2) * np.cos(2 * np.pi * t / 3),
}


def _own(rng: np.random.Generator, runs: int, points: int) -> Floats:
    return rng.normal(size=(runs, points))


def _lasting(rng: np.random.Generator, runs: int, points: int) -> Floats:
    noise = rng.normal(size=(runs, points))
    for step in range(1, points):
        noise[:, step] = 0.9 * noise[:, step - 1] + np.sqrt(0.19) * noise[:, step]
    return noise


NOISE: dict[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "noise that falls with the loss": lambda rng, runs, points: (
        rng.normal(size=(runs, points)) * (0.1 + 3 * np.exp(-6 * np.arange(points) / points))
    ),
    "noise that lasts (autocorrelation 0.9)": _lasting,
    "noise with wild steps": lambda rng, runs, points: rng.standard_t(3, (runs, points)),
}


@dataclass(frozen=True)
class Setting:
    """Losses of runs: a schedule, noise, and which runs share their batches (equal numbers)."""

    schedule: Callable[[Floats], Floats] = _trend
    noise: Callable[[np.random.Generator, int, int], Floats] = _own
    batches: tuple[int, ...] = ()
    decimals: int | None = None

    def losses(self, rng: np.random.Generator, runs: int, points: int) -> Floats:
        """Draw curves [runs, points]; runs follow the schedule to a few per cent."""
        common = self.schedule(np.arange(float(points))) * (1 + 0.05 * rng.normal(size=(runs, 1)))
        noise = self.noise(rng, runs, points)
        if self.batches:
            batches = self.noise(rng, max(self.batches) + 1, points)[list(self.batches)]
            noise = np.sqrt(SHARE) * batches + np.sqrt(1 - SHARE) * noise
        return common + noise if self.decimals is None else np.maximum(common + noise, 0).round(self.decimals)


def _failed(losses: Floats | None = None, **given: object) -> bool:
    seeds = (
        {"seeds": {"init": list(range(len(losses))), "order": list(range(len(losses)))}} if losses is not None else {}
    )
    return not rs.audit(RunEvidence.from_arrays(losses=losses, **seeds, **given)).passed


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(50, round(300 * scale))
    yield from honest_curves(sets)
    yield from shared_batches(sets)
    yield from first_losses(sets)
    yield from outputs(max(50, sets // 3))
    yield from outcomes(sets)
    yield from independence(sets)


def honest_curves(sets: int) -> Iterator[Promise]:
    """Call no honest runs dependent, whatever the schedule."""
    settings = {name: Setting(schedule=schedule) for name, schedule in SCHEDULES.items()}
    settings |= {name: Setting(noise=noise) for name, noise in NOISE.items()}
    settings |= {"losses that reach 0.0, with one decimal": Setting(decimals=1)}
    for name, setting in settings.items():
        rng = np.random.default_rng(10)
        found = [_failed(setting.losses(rng, *SIZES[at % len(SIZES)])) for at in range(sets)]
        yield promise("honest runs are called dependent", name, HONEST, found)
    rng = np.random.default_rng(22)
    found = [_failed(_forgetting(rng, *SIZES[at % len(SIZES)])) for at in range(sets)]
    what = "two tasks in turn, every twenty points; a switch costs some runs more than others"
    yield promise("honest runs are called dependent", what, HONEST, found)
    for period, sd in ((10, 0.15), (10, 0.05), (20, 0.05)):
        rng = np.random.default_rng([23, period])
        found = [_failed(_forgetting(rng, *SIZES[at % len(SIZES)], period=period, sd=sd)) for at in range(sets)]
        what = f"a switch every {period} points costs some runs more than others; noise of {sd:.0%} of the loss"
        yield promise("honest runs are called dependent", what, HONEST, found)
    rng = np.random.default_rng(11)
    found = [_failed(_random_turns(rng, *SIZES[at % len(SIZES)])) for at in range(sets)]
    what = "tasks in an order that looks random, the same in all runs, eight points each"
    yield promise("honest runs are called dependent", what, HONEST, found, assumed=False)


def _forgetting(
    rng: np.random.Generator, runs: int, points: int, *, period: int = 20, sd: float = 0.15, share: float = 0.0
) -> Floats:
    t = np.arange(points)
    leap = 12 * (1 + 0.3 * rng.normal(size=(runs, 1))) * np.exp(-(t % period) / 0.8) * (t >= period)
    slope = 1.8 * np.exp(-(t % period) / 8) * (1 + 0.1 * rng.normal(size=(runs, 1))) + 0.3
    noise = rng.normal(size=(runs, points))
    if share:
        noise = np.sqrt(share) * rng.normal(size=points) + np.sqrt(1 - share) * noise
    return leap + slope * np.exp(sd * noise)


def _random_turns(rng: np.random.Generator, runs: int, points: int) -> Floats:
    levels = 3 * rng.normal(size=points // 8 + 1)
    return Setting(schedule=lambda t: _trend(t) + levels[(t // 8).astype(int)]).losses(rng, runs, points)


def shared_batches(sets: int) -> Iterator[Promise]:
    """Find runs that share their batches."""
    for runs, points in ((2, 100), (5, 100), (2, 200), (16, 200)):
        setting = Setting(batches=(0,) * runs)
        rng = np.random.default_rng([12, runs, points])
        found = [_failed(setting.losses(rng, runs, points)) for _ in range(sets)]
        yield promise("same batches are found", f"all of {runs} runs, {points} steps", FOUND, found)
    for name in SCHEDULES:
        setting = Setting(schedule=SCHEDULES[name], batches=(0,) * 5)
        rng = np.random.default_rng(13)
        found = [_failed(setting.losses(rng, 5, 200)) for _ in range(sets // 3)]
        yield promise("same batches are found", f"all of 5 runs, 200 steps; {name}", (0.9, 1.0), found)
    for runs in (2, 5):
        rng = np.random.default_rng([24, runs])
        found = [_failed(_forgetting(rng, runs, 200, share=SHARE)) for _ in range(sets // 3)]
        setting = f"all of {runs} runs, 200 steps; tasks in blocks, of which a switch makes all runs forget the other"
        yield promise("same batches are found", setting, FOUND, found, assumed=False)
    for name in ("a smooth decay", "two tasks in turn, every point", "warm restarts every five points"):
        setting = Setting(schedule=SCHEDULES[name], batches=(0, *range(11)))
        rng = np.random.default_rng(14)
        found = [_failed(setting.losses(rng, 12, 200)) for _ in range(sets // 3)]
        yield promise("same batches are found", f"2 of 12 runs, 200 steps; {name}", FOUND, found)


def first_losses(sets: int) -> Iterator[Promise]:
    """Tell equal first losses from those that were rounded to be equal."""
    formats: dict[str, Callable[[Floats], Floats]] = {
        "2 decimals": lambda x: x.round(2),
        "3 decimals": lambda x: x.round(3),
        "4 decimals": lambda x: x.round(4),
        "half precision": lambda x: x.astype(np.float16).astype(float),
    }
    for name, rounded in formats.items():
        for runs in (5, 20, 200):
            rng = np.random.default_rng([15, runs])
            curves = (rounded(2.35 + 0.03 * rng.normal(size=(runs, 5)) - 0.1 * np.arange(5)) for _ in range(sets))
            yield promise(
                "a shared start is seen in honest runs",
                f"{runs} runs, losses with {name}",
                HONEST,
                [_failed(each) for each in curves],
            )
    rng = np.random.default_rng(16)
    found = []
    for _ in range(sets):
        curves = (2.35 + 0.03 * rng.normal(size=(20, 5)) - 0.1 * np.arange(5)).astype(np.float32).astype(float)
        curves[1, 0] = curves[0, 0]
        found.append(_failed(curves))
    yield promise("a shared start is found", "2 of 20 runs, losses in single precision", FOUND, found)


def _outputs(rng: np.random.Generator, runs: int, own: float, classes: int = 5) -> Floats:
    common = rng.normal(size=(200, classes)) + 2 * np.eye(classes)[rng.integers(0, classes, 200)]
    return common + own * rng.normal(size=(runs, 200, classes))


def outputs(sets: int) -> Iterator[Promise]:
    """Tell copies by their outputs."""
    honest: dict[str, Callable[[np.random.Generator], NDArray[np.floating]]] = {
        "very similar runs in half precision": lambda rng: _outputs(rng, 20, 0.05).astype(np.float16),
        "one output with one decimal": lambda rng: _outputs(rng, 20, 0.3, 1).round(1),
        "probabilities near 0 and 1 in half precision": lambda rng: (
            1 / (1 + np.exp(-15 * _outputs(rng, 20, 0.3, 1)))
        ).astype(np.float16),
    }
    for name, drawn in honest.items():
        rng = np.random.default_rng(17)
        found = [_failed(predictions=drawn(rng)) for _ in range(sets)]
        yield promise("honest runs are called copies", f"20 runs, {name}", HONEST, found)
    for noise, kind in ((0.0, "single"), (1e-5, "single"), (1e-4, "half")):
        rng = np.random.default_rng(18)
        found = []
        for _ in range(sets):
            values = _outputs(rng, 5, 0.3)
            values[1] = values[0] + noise * rng.normal(size=values[0].shape)
            found.append(_failed(predictions=values.astype(np.float16 if kind == "half" else np.float32)))
        yield promise("copies are found", f"2 of 5 runs, outputs differ by {noise:g}, {kind} precision", FOUND, found)


def outcomes(sets: int) -> Iterator[Promise]:
    """Tell copies from runs that are right on the same examples by chance."""
    for runs, examples, error in ((5, 20, 0.3), (200, 10, 0.3), (50, 30, 0.02), (20, 1000, 0.001), (200, 1000, 0.001)):
        rng = np.random.default_rng([19, runs, examples])
        found = [_copies(rng.random((runs, examples)) >= error) for _ in range(sets)]
        setting = f"{runs} runs, {examples} examples, {error:.1%} wrong"
        yield promise("honest runs are called copies", setting, HONEST, found)
    for runs, examples in ((2, 300), (5, 300), (10, 300)):
        rng = np.random.default_rng([20, runs])
        found = []
        for _ in range(sets):
            matrix = draw(rng, runs, examples, 0.2)[0]
            matrix[1] = matrix[0]
            found.append(_copies(matrix))
        yield promise("copies are found", f"2 of {runs} runs, {examples} examples, correctness alone", FOUND, found)


def _copies(correct: NDArray[np.bool_]) -> bool:
    return any("copies bias" in note for note in pair_deviations(correct=correct, sample=1).warnings)


def independence(sets: int) -> Iterator[Promise]:
    """Speak against independent errors, over both tests, as rarely as the level says."""
    for runs, examples in ((2, 100), (3, 60), (10, 100), (30, 50)):
        rng = np.random.default_rng([21, runs])
        found = []
        for _ in range(sets):
            result = independence_test(correct=draw(rng, runs, examples, 0.0)[0], resamples=99, seed=rng)
            found.append(" examples speak against" in result.sentence())
        setting = f"{runs} runs, {examples} examples, errors independent"
        yield promise("independence_test speaks against independent errors", setting, (0.0, 0.05), found)
