"""Candidates for an ensemble, read once; and the objectives that score adding each of them to what is chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._reading.digest_columns import HasColumns, rounded
from ..._reading.opening import opens
from ..._reading.probabilities import Floats, Members, read_members
from ..._results import Excluded
from ...errors import InputError
from .._ties import top_class
from .defaults import CHOOSING, CandidateOptions

CACHE_BYTES = 2**30  # probabilities of all candidates are kept when they fit, else read again when needed
BLOCK = 2**16  # numbers scored at a time: 512 KiB, which stays in the processor's cache
Indices = NDArray[np.int64]


@dataclass(eq=False)
class Candidates:
    """Runs to choose an ensemble from, read once; `select_ensemble` takes it again and again without rereading.

    Attributes
    ----------
    members : Members
        Where the probabilities lie, and the labels.
    valid : ndarray of int64 [valid]
        Positions in the source of the candidates with usable outputs.
    log_true : ndarray of float64 [valid, examples]
        Log-probability that each gives to the true class.
    left_out : tuple of Excluded
        Runs with usable outputs that are no candidates, each with the reason.
    """

    members: Members
    valid: Indices
    log_true: Floats
    left_out: tuple[Excluded, ...] = ()
    _cache: list[Floats] = field(default_factory=list[Floats])

    @property
    def labels(self) -> Indices:
        """True classes [examples]."""
        return self.members.labels

    def __len__(self) -> int:
        return len(self.valid)

    def probabilities(self) -> Iterator[tuple[int, Floats]]:
        """Yield position among the valid candidates and probabilities [examples, classes]."""
        if self._cache:
            yield from enumerate(self._cache)
            return
        keep = self.log_true.size * self.members.n_classes * 8 <= CACHE_BYTES
        kept: list[Floats] = []
        places = {int(index): position for position, index in enumerate(self.valid)}
        for member in self.members:
            if member.index in places:
                if keep:
                    kept.append(member.probabilities)
                yield places[member.index], member.probabilities
        self._cache = kept

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the valid candidates."""
        return tuple(self.members.outputs.run_ids[index] for index in self.valid)

    def only(self, ids: Collection[str], reason: str) -> Candidates:
        """Return the candidates whose id is among `ids`, in the same order; the others are excluded for `reason`."""
        wanted = set(ids)
        kept = np.array([name in wanted for name in self.ids], dtype=bool)
        if kept.all():
            return self
        lost = tuple(Excluded(name, reason) for name in self.ids if name not in wanted)
        return Candidates(self.members, self.valid[kept], self.log_true[kept], (*self.left_out, *lost))

    def excluded(self) -> tuple[Excluded, ...]:
        """Return all runs that are no candidates."""
        return (*self.members.excluded(), *self.left_out)

    def one(self, position: int) -> Floats:
        """Return the probabilities of one valid candidate."""
        if self._cache:
            return self._cache[position]
        return self.members.at(int(self.valid[position])).probabilities


def reading_of(settings: Mapping[str, Any]) -> CandidateOptions:
    """Return those of a verb's settings that say how candidates are read."""
    found: Any = {name: settings[name] for name in CandidateOptions.__annotations__ if name in settings}
    return found


@opens("source")
def read_candidates(
    source: Any,
    labels: Any = None,
    *,
    split: str = CHOOSING,
    kind: str = "auto",
    nan: str = "exclude",
    ignore_index: int | None = None,
) -> Candidates:
    """Read candidates in one pass, keeping the log-probability of each true class (8 bytes per run and example).

    Parameters
    ----------
    source : array_like, RunOutputs, study or Candidates
        Logits or probabilities [runs, examples, classes], in memory or memory-mapped; predicted classes
        [runs, examples], for the objective ``"error"``; a study, or a path.
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    split : str
        Which split of a study to select on.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the numbers are, where neither they nor their source tell.
    nan : {"exclude", "raise"}
        Whether runs with NaN, a positive infinity or a row without a finite entry are excluded, or an error.
    ignore_index : int, optional
        Examples with this label are excluded.

    Returns
    -------
    Candidates
        To hand to `select_ensemble`.

    Raises
    ------
    InputError
        No usable run, or numbers and labels that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> rs.methods.ensembles.read_candidates(logits, labels).ids[:2]
    ('run 0', 'run 1')
    """
    options: CandidateOptions = {"split": split, "kind": kind, "nan": nan, "ignore_index": ignore_index}
    return candidates_of(source, labels, options)


