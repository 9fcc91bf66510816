"""How good one run and the average of several runs are: accuracy, likelihood, Brier score, calibration."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_numbers
from ..._reading.opening import opens
from ..._reading.options import ReadingOptions, reading_of
from ..._reading.probabilities import Floats, Member, Members, read_members
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError, RunspreadWarning
from .._ties import top_class
from ..audit.auditing import warns_of_seeds
from .calibration import Reliability, reliability
from .defaults import CALIBRATION_BINS

if TYPE_CHECKING:
    from .selection import EnsembleSelection

WEIGHT_TOLERANCE = 1e-12
_Z = 1.959963984540054  # of 95 %
_LARGEST = 1e150  # of what can be squared and summed


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores(Result):
    """Scores of the averaged probabilities and of every member.

    Attributes
    ----------
    accuracy, nll, brier, ece : float
        Of the ensemble ``sum_j w_j p_j``: share of correct top-1 classes (ties to the lowest class), mean
        ``-log p_y`` in nats, mean squared distance to the one-hot label (0 to 2), expected calibration error.
    gibbs_nll : float
        Weighted mean of the members' NLL; never below `nll`.
    accuracy_se, nll_se : float
        Standard errors over the examples, with the runs held fixed.
    member_accuracy, member_nll, member_brier, member_ece : ndarray [members]
        The same of each member alone.
    weights : ndarray [members]
        Weight of each member in the ensemble; they sum to 1.
    run_ids : tuple of str
        Ids of the members.
    n_examples, n_classes : int
        Size of the set.
    reliability : Reliability
        Counts, accuracy and confidence by bin, of the ensemble; of predicted classes the confidence is the share of
        votes, and all scores but accuracy are NaN.
    """

    picture = ".plots:plot_reliability"

    accuracy: float
    nll: float
    brier: float
    ece: float
    gibbs_nll: float
    accuracy_se: float
    nll_se: float
    member_accuracy: Floats
    member_nll: Floats
    member_brier: Floats
    member_ece: Floats
    weights: Floats
    run_ids: tuple[str, ...]
    n_examples: int
    n_classes: int
    reliability: Reliability

    @property
    def n_members(self) -> int:
        """Number of members."""
        return len(self.weights)

    def table(self) -> Table:
        """Return the ensemble, the members' mean and every member as rows."""
        members = (self.member_accuracy, self.member_nll, self.member_brier, self.member_ece)
        ensemble = (self.accuracy, self.nll, self.brier, self.ece)
        columns = {
            name: [whole, float(self.weights @ each), *each]
            for name, whole, each in zip(("accuracy", "NLL", "Brier", "ECE"), ensemble, members, strict=True)
            if not np.isnan(whole)
        }
        who = ["ensemble", "mean of members", *self.run_ids]
        return Table(
            {"predictor": who, "weight": [None, None, *self.weights], **columns},
            formats={"accuracy": ".2%", "NLL": ".4f", "Brier": ".4f", "ECE": ".4f", "weight": ".3g"},
        )

    def sentence(self) -> str:
        """Return the scores in words."""
        bins = len(self.reliability.counts)
        if np.isnan(self.nll):
            return self._votes()
        core = (
            f"accuracy {self._accuracy()}, {self._likelihood()}, Brier score {self.brier:.4f} and ECE {self.ece:.4f} "
            f"({bins} bins) "
            f"on {count(self.n_examples, 'example')}"
        )
        caveat = "Standard errors are over examples, not over seeds."
        if self.n_members == 1:
            return f"One run reaches {core}. {caveat}"
        return (
            f"The average of {self.n_members} members reaches {core}; alone they average accuracy "
            f"{self.weights @ self.member_accuracy:.2%} and {self._own_likelihood()}. {caveat}"
        )

    def _likelihood(self) -> str:
        """Return the NLL with its error, or that it is infinite."""
        if math.isfinite(self.nll):
            return f"NLL {self.nll:.4f} (standard error {self.nll_se:.4f})"
        return "infinite NLL"

    def _own_likelihood(self) -> str:
        """Return the mean NLL of the members, or that it is infinite."""
        if math.isfinite(self.gibbs_nll):
            return f"NLL {self.gibbs_nll:.4f}"
        return "infinite NLL"

    def _accuracy(self) -> str:
        """Return the accuracy with its error: where no outcome differs, which is no certainty, Wilson's interval."""
        if self.accuracy_se > 0 or math.isnan(self.accuracy_se):
            return f"{self.accuracy:.2%} (standard error {self.accuracy_se:.2%})"
        reach = _Z**2 / (self.n_examples + _Z**2)
        low, high = (1 - reach, 1.0) if self.accuracy > 0 else (0.0, reach)
        return f"{self.accuracy:.2%} (95% CI {low:.2%} to {high:.2%})"

    def _votes(self) -> str:
        """Return the accuracy of predicted classes in words."""
        runs = count(self.n_members, "run")
        return (
            f"The majority vote of {runs} has accuracy {self._accuracy()} on "
            f"{count(self.n_examples, 'example')}; alone they average "
            f"{self.weights @ self.member_accuracy:.2%}. Predicted classes have no likelihood, so "
            "NLL, Brier score and ECE are not known."
        )


