"""`audit` asks whether the seeds of the runs were independent at all."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..._errors import CorruptShardError, InputError
from ..._reading.outputs import RunOutputs
from ..._results import Result, Table
from .evidence import ROLES, Prints, RunEvidence, outputs_evidence, study_evidence

_P = ParamSpec("_P")
_R = TypeVar("_R", bound=Result)

_POINTS = 50
_CORRELATION = 0.3
_LEVEL = 0.001
_MOST_RUNS = 2000  # whose loss curves are compared: pairs of runs grow with the square
_MOST_WEIGHTS = 1000  # runs whose weights the other methods look at; opening each takes a fraction of a millisecond


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Attributes
    ----------
    kind : str
        ``"copied runs"``, ``"repeated seeds"``, ``"same initialisation"``, ``"same data order"``,
        ``"seed not honoured"`` or ``"fixed seed"``.
    severity : {"flaw", "note"}
        A flaw makes intervals wrong; a note says what they are conditional on.
    runs : tuple of str
        The runs concerned.
    what : str
        What was seen.
    effect : str
        What it does to the intervals.
    """

    kind: str
    severity: str
    runs: tuple[str, ...]
    what: str
    effect: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Audit(Result):
    """What speaks against the independence of the runs' randomness.

    Attributes
    ----------
    n_runs : int
        Runs looked at.
    looked_at : tuple of str
        Which evidence there was.
    not_seen : tuple of str
        Which evidence was missing, so that the finding it would allow cannot be excluded.
    findings : tuple of Finding
        Flaws first.
    """

    n_runs: int
    looked_at: tuple[str, ...]
    not_seen: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no flaw was found."""
        return not any(finding.severity == "flaw" for finding in self.findings)

    def table(self) -> Table:
        """Return a row a finding."""
        columns = {
            "finding": [finding.kind for finding in self.findings],
            "severity": [finding.severity for finding in self.findings],
            "runs": [len(finding.runs) for finding in self.findings],
            "what": [finding.what for finding in self.findings],
            "effect": [finding.effect for finding in self.findings],
        }
        return Table(columns)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        flaws = [finding for finding in self.findings if finding.severity == "flaw"]
        seen = ", ".join(self.looked_at)
        unseen = f"; {', '.join(self.not_seen)} were not recorded and can hide more" if self.not_seen else ""
        if self.n_runs < 2:
            return f"One run cannot tell whether seeds are independent; it takes two (looked at: {seen}{unseen})."
        if not flaws:
            return f"Nothing speaks against independent seeds in {self.n_runs} runs (looked at: {seen}{unseen})."
        listed = "; ".join(f"{finding.kind}: {finding.what}" for finding in flaws)
        return f"The runs were not independent: {listed} ({self.n_runs} runs; looked at: {seen}{unseen})."


def audit(source: Any, *, split: str | None = "test") -> Audit:
    """Look for signs that the runs did not have seeds of their own.

    It finds the same initialisation under different seeds (by weights at step 0, or by the first logged losses), the
    same data order (by losses that fluctuate together from step to step), copies (by predictions or final weights),
    repeated seeds, and says what each does to the intervals. Augmentation that workers share shows as copies among
    runs that differ in the augmentation seed alone; where order and initialisation vary too it cannot be seen.

    Parameters
    ----------
    source : study, RunOutputs or RunEvidence
        The runs; of outputs alone only copies can be told. Bare arrays go through ``RunEvidence.from_arrays``.
    split : str or None
        Whose predictions of a study to compare; None takes "test", or the first split that there is.

    Raises
    ------
    InputError
        There are no runs, or the source is neither.
    MissingDataError
        The study has predictions, but none on `split`.
    """
    return _judged(source if isinstance(source, RunEvidence) else _evidence(source, split))


def _judged(evidence: RunEvidence) -> Audit:
    """Return what speaks against independence in the evidence."""
    if not evidence.run_ids:
        raise InputError("no runs", "at least one run that did not fail")
    findings = [found for look in _LOOKS for found in look(evidence)]
    present = {
        "seeds": any(seed is not None for seeds in evidence.seeds.values() for seed in seeds),
        "initial weights": any(evidence.initial),
        "first losses": any(evidence.first_losses),
        "loss curves": evidence.losses is not None and evidence.losses.shape[1] >= _POINTS,
        "predictions": any(evidence.predictions),
        "final weights": any(evidence.final),
    }
    return Audit(
        n_runs=len(evidence.run_ids),
        looked_at=tuple(_seen(name, evidence) for name, there in present.items() if there),
        not_seen=tuple(name for name, there in present.items() if not there),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity)),
        warnings=tuple(f"{f.kind}: {f.what}. {f.effect}" for f in findings if f.severity == "flaw"),
    )


def _seen(name: str, evidence: RunEvidence) -> str:
    """Return the name of evidence, with how much of it is looked at."""
    part = name == "loss curves" and len(evidence.run_ids) > _MOST_RUNS
    return f"{name} of the first {_MOST_RUNS} runs" if part else name


def _evidence(source: Any, split: str | None) -> RunEvidence:
    if isinstance(source, RunOutputs):
        return outputs_evidence(source)
    if not _is_study(source):
        raise InputError(
            f"an object of type {type(source).__name__}",
            "a study, the outputs of runs or RunEvidence",
            "Bring bare arrays with rs.RunEvidence.from_arrays(seeds=..., initial_weights=..., predictions=...).",
        )
    return study_evidence(source, split=split)


def audit_warnings(source: Any, *, pooled: bool = True) -> tuple[str, ...]:
    """Return the flaws that `audit` finds in a study, as sentences; nothing for bare arrays.

    Every method asks it, so it is made cheap: seeds and losses of all runs, the first values of their predictions, and
    those of the weights of the first 1,000 runs; what agrees there is read whole. It is looked at once for each open
    study, and again when runs have come. With `pooled`, configurations that are pooled are named too.
    """
    if not _is_study(source):
        return ()
    notes = list(_flaws(source))
    configurations = len({json.dumps(run.hyperparameters, sort_keys=True, default=str) for run in source.runs})
    if pooled and configurations > 1:
        notes.append(f"The runs are of {configurations} configurations: the spread holds what hyperparameters add.")
    return tuple(notes)


_KNOWN: WeakKeyDictionary[Any, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = WeakKeyDictionary()


def _flaws(study: Any) -> tuple[str, ...]:
    """Return the flaws of a study as sentences, from memory where it has the same runs as before."""
    runs = tuple((run.id, run.status) for run in study.runs)
    if study not in _KNOWN or _KNOWN[study][0] != runs:
        try:
            evidence = study_evidence(study, split=None, most_weights=_MOST_WEIGHTS)
        except CorruptShardError as error:  # of what the method itself may have no use for
            return (f"Whether the runs' seeds are independent could not be looked at: {error}",)
        _KNOWN[study] = runs, _judged(evidence).warnings if evidence.run_ids else ()
    return _KNOWN[study][1]


def _is_study(source: Any) -> bool:
    return hasattr(source, "runs") and hasattr(source, "weights")


def _studies(values: Iterable[Any]) -> list[Any]:
    """Return the studies among the arguments of a method, those inside mappings too."""
    flat = [each for value in values for each in (value.values() if isinstance(value, Mapping) else [value])]
    return [value for value in flat if _is_study(value)]


def warns_of_seeds(*, pooled: bool) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator: the result of a method carries the `audit_warnings` of the studies it was given."""

    def decorate(method: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(method)
        def audited(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            result = method(*args, **kwargs)
            studies = _studies((*args, *kwargs.values()))
            notes = [note for study in studies for note in audit_warnings(study, pooled=pooled)]
            new = tuple(note for note in dict.fromkeys(notes) if note not in result.warnings)
            return replace(result, warnings=(*new, *result.warnings)) if new else result

        return audited

    return decorate


# ------------------------------------------------------------------ what is looked for


def _alike(keys: Iterable[Any]) -> list[list[int]]:
    """Return the groups of two or more positions with equal keys; None is no key."""
    groups: dict[Any, list[int]] = {}
    for position, key in enumerate(keys):
        if key is not None:
            groups.setdefault(key, []).append(position)
    return [group for group in groups.values() if len(group) > 1]


def _names(evidence: RunEvidence, groups: list[list[int]]) -> tuple[str, ...]:
    return tuple(evidence.run_ids[position] for group in groups for position in group)


def _list(evidence: RunEvidence, groups: list[list[int]]) -> str:
    """Return the first groups by the names of their runs."""
    shown = "; ".join(" = ".join(evidence.run_ids[position] for position in group[:3]) for group in groups[:3])
    return shown + (", ..." if len(groups) > 3 or any(len(group) > 3 for group in groups[:3]) else "")


def _shrinkage(groups: list[list[int]], runs: int) -> str:
    """Return by how much copies shrink the variance: the share of run pairs that are one run."""
    share = sum(len(group) * (len(group) - 1) for group in groups) / (runs * (runs - 1))
    effective = runs**2 / (runs + sum(len(group) * (len(group) - 1) for group in groups))
    return (
        f"Over all runs, variances between runs are too small by {share:.1%} on average, and a mean is as sure as "
        f"one over {effective:.1f} runs, not {runs}"
    )


def _positions(evidence: RunEvidence, role: str) -> tuple[int | None, ...]:
    return evidence.seeds.get(role, (None,) * len(evidence.run_ids))


def _all_seeds(evidence: RunEvidence) -> list[Any]:
    """Return for each run its configuration with all its seeds, None where no seed is known."""
    rows = zip(*(_positions(evidence, role) for role in ROLES), strict=True)
    pairs = zip(evidence.configurations, rows, strict=True)
    return [None if all(seed is None for seed in row) else (name, row) for name, row in pairs]


def repeated_seeds(evidence: RunEvidence) -> list[Finding]:
    """Find runs of one configuration with the same seeds in every role, and roles whose seed never changes."""
    groups = _alike(_all_seeds(evidence))
    runs = len(evidence.run_ids)
    found: list[Finding] = []
    if groups:
        count = sum(len(group) for group in groups)
        what = f"{count} runs share every recorded seed with another run of their configuration"
        effect = f"{_shrinkage(groups, runs)}, if such runs are equal. Train them again under seeds of their own."
        found.append(Finding("repeated seeds", "flaw", _names(evidence, groups), what, effect))
    return found + [finding for role in ROLES for finding in _fixed(evidence, role)]


def _fixed(evidence: RunEvidence, role: str) -> list[Finding]:
    """Find a role whose seed is one and the same in all runs while another role's varies."""
    seeds = _positions(evidence, role)
    others = [set(_positions(evidence, other)) for other in ROLES if other != role]
    if len(seeds) < 2 or seeds[0] is None or len(set(seeds)) > 1 or all(len(values) == 1 for values in others):
        return []
    what = f"the {role} seed is {seeds[0]} in all {len(seeds)} runs"
    effect = f"The spread does not contain what {role} adds, and intervals hold for this {role} seed only."
    return [Finding("fixed seed", "note", evidence.run_ids, what, effect)]


def copied_runs(evidence: RunEvidence) -> list[Finding]:
    """Find runs whose predictions or final weights are identical."""
    found: list[Finding] = []
    for name, prints in (("predictions", evidence.predictions), ("final weights", evidence.final)):
        groups = _alike(prints)
        if groups:
            pairs = sum(len(group) * (len(group) - 1) // 2 for group in groups)
            what = (
                f"{pairs} pairs of runs have identical {name} ({_list(evidence, groups)}){_only_by(evidence, groups)}"
            )
            effect = f"{_shrinkage(groups, len(evidence.run_ids))}. Leave out all but one of each group."
            found.append(Finding("copied runs", "flaw", _names(evidence, groups), what, effect))
    return found


def _only_by(evidence: RunEvidence, groups: list[list[int]]) -> str:
    """Say in which roles the seeds of identical runs differ: the trainer does not use those."""
    roles = [
        role
        for role in ROLES
        if any(len({_positions(evidence, role)[position] for position in group}) > 1 for group in groups)
    ]
    return f", under different seeds of {', '.join(roles)}, which then changed nothing" if roles else ""


def same_initialisation(evidence: RunEvidence) -> list[Finding]:
    """Find equal initial weights (or first losses) under different init seeds, and the reverse."""
    seeds = _positions(evidence, "init")
    source, prints = ("weights at step 0", evidence.initial) if any(evidence.initial) else _by_losses(evidence)
    groups = [
        group
        for group in _alike(_keyed(evidence, prints))
        if len({seeds[position] for position in group}) > 1 or seeds[group[0]] is None
    ]
    found: list[Finding] = []
    if groups:
        count = sum(len(group) for group in groups)
        what = (
            f"{count} runs have the same {source} as another, though not the same init seed ({_list(evidence, groups)})"
        )
        effect = (
            "Their accuracies are correlated: the spread lacks what initialisation adds, and the standard error of "
            "the mean does not shrink as fast as the number of runs says."
        )
        found.append(Finding("same initialisation", "flaw", _names(evidence, groups), what, effect))
    return found + _not_honoured(evidence, seeds)


def _by_losses(evidence: RunEvidence) -> tuple[str, Prints]:
    return "first logged losses, to the last bit,", evidence.first_losses


def _keyed(evidence: RunEvidence, prints: Prints) -> list[Any]:
    """Return the digests with the configuration: other configurations may well start from the same weights."""
    pairs = zip(evidence.configurations, prints or [None] * len(evidence.run_ids), strict=True)
    return [None if digest is None else (name, digest) for name, digest in pairs]


def _not_honoured(evidence: RunEvidence, seeds: tuple[int | None, ...]) -> list[Finding]:
    """Find runs of one configuration and one init seed that start from different weights."""
    if not any(evidence.initial):
        return []
    keys = [None if seed is None else (name, seed) for name, seed in zip(evidence.configurations, seeds, strict=True)]
    groups = [group for group in _alike(keys) if len({evidence.initial[position] for position in group}) > 1]
    if not groups:
        return []
    what = f"runs with one init seed start from different weights ({_list(evidence, groups)})"
    effect = (
        "The init seed does not fix the initialisation: designs that hold it fixed do not, and runs cannot be redone."
    )
    return [Finding("seed not honoured", "note", _names(evidence, groups), what, effect)]


def same_data_order(evidence: RunEvidence) -> list[Finding]:
    """Find runs under different order seeds whose losses fluctuate together from step to step.

    The minibatch decides much of the loss of a step. Second differences take out most of what a schedule does to all
    runs; their rank correlation is near zero between runs that see different batches, whatever their initialisation.
    """
    if evidence.losses is None:
        return []
    rows = np.flatnonzero(np.isfinite(evidence.losses).all(axis=1))[:_MOST_RUNS]
    if len(rows) < 2 or evidence.losses.shape[1] < _POINTS:
        return []
    seeds = np.array([-1 if seed is None else seed for seed in _positions(evidence, "order")])[rows]
    names = np.unique(evidence.configurations, return_inverse=True)[1][rows]  # numbers compare faster than text
    together = _fluctuate_together(evidence.losses[rows])
    together &= (names[:, None] == names) & ((seeds[:, None] != seeds) | (seeds[:, None] == -1))
    first, second = np.nonzero(np.triu(together, 1))
    if not len(first):
        return []
    concerned = tuple(evidence.run_ids[rows[position]] for position in np.unique([first, second]))
    pairs = _list(evidence, [[int(rows[a]), int(rows[b])] for a, b in zip(first[:4], second[:4], strict=True)])
    what = f"in {len(first)} pairs of runs the loss fluctuates together from step to step ({pairs})"
    effect = (
        "They saw the same batches in the same order (or the same augmented images), so the spread lacks what data "
        "order adds and the accuracies are correlated."
    )
    return [Finding("same data order", "flaw", concerned, what, effect)]


def _fluctuate_together(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pairs of runs have second differences of the loss in rank correlation beyond chance [runs, runs]."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(np.diff(losses, n=2, axis=1), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    size = np.linalg.norm(ranks, axis=1, keepdims=True)
    unit = ranks / np.where(size > 0, size, 1.0)
    pairs = len(losses) * (len(losses) - 1) / 2
    # second differences of noise are correlated in time (-2/3 and 1/6 at lags one and two), which leaves fewer
    # independent points: the variance of a correlation is 1 + 2 (4/9 + 1/36) = 35/18 times 1/T
    chance = float(-ndtri(_LEVEL / pairs)) * np.sqrt(35 / 18 / ranks.shape[1])
    same = unit @ unit.T
    # batches that two runs share make a white component, which is anticorrelated (-2/3) one step apart; what is left
    # of a schedule is smooth, and correlated one step apart
    next_step = unit[:, :-1] @ unit[:, 1:].T
    return (same > max(_CORRELATION, chance)) & (next_step + next_step.T < -2 / 3 * same)


_LOOKS: tuple[Callable[[RunEvidence], list[Finding]], ...] = (
    copied_runs,
    repeated_seeds,
    same_initialisation,
    same_data_order,
)