@opens("source")
def candidates_of(source: Any, labels: Any, options: CandidateOptions, *, objective: str = "") -> Candidates:
    """Read candidates as `read_candidates` does; for the objective ``"nll"`` a study's digest columns will do."""
    if isinstance(source, Candidates):
        return source
    columns = objective == "nll" and options.get("ignore_index") is None
    reading: CandidateOptions = {"split": CHOOSING, **options}
    members = read_members(source, labels, columns=columns, **reading)
    if isinstance(members.outputs, HasColumns):
        log_true, valid = _from_columns(members, members.outputs)
    else:
        log_true, valid = np.empty((len(members), len(members.labels))), list[int]()
        for index, of_true in members.true_classes():
            log_true[len(valid)] = rounded(of_true, members.outputs)
            valid.append(index)
    if not valid:
        raise members.nothing_left()
    return Candidates(members, np.array(valid), log_true[: len(valid)])


def _from_columns(members: Members, digest: HasColumns) -> tuple[Floats, list[int]]:
    """Return what the digest says of the true classes, and the runs that can be used; of others the outputs say why."""
    log_true = digest.digest_column("log_true").to_array().astype(np.float64)
    lost = np.isnan(log_true).any(axis=1)
    for index in np.flatnonzero(lost).tolist():
        members.why_not(index)
    return log_true[~lost], np.flatnonzero(~lost).tolist()


class Objective(Protocol):
    """Scores of the mixtures "what is chosen, plus one more", lower is better."""

    def scores(self) -> Floats:
        """Return the score after adding each candidate [valid]; of each alone while nothing is chosen."""
        ...

    def add(self, position: int) -> None:
        """Choose a candidate (once more)."""
        ...


class NegativeLogLikelihood:
    """NLL in ``O(candidates * examples)`` a step: only the true class matters, so a running sum suffices.

    Each example is scaled by its largest candidate, so that nothing underflows and no ``logaddexp`` is needed.
    """

    def __init__(self, candidates: Candidates, rows: Indices | None = None) -> None:
        log_true = candidates.log_true if rows is None else candidates.log_true[:, rows]
        self._set_up(log_true)
        self._scaled = log_true - self._shift
        np.exp(self._scaled, out=self._scaled)

    def _set_up(self, log_true: Floats) -> None:
        self._shift = shift = log_true.max(axis=0)
        shift[np.isinf(shift)] = 0.0
        # Alone from the logs themselves: 745 nats below the best candidate would already be zero after scaling.
        self._alone = -log_true.mean(axis=1)
        self._offset = float(shift.mean())
        self._total = np.zeros(len(shift))
        self._t = 0

    def scores(self) -> Floats:
        """Return the NLL with each candidate added [valid]."""
        if self._t == 0:
            return self._alone.copy()
        return np.log(self._t + 1) - self._offset - mean_logs(self._scaled, self._total)

    def add(self, position: int) -> None:
        """Choose a candidate."""
        self._total += self._scaled[position]
        self._t += 1