@opens("outputs")
@warns_of_seeds(pooled=False)
def ensemble_scores(
    outputs: Any,
    labels: Any = None,
    *,
    weights: ArrayLike | Mapping[str, float] | EnsembleSelection | None = None,
    n_bins: int = CALIBRATION_BINS,
    closed: str = "left",
    ignore_index: int | None = None,
    **reading: Unpack[ReadingOptions],
) -> Scores:
    """Score runs one by one and as an ensemble that averages their probabilities.

    Reads one run at a time: memory is a few times [examples, classes], whatever the number of runs.

    Parameters
    ----------
    outputs : array_like, RunOutputs or study
        Logits or probabilities [runs, examples, classes]; predicted classes [runs, examples], of which there is only
        accuracy; a study, or a path.
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    weights : array_like [runs], mapping or EnsembleSelection, optional
        Non-negative weights that sum to 1 (equal by default). Runs of weight zero are excluded. A mapping from ids of
        runs to weights, or what `select_ensemble` returned, is matched by id, so that the outputs may be of other runs
        besides.
    n_bins : int
        Bins of the calibration error.
    closed : {"left", "right"}
        Which end of a bin belongs to it; matters only for confidences on an edge.
    ignore_index : int, optional
        Examples with this label are excluded.
    **reading
        Which `split` of a study is read, of what `kind` outputs are, and what `nan` in them means: see
        `ReadingOptions`.

    Returns
    -------
    Scores
        Of the ensemble and of each member. Runs with NaN or infinite outputs are excluded and named; with given
        weights they are an error, because the rest would no longer sum to 1.

    Raises
    ------
    InputError
        Shapes, labels or weights do not fit; rows of probabilities do not sum to 1; no usable run.

    References
    ----------
    Wenzel et al. (2020), arXiv 2006.13570, section 5; Guo et al. (2017), arXiv 1706.04599, for ECE.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> scores = rs.ensemble_scores(logits, labels)
    >>> bool(scores.accuracy > 0.9)
    True
    """
    how = reading_of(reading, "ensemble_scores", ("weights", "n_bins", "closed", "ignore_index"))
    members = read_members(outputs, labels, **how, ignore_index=ignore_index)
    running = _Running(members, _check_weights(weights, members), n_bins, closed)
    for member in members:
        running.add(member)
    return running.finish()


@opens("outputs")
def ensemble_probabilities(
    outputs: Any,
    *,
    weights: ArrayLike | Mapping[str, float] | EnsembleSelection | None = None,
    kind: str = "auto",
    nan: str = "exclude",
) -> Floats:
    """Average the class probabilities of several runs: ``p(c|x) = sum_j w_j p_j(c|x)``.

    Parameters
    ----------
    outputs : array_like or RunOutputs
        Logits or probabilities [runs, examples, classes].
    weights : array_like [runs], mapping or EnsembleSelection, optional
        As in `scores`.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the numbers are, where neither they nor their source tell.
    nan : {"exclude", "raise"}
        Whether runs with NaN, a positive infinity or a row without a finite entry are excluded with a
        `RunspreadWarning` that names them, or an error.

    Returns
    -------
    ndarray of float64 [examples, classes]
        Averaged probabilities; never averaged logits or weights.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> rs.methods.ensembles.ensemble_probabilities(logits).shape
    (200, 4)
    """
    members = read_members(outputs, kind=kind, nan=nan, needs_labels=False)
    averaged = mean_probabilities(members, weights)
    if members.invalid:
        named = "; ".join(f"{item.run} ({item.reason})" for item in members.excluded()[:5])
        left = count(len(members.invalid), "run")
        warnings.warn(f"the average excludes {left}: {named}", RunspreadWarning, stacklevel=3)
    return averaged


def mean_probabilities(
    members: Members, weights: ArrayLike | Mapping[str, float] | EnsembleSelection | None = None
) -> Floats:
    """Return the average probabilities of the members [examples, classes]; those excluded are known afterwards."""
    members.need_probabilities("averaged probabilities", "Votes are counted by scores and calibration.")
    running = _Running(members, _check_weights(weights, members), 1, "left")
    for member in members:
        running.add(member)
    return running.probabilities()


def _check_weights(weights: Any, members: Members) -> Floats | None:
    if weights is None:
        return None
    ids = members.outputs.run_ids
    if hasattr(weights, "run_ids"):  # a selection
        weights = dict(zip(weights.run_ids, weights.weights.tolist(), strict=True))
    if isinstance(weights, Mapping):
        weights = _by_id(weights, members)
    array, n_runs = check_numbers(weights, "weights"), len(ids)
    if array.shape != (n_runs,):
        raise InputError(
            f"got weights of shape {array.shape} for {n_runs} runs",
            "one weight per run",
            "A selection, or a mapping from ids to weights, is matched by id.",
        )
    if not (array >= 0).all() or abs(array.sum() - 1) > max(WEIGHT_TOLERANCE, 1e-15 * n_runs):
        raise InputError(f"got weights from {array.min():g}, summing to {array.sum()!r}", "non-negative weights, sum 1")
    return array


