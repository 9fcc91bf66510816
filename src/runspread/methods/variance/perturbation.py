"""`perturbation_sensitivity`: how far a tiny change drives a training, beside what other seeds do (spec 6.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._reading.accepting import as_outputs, examples_of
from ..._reading.classes import abstain, run_classes
from ..._reading.kinds import check_nan, why_unusable
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS, ReadingOptions, divided
from ..._reading.outputs import RunOutputs, check_same_examples, excluded_by, kind_of, known_kind, nothing_left
from ..._reading.protocols import is_study
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .sums import ratio


@dataclass(frozen=True, eq=False, kw_only=True)
class PerturbationSensitivity(Result):
    """Share of predictions that a tiny change at one step of training changes, relative to other seeds.

    Attributes
    ----------
    n_pairs, n_repeats, n_fresh, n_examples : int
        Pairs of a run and the same run perturbed, pairs of identical runs, runs of unrelated seeds, and examples.
    by_pair : ndarray of float [pairs]
        Share of the examples on which a run and the perturbed one predict differently.
    perturbed, repeated, fresh : float
        Share of differing predictions: mean of `by_pair`, between identical runs, and between two runs of unrelated
        seeds.
    """

    no_picture = "its three shares are a table: print(result.table()); by_pair holds one number per pair"

    n_pairs: int
    n_repeats: int
    n_fresh: int
    n_examples: int
    by_pair: NDArray[np.float64]
    perturbed: float
    repeated: float
    fresh: float

    @property
    def deterministic(self) -> bool:
        """Whether identical runs gave identical predictions; otherwise nothing can be said of the perturbation."""
        return self.repeated == 0

    @property
    def relative(self) -> float:
        """``perturbed / fresh``: 0 for no effect, 1 for that of new seeds; NaN where training is not deterministic."""
        return ratio(self.perturbed, self.fresh) if self.deterministic else math.nan

    def table(self) -> Table:
        """Return the share of differing predictions between identical runs, perturbed runs and other seeds."""
        columns = {
            "between": ["identical runs", "a run and the perturbed one", "runs of unrelated seeds"],
            "pairs": [self.n_repeats, self.n_pairs, self.n_fresh * (self.n_fresh - 1) // 2],
            "predictions that differ": [self.repeated, self.perturbed, self.fresh],
        }
        return Table(columns, formats={"predictions that differ": ".2%"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        size = f"{count(self.n_pairs, 'pair')} of runs, {count(self.n_examples, 'example')}"
        if not self.deterministic:
            return (
                f"The training is not deterministic: identical runs differ in {self.repeated:.2%} of their predictions "
                f"({count(self.n_repeats, 'pair')}, {count(self.n_examples, 'example')}), so the effect of the "
                "perturbation cannot be separated from that."
            )
        if math.isnan(self.relative):
            same = "Runs of unrelated seeds predict the same"
            return f"{same}, so there is nothing to compare the perturbation with ({size})."
        return (
            f"The perturbation changes {self.perturbed:.2%} of the predictions, {self.relative:.2f} of the "
            f"{self.fresh:.2%} on which two of {self.n_fresh} runs of unrelated seeds differ ({size}; identical runs "
            "predict the same)."
        )


@opens("base", "repeated", "perturbed", "fresh")
@warns_of_seeds(pooled=True)
def perturbation_sensitivity(
    base: Any,
    repeated: Any,
    perturbed: Any,
    fresh: Any = None,
    **reading: Unpack[ReadingOptions],
) -> PerturbationSensitivity:
    """Return how far a tiny change at one step drives a training, relative to new seeds (2304.01910, section 6).

    First it is checked that identical runs give identical predictions: without that, a perturbation shows nothing.

    Parameters
    ----------
    base : array_like, RunOutputs or study
        Logits [runs, examples, classes] or predicted classes [runs, examples].
    repeated
        The same runs trained again, in the same order; fewer will do, the first. Best in the way that the perturbed
        ones were trained, for example from a file of weights, but without the perturbation.
    perturbed
        The same runs with a tiny change, in the same order: one weight times 1.001, say, whose input is not constantly
        zero (a pixel at the border is).
    fresh, optional
        Two runs or more of unrelated seeds; by default `base`, if all its seeds vary.
    **reading : ReadingOptions
        How outputs are read: ``split``, ``kind``, ``nan``. A run that is excluded takes its pairs along.

    Returns
    -------
    PerturbationSensitivity
        Its ``relative`` is NaN, and the sentence says why, where training is not deterministic.

    Raises
    ------
    InputError
        The sources differ in examples, or studies in the seeds of runs that are to be the same; there are fewer
        perturbed runs than runs, or fewer than two fresh ones.

    Examples
    --------
    >>> import runspread as rs
    >>> base = [[0, 1, 1, 0], [0, 0, 1, 1]]
    >>> rs.methods.variance.perturbation_sensitivity(base, base, [[0, 1, 1, 1], [0, 0, 1, 1]]).relative
    0.25
    """
    how, _ = divided(perturbation_sensitivity, reading, DEFAULTS, {})
    nan = check_nan(how.pop("nan"), abstain=True)
    sources = {"base": base, "repeated": repeated, "perturbed": perturbed, "fresh": base if fresh is None else fresh}
    outputs = {name: as_outputs(source, **how) for name, source in sources.items()}
    _check_shapes(outputs)
    for name in ("repeated", "perturbed"):
        _check_seeds(name, (sources["base"], outputs["base"]), (sources[name], outputs[name]))
    classes, reasons = {}, {}
    for name, output in outputs.items():
        classes[name], reasons[name] = _classes(output, nan)
    repeats = _pairs(classes["base"], classes["repeated"], {*reasons["base"], *reasons["repeated"]})
    by_pair = _pairs(classes["base"], classes["perturbed"], {*reasons["base"], *reasons["perturbed"]})
    for name, shares in (("repeated", repeats), ("perturbed", by_pair)):
        if not len(shares):
            left = (item for one in ("base", name) for item in excluded_by(outputs[one], reasons[one]))
            raise nothing_left(tuple(dict.fromkeys(left)), len(classes[name]))
    fresh_runs = np.delete(classes["fresh"], list(reasons["fresh"]), axis=0)
    if len(fresh_runs) < 2:
        raise InputError(
            f"got {count(len(fresh_runs), 'usable run')} of unrelated seeds", "two or more", "Pass fresh=."
        )
    named = {name: excluded_by(output, reasons[name]) for name, output in outputs.items()}
    return PerturbationSensitivity(
        n_pairs=len(by_pair),
        n_repeats=len(repeats),
        n_fresh=len(fresh_runs),
        n_examples=classes["base"].shape[1],
        by_pair=by_pair,
        perturbed=float(by_pair.mean()),
        repeated=float(repeats.mean()),
        fresh=_disagreement(fresh_runs),
        excluded=tuple(dict.fromkeys(item for items in named.values() for item in items)),
    )


def _pairs(first: NDArray[np.int64], second: NDArray[np.int64], lost: set[int]) -> NDArray[np.float64]:
    """Return the share of the examples on which the runs of each pair differ, without pairs of a run that is lost."""
    kept = [pair for pair in range(len(second)) if pair not in lost]
    return (first[kept] != second[kept]).mean(axis=1)


def _check_shapes(outputs: dict[str, RunOutputs]) -> None:
    shapes = {name: output.shape[:2] for name, output in outputs.items()}
    if len({examples for _, examples in shapes.values()}) > 1:
        raise InputError(f"the numbers of runs and examples are {shapes}", "the same examples in the same order")
    check_same_examples(
        {name: output.labels for name, output in outputs.items()},
        {name: examples_of(output) for name, output in outputs.items()},
    )
    runs = {name: count for name, (count, _) in shapes.items()}
    if runs["perturbed"] != runs["base"] or runs["repeated"] > runs["base"]:
        raise InputError(
            f"the numbers of runs are {runs}", "as many perturbed runs as base, and at most as many repeated"
        )
    if runs["fresh"] < 2:
        raise InputError(f"got {count(runs['fresh'], 'run')} of unrelated seeds", "two or more", "Pass fresh=.")


def _check_seeds(name: str, base: tuple[Any, RunOutputs], other: tuple[Any, RunOutputs]) -> None:
    """Raise where two studies recorded other seeds for runs that are to be the same."""
    if not all(is_study(source) for source, _ in (base, other)):
        return
    first, second = (
        [seeds[run] for run in output.run_ids]
        for source, output in (base, other)
        for seeds in ({run.id: run.seeds for run in source.runs},)
    )
    wrong = [at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b]
    if wrong:
        at = wrong[0]
        raise InputError(
            f"got {count(len(wrong), 'run')} of {name} with other seeds than those of base, the first {second[at]} for "
            f"{first[at]}",
            "the same runs in the same order",
            "Train both with the same seed= and vary=.",
        )


def _classes(outputs: RunOutputs, nan: str) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Return predicted classes [runs, examples], and why runs are to be excluded, by position."""
    found: list[NDArray[np.int64]] = []
    reasons: dict[int, str] = {}
    start = 0
    for chunk in outputs.chunks():
        values = np.asarray(chunk)
        predicted, undecided = run_classes(values, kind_of(outputs))
        if undecided is not None and nan == "exclude":
            for row in np.flatnonzero(undecided.any(axis=1)).tolist():
                reasons[start + row] = why_unusable(values[row], known_kind(outputs))
        elif undecided is not None:
            abstain(predicted, undecided, nan, start)
        found.append(predicted.astype(np.int64))
        start += len(values)
    return np.concatenate(found), reasons


def _disagreement(predicted: NDArray[np.int64]) -> float:
    """Return the share of examples on which two runs differ, over all pairs (spec 4.1, D)."""
    runs, examples = predicted.shape
    same = 0
    for k in np.unique(predicted).tolist():
        votes = (predicted == k).sum(axis=0)
        same += int((votes * (votes - 1)).sum())
    pairs = examples * runs * (runs - 1)
    return (pairs - same) / pairs