def mean_logs(scaled: Floats, total: Floats) -> Floats:
    """Return the mean over examples of the logarithm of `total` plus each row [rows], a block of rows at a time."""
    buffer = np.empty((max(1, BLOCK // len(total)), len(total)))
    result, rows = np.empty(len(scaled)), len(buffer)
    with np.errstate(divide="ignore"):
        for start in range(0, len(result), rows):
            block = scaled[start : start + rows]
            sums = np.add(block, total, out=buffer[: len(block)])
            result[start : start + rows] = np.log(sums, out=sums).mean(axis=1)
    return result


class BrierScore:
    """Brier score from inner products: a pass over the data for each *new* member, then a few numbers per candidate."""

    def __init__(self, candidates: Candidates, rows: Indices | None = None) -> None:
        self._candidates, self._rows = candidates, slice(None) if rows is None else rows
        labels = candidates.labels[self._rows]
        self._n, self._t = len(labels), 0
        self._squares, self._true = np.empty(len(candidates)), np.empty(len(candidates))
        for position, p in candidates.probabilities():
            chosen = p[self._rows]
            self._squares[position] = float(np.vdot(chosen, chosen))
            self._true[position] = chosen[np.arange(self._n), labels].sum()
        self._products: dict[int, Floats] = {}
        self._with_total = np.zeros(len(candidates))  # inner product of each candidate with the running sum
        self._total_squared = self._total_true = 0.0

    def scores(self) -> Floats:
        """Return the Brier score with each candidate added [valid]."""
        t = self._t + 1
        squared = (self._total_squared + 2 * self._with_total + self._squares) / t**2
        return (squared - 2 * (self._total_true + self._true) / t) / self._n + 1

    def add(self, position: int) -> None:
        """Choose a candidate."""
        if position not in self._products:
            chosen = np.ascontiguousarray(self._candidates.one(position)[self._rows])
            products = [float(np.vdot(p[self._rows], chosen)) for _, p in self._candidates.probabilities()]
            self._products[position] = np.array(products)
        self._total_squared += 2 * self._with_total[position] + self._squares[position]
        self._total_true += self._true[position]
        self._with_total += self._products[position]
        self._t += 1


class ErrorRate:
    """Error rate of the averaged probabilities; a pass over all classes of all candidates each step."""

    def __init__(self, candidates: Candidates, rows: Indices | None = None) -> None:
        self._candidates, self._rows = candidates, slice(None) if rows is None else rows
        self._labels = candidates.labels[self._rows]
        self._total = np.zeros((len(self._labels), candidates.members.n_classes))
        self._t = 0

    def scores(self) -> Floats:
        """Return the error rate with each candidate added [valid]."""
        result = np.empty(len(self._candidates))
        for position, p in self._candidates.probabilities():
            top = top_class(self._total + p[self._rows], self._t + 1)
            result[position] = np.count_nonzero(top != self._labels) / len(self._labels)
        return result

    def add(self, position: int) -> None:
        """Choose a candidate."""
        self._total += self._candidates.one(position)[self._rows]
        self._t += 1


OBJECTIVES: dict[str, type[NegativeLogLikelihood] | type[BrierScore] | type[ErrorRate]] = {
    "nll": NegativeLogLikelihood,
    "brier": BrierScore,
    "error": ErrorRate,
}


def check_objective(candidates: Candidates, objective: str) -> None:
    """Raise an InputError for an objective that is unknown, or that predicted classes cannot have."""
    check_choice(objective, "objective", OBJECTIVES)
    if objective != "error":
        what = f"the objective {objective!r}"
        candidates.members.need_probabilities(what, "Choose by objective='error', for which votes suffice.")


def mixture_losses(candidates: Candidates, objective: str, mixtures: list[Indices]) -> Floats:
    """Return the loss of several mixtures on every example.

    Parameters
    ----------
    candidates : Candidates
        What the mixtures are made of.
    objective : {"nll", "brier", "error"}
        Which loss; its mean over examples is the objective.
    mixtures : list of ndarray of int
        Positions among the valid candidates; one named twice has twice the weight.

    Returns
    -------
    ndarray of float64 [mixtures, examples]
    """
    if objective == "nll":
        return np.array([_mixture_nll(candidates.log_true[chosen]) for chosen in mixtures])
    size = max(1, 2**28 // (8 * candidates.log_true.shape[1] * candidates.members.n_classes))
    parts = [mixtures[start : start + size] for start in range(0, len(mixtures), size)]
    return np.concatenate([_class_losses(candidates, objective, part) for part in parts])


def _mixture_nll(log_true: Floats) -> Floats:
    top = log_true.max(axis=0)
    shift = np.where(np.isinf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        return -shift - np.log(np.exp(log_true - shift).mean(axis=0))


def _class_losses(candidates: Candidates, objective: str, mixtures: list[Indices]) -> Floats:
    labels = candidates.labels
    rows = np.arange(len(labels))
    counts = np.array([np.bincount(chosen, minlength=len(candidates)) for chosen in mixtures])
    totals = np.zeros((len(mixtures), len(labels), candidates.members.n_classes))
    for position, p in candidates.probabilities():
        for mixture in np.flatnonzero(counts[:, position]):
            totals[mixture] += counts[mixture, position] * p
    totals /= counts.sum(axis=1)[:, None, None]
    if objective == "error":
        return (top_class(totals) != labels).astype(np.float64)
    return np.einsum("smc,smc->sm", totals, totals) - 2 * totals[:, rows, labels] + 1


def prior_loss(labels: Indices, objective: str) -> float:
    """Return the objective of a predictor that always gives the label frequencies."""
    frequencies = np.bincount(labels) / len(labels)
    present = frequencies[frequencies > 0]
    if objective == "nll":
        return float(-(present * np.log(present)).sum())
    return float(1 - (present**2).sum() if objective == "brier" else 1 - present.max())


def check_finite(alone: Floats, candidates: Candidates) -> None:
    """Raise if no candidate has a finite score alone."""
    if not np.isfinite(alone).any():
        raise InputError(
            f"there is no candidate with a finite score: {len(candidates.members.invalid)} with unusable outputs, "
            f"{int(np.isinf(alone).sum())} with an infinite score",
            "at least one candidate that gives every true class some probability",
        )