def _by_id(weights: Mapping[str, float], members: Members) -> list[float]:
    """Return a weight for each run, in order; one with a weight that is not there is an error."""
    ids = members.outputs.run_ids
    lost = [name for name, weight in weights.items() if weight and name not in ids]
    if lost:
        reasons = {item.run: item.reason for item in members.outputs.excluded}
        named = "; ".join(f"{name} ({reasons.get(name, 'not among the runs')})" for name in lost[:5])
        raise InputError(
            f"{len(lost)} runs with a weight and no outputs here: {named}", "weights on runs that have them"
        )
    return [float(weights.get(name, 0.0)) for name in ids]


class _Running:
    """Sums over members, from which the ensemble's and each member's scores follow."""

    def __init__(self, members: Members, weights: Floats | None, n_bins: int, closed: str) -> None:
        self.members, self.given = members, weights
        self.labels, self.n_bins, self.closed = members.labels, n_bins, closed
        n, self.rows = len(members.labels), np.arange(len(members.labels))
        self.total = np.zeros((n, members.n_classes))
        self.log_total = np.full(n, -np.inf)
        self.alone: list[tuple[float, float, float, float]] = []
        self.indices: list[int] = []
        self.top = np.zeros(n, np.intp)

    def add(self, member: Member) -> None:
        weight = 1.0 if self.given is None else float(self.given[member.index])
        if weight == 0:
            return
        truth = member.true_class(self.labels)
        self.total += weight * member.probabilities
        self.log_total = np.logaddexp(self.log_total, truth + np.log(weight))
        accuracy, brier, bins = self._point_scores(member.probabilities, member.top)
        self.top = member.top
        self.alone.append((float(accuracy.mean()), float(-truth.mean()), brier, bins.ece))
        self.indices.append(member.index)

    def _point_scores(
        self, probabilities: Floats, top: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], float, Reliability]:
        correct = top == self.labels
        squared = np.einsum("mc,mc->m", probabilities, probabilities) - 2 * probabilities[self.rows, self.labels] + 1
        bins = reliability(probabilities[self.rows, top], correct, n_bins=self.n_bins, closed=self.closed)
        return correct, float(squared.mean()), bins

    def probabilities(self) -> Floats:
        self._check_complete()
        return self.total / (len(self.indices) if self.given is None else 1.0)

    def _check_complete(self) -> None:
        if not self.indices:
            raise self.members.nothing_left()
        lost = [i for i in self.members.invalid if self.given is not None and self.given[i] > 0]
        if lost:
            run, reason = self.members.outputs.run_ids[lost[0]], self.members.invalid[lost[0]]
            raise InputError(f"{run} has a weight but no usable outputs: {reason}", "weights on valid runs only")

    def finish(self) -> Scores:
        probabilities = self.probabilities()
        n = len(self.labels)
        weights = np.full(len(self.indices), 1 / len(self.indices)) if self.given is None else self.given[self.indices]
        losses = (np.log(len(self.indices)) if self.given is None else 0.0) - self.log_total
        top = self.top if len(self.indices) == 1 else top_class(probabilities)
        correct, brier, bins = self._point_scores(probabilities, top)
        accuracies, nlls, briers, eces = np.array(self.alone).T
        if self.members.votes:  # of predicted classes there is no likelihood
            losses, nlls, briers, eces = (np.full_like(values, np.nan) for values in (losses, nlls, briers, eces))
            brier = float("nan")
        ids = self.members.outputs.run_ids
        return Scores(
            accuracy=float(correct.mean()),
            nll=float(losses.mean()),
            brier=brier,
            ece=float("nan") if self.members.votes else bins.ece,
            gibbs_nll=float(weights @ nlls),
            accuracy_se=standard_error(correct.astype(np.float64)),
            nll_se=standard_error(losses),
            member_accuracy=accuracies,
            member_nll=nlls,
            member_brier=briers,
            member_ece=eces,
            weights=weights,
            run_ids=tuple(ids[i] for i in self.indices),
            n_examples=n,
            n_classes=self.members.n_classes,
            reliability=bins,
            excluded=self.members.excluded(),
            warnings=_impossible(float(losses.mean()), nlls),
        )


def _impossible(nll: float, of_members: Floats) -> tuple[str, ...]:
    """Return whose NLL is infinite, and why."""
    alone = int(np.isinf(of_members).sum())
    if not alone:
        return ()
    who = f"{count(alone, 'member')} of {len(of_members)}" + (" and their average" if math.isinf(nll) else "")
    return (f"{who} give some true class probability 0, which makes the NLL infinite",)


def standard_error(values: Floats) -> float:
    """Return the standard error of the mean; NaN for a single or an infinite value, or one too large to square."""
    if len(values) < 2 or not np.abs(values).max() < _LARGEST:
        return float("nan")
    return float(values.std(ddof=1) / np.sqrt(len(values)))
