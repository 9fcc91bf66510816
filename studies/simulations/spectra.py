"""Spectral metrics over training and over seeds.

The metric of each run changes between two steps by a mean and by noise of its own (paired t test); two single models
are compared with the spread over seeds of a study of two configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from runspread.methods.spectra import StudySpectra
from simulations.promises import Promise, promise

COVERAGE, SIZE = (0.92, 0.98), (0.0, 0.05)
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], NDArray[np.float64]]] = {
    "normal changes": lambda rng, runs: rng.normal(size=runs),
    "changes with heavy tails (t, 3 df)": lambda rng, runs: rng.standard_t(3, runs),
    "skewed changes": lambda rng, runs: rng.exponential(size=runs) - 1,
}


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(50, round(1000 * scale))
    yield from differences(sets)
    yield from single_models(sets)


def _study(values: NDArray[np.float64], configurations: int = 1) -> StudySpectra:
    runs = len(values)
    lr = [0.1 * (run % configurations) for run in range(runs)]
    return StudySpectra(
        source="study",
        runs=tuple(f"run {run}" for run in range(runs)),
        steps=(1, None),
        metrics={"alpha": values},
        hyperparameters={"lr": lr},
    )


def differences(sets: int) -> Iterator[Promise]:
    """Cover the change between two steps, and claim none where there is none."""
    for name, drawn in DISTRIBUTIONS.items():
        for runs in (2, 3, 5, 10):
            rng = np.random.default_rng([1, runs])
            covered, claimed, contradicts = [], [], []
            for _ in range(sets):
                start = 3 + rng.normal(size=runs)
                found = _study(np.stack([start, start + drawn(rng, runs)], axis=1)).difference("alpha", 1, None)
                low, high = found.interval
                covered.append(low <= 0 <= high)
                claimed.append(": more than seed noise" in found.sentence())
                contradicts.append(covered[-1] == claimed[-1])
            setting, normal = f"{runs} runs, {name}, no change on average", name.startswith("normal")
            yield promise("interval of a change between two steps", setting, COVERAGE, covered, assumed=normal)
            yield promise("a change is more than seed noise", setting, SIZE, claimed, assumed=normal)
            if normal:
                yield promise("sentence and interval contradict each other", setting, (0.0, 0.0), contradicts)
    for runs, size in ((5, 2.0), (10, 1.2)):
        rng = np.random.default_rng([2, runs])
        found = []
        for _ in range(sets):
            start = 3 + rng.normal(size=runs)
            values = np.stack([start, start + size + rng.normal(size=runs)], axis=1)
            found.append(_study(values).difference("alpha", 1, None).verdict == "more")
        yield promise("a change is found", f"{runs} runs, a change of {size:g} sd of changes", (0.8, 1.0), found)


def single_models(sets: int) -> Iterator[Promise]:
    """Call two single models of one configuration different as rarely as the level says."""
    for runs in (4, 6, 12):
        rng = np.random.default_rng([3, runs])
        claimed = []
        for _ in range(sets):
            values = rng.normal(size=(runs, 2)) + np.arange(runs)[:, None] % 2
            first, second = 3 + rng.normal(size=2)
            claimed.append(_study(values, 2).compare("alpha", float(first), float(second)).p_value < 0.05)
        setting = f"a study of {runs} runs of two configurations, both models of one"
        yield promise("two models differ by more than seeds do", setting, SIZE, claimed)
