"""`audit` asks whether the seeds of the runs were independent at all."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, Unpack
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..._checks import to_numpy
from ..._reading.accepting import as_outputs
from ..._reading.copies import REPEATED, Copies, copied_outputs
from ..._reading.kinds import check_nan, why_unusable
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS, ReadingOptions, divided
from ..._reading.outputs import (
    CHUNK_BYTES,
    ArrayOutputs,
    RunOutputs,
    corrupt_shards,
    excluded_by,
    kind_of,
    nothing_left,
    refused,
)
from ..._reading.protocols import is_study
from ..._results import Excluded, Result, Table
from ..._words import count, listed
from ...errors import InputError
from .evidence import RunEvidence, away_from, outputs_evidence, study_evidence
from .looks import LOOKS, MOST_RUNS, Finding, comparable_losses, copies_in, first_losses_tell

if TYPE_CHECKING:
    from ..._reading.correctness import Outcomes
    from ..variance.statistics import RunStatistics

_P = ParamSpec("_P")
_R = TypeVar("_R", bound=Result)

_ARRAYS = (
    "Bring seeds, losses and weights in arrays with rs.methods.audit.RunEvidence.from_arrays(seeds=..., losses=...)."
)
_MOST_OUTPUTS = 2000  # runs whose bare outputs the other methods look at
_SAID = (REPEATED, "exactly the outputs of another")  # a method's own words for copies
_RUNS = frozenset(  # arguments that hold runs, each other than its neighbours: a perturbed run is to be like another
    ("source", "outputs", "candidates", "references", "old", "new", "a", "b", "base", "fresh")
)
_OF_COPIES = ("copied runs", "repeated seeds")
_MOST_BYTES = 2**26  # that the other methods fetch of a study in a store, of each part, to look at its seeds
_MOST_WEIGHTS = 1000  # runs whose weights the other methods look at; opening each takes a fraction of a millisecond


@dataclass(frozen=True, eq=False, kw_only=True)
class Audit(Result):
    """What speaks against the independence of the runs' randomness.

    Attributes
    ----------
    n_runs : int
        Runs looked at.
    n_distinct : int
        How many runs there are when copies count once.
    looked_at : tuple of str
        Which evidence there was.
    not_seen : tuple of str
        Which evidence was missing, so that the finding it would allow cannot be excluded.
    findings : tuple of Finding
        Flaws first.
    """

    no_picture = "its findings are a table: print(result), or result.table()"

    n_runs: int
    n_distinct: int
    looked_at: tuple[str, ...]
    not_seen: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no flaw was found."""
        return not self.flaws

    @property
    def flaws(self) -> tuple[Finding, ...]:
        """The findings that make intervals wrong."""
        return tuple(finding for finding in self.findings if finding.severity == "flaw")

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
        flaws = self.flaws
        unseen = f"; not recorded, so not checked: {', '.join(self.not_seen)}" if self.not_seen else ""
        checked = f"(checked: {', '.join(self.looked_at) or 'nothing'}{unseen})"
        if self.n_runs < 2:
            return f"One run cannot tell whether seeds are independent; it takes two {checked}."
        if not flaws:
            return f"No sign of dependent seeds in {self.n_runs} runs {checked}."
        listed = "; ".join(f"{finding.kind}: {finding.what}" for finding in flaws)
        return f"The {self.n_runs} runs are not independent: {listed} {checked}."


@opens("source")
def audit(source: Any, labels: Any = None, **reading: Unpack[ReadingOptions]) -> Audit:
    """Look for signs that the runs did not have seeds of their own.

    It finds the same initialisation under different seeds (by weights at step 0, or by equal first losses where they
    were logged finely enough), the same data order (by losses that fluctuate together from step to step, beyond what a
    schedule does to all runs; 50 points or more), copies, near copies and copies of a part (by predictions or final
    weights), repeated seeds, and says what each does to the intervals. Augmentation that workers share shows as copies
    among runs that differ in the augmentation seed alone; where order and initialisation vary too it cannot be seen.
    Where tasks come in blocks and each switch makes runs forget, a shared data order is often missed.
    Runs without a sign are not shown to be independent. Of honest runs at most 2 % are called dependent in every
    setting of ``docs/simulations.md``.

    Parameters
    ----------
    source : study, RunEvidence, or outputs as for `variance`
        The runs; of outputs alone only copies can be told. Losses and weights in arrays go through
        ``RunEvidence.from_arrays``.
    labels : array_like of int [examples] or path, optional
        True classes, beside outputs: accurate runs agree by chance.
    **reading : ReadingOptions
        How outputs are read: ``split``, ``kind``, ``nan``. Without ``split`` it is the split "test" of a study, or the
        first that it has. In a study, runs without usable outputs are looked at for the rest of what they recorded.

    Raises
    ------
    InputError
        There are no runs, or the source is none of these.
    MissingDataError
        The study has predictions, but none on `split`.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> rs.audit(logits).findings
    ()
    """
    how, _ = divided(audit, reading, {**DEFAULTS, "split": None}, {})
    if isinstance(source, RunEvidence):
        return _judged(source)
    if not is_study(source):
        return _of_outputs(source, labels, how["kind"], check_nan(how["nan"]))
    if labels is not None:
        raise InputError("got labels beside a study", "labels only beside outputs", "A study has its own.")
    evidence = study_evidence(source, split=how["split"])
    return replace(_judged(evidence), excluded=(*corrupt_shards(source), *evidence.unread))


def _judged(evidence: RunEvidence) -> Audit:
    """Return what speaks against independence in the evidence."""
    if not evidence.run_ids:
        raise InputError("there are no runs", "at least one run that did not fail")
    findings = [found for look in LOOKS for found in look(evidence)]
    present = {
        "seeds": any(seed is not None for seeds in evidence.seeds.values() for seed in seeds),
        "initial weights": any(evidence.initial),
        "first losses": first_losses_tell(evidence),
        "loss curves": bool(comparable_losses(evidence)),
        "predictions": any(evidence.predictions),
        "final weights": any(evidence.final),
    }
    return Audit(
        n_runs=len(evidence.run_ids),
        n_distinct=copies_in(evidence).n_distinct,
        looked_at=tuple(_seen(name, evidence) for name, there in present.items() if there),
        not_seen=tuple(name for name, there in present.items() if not there),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity)),
        warnings=tuple(finding.text for finding in findings if finding.severity == "flaw"),
    )


def _seen(name: str, evidence: RunEvidence) -> str:
    """Return the name of evidence, with how much of it is looked at."""
    part = name == "loss curves" and len(evidence.run_ids) > MOST_RUNS
    return f"{name} of the first {MOST_RUNS} runs" if part else name


@dataclass(frozen=True, eq=False)
class _Watched:
    """Outputs of which each run is looked at, whether it can be used, while another reads them: files are slow."""

    source: RunOutputs
    reasons: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def labels(self) -> NDArray[np.int64] | None:
        return self.source.labels

    @property
    def run_ids(self) -> tuple[str, ...]:
        return self.source.run_ids

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        return self.source.excluded

    def chunks(self, max_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield the outputs of consecutive runs."""
        at, kind = 0, kind_of(self.source) or "logits"
        for chunk in self.source.chunks(max_bytes):
            for row in chunk:
                if len(self.shape) == 3 and at not in self.reasons:
                    self.reasons[at] = why_unusable(np.asarray(row), kind)
                at += 1
            yield chunk


def _of_outputs(source: Any, labels: Any, kind: str, nan: str) -> Audit:
    """Judge runs by their outputs alone; those whose outputs cannot be used are excluded and named."""
    try:
        outputs = as_outputs(source, labels, kind=kind, scalars=isinstance(source, RunOutputs))
    except InputError as error:  # an array may be of losses or weights
        raise InputError(error.found, error.expected, f"{error.hint} {_ARRAYS}".strip()) from error
    watched = _Watched(outputs)
    whole = outputs_evidence(watched)
    reasons = {run: reason for run, reason in watched.reasons.items() if reason}
    if reasons and nan == "raise":
        raise refused(outputs, reasons)
    excluded = excluded_by(outputs, reasons)
    if len(reasons) == outputs.shape[0]:
        raise nothing_left(excluded, outputs.shape[0])
    keep = np.array([run not in reasons for run in range(len(whole.run_ids))])
    kept = RunEvidence(
        run_ids=tuple(np.array(whole.run_ids)[keep].tolist()),
        configurations=("",) * int(keep.sum()),
        predictions=tuple(print for print, good in zip(whole.predictions, keep, strict=True) if good),
        copies=None if whole.copies is None else whole.copies.among(keep),
    )
    return replace(_judged(kept), excluded=excluded)


def audit_warnings(source: Any, *, pooled: bool = True, set_aside: Collection[str] = ()) -> tuple[str, ...]:
    """Return the flaws that `audit` finds in a study, as sentences; in outputs alone, those that are copies.

    Every method asks it, so it is made cheap: seeds and losses of all runs, predictions of a few examples, and the
    first values of the weights of the first 1,000 runs; what agrees there is read whole. It is looked at once for each
    open study, and again when runs have come; of bare outputs at the first 2,000 runs. With `pooled`, configurations
    that are pooled are named too; copies among runs that the method has `set_aside`, down to one, are no flaw.
    """
    if not is_study(source):
        outputs = _bare_outputs(source)
        return () if outputs is None else _judged(outputs_evidence(outputs, _MOST_OUTPUTS)).warnings
    notes = list(_flaws(source, set_aside))
    configurations = len({json.dumps(run.hyperparameters, sort_keys=True, default=str) for run in source.runs})
    if pooled and configurations > 1:
        notes.append(f"The runs are of {configurations} configurations: the spread holds what hyperparameters add.")
    return tuple(notes)


def audited(
    sources: Iterable[Any], notes: Iterable[str], *, pooled: bool = True, set_aside: Collection[str] = ()
) -> tuple[str, ...]:
    """Return what the audit says of the sources with a method's own notes, each once; see `audit_warnings`.

    Of bare outputs it comes last, and only where the method has not seen the copies itself.
    """
    notes = tuple(notes)
    studies = [source for source in sources if is_study(source)]
    of_studies = [note for study in studies for note in audit_warnings(study, pooled=pooled, set_aside=set_aside)]
    arrays = [] if any(said in note for said in _SAID for note in notes) else sources
    of_arrays = [note for source in arrays if not is_study(source) for note in audit_warnings(source)]
    return tuple(dict.fromkeys((*(note for note in of_studies if note not in notes), *notes, *of_arrays)))


def _bare_outputs(source: Any) -> RunOutputs | None:
    """Return floating-point outputs of runs; of predicted classes the methods count equal rows themselves."""
    array = source if isinstance(source, RunOutputs) else to_numpy(source)
    if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.ndim in (2, 3) and array.size:
        return ArrayOutputs(array, None)
    return array if isinstance(array, RunOutputs) and len(array.shape) == 3 else None


def copied_runs(source: Any, statistics: RunStatistics, outcomes: Outcomes | None) -> Copies:
    """Return which of the runs that were counted are one run: ``.distinct`` are their positions without copies.

    By outputs where the source has floating-point ones, else by predictions or correctness that are equal beyond
    chance.

    Parameters
    ----------
    source : array_like, RunOutputs, study or RunStatistics
        What was counted.
    statistics, outcomes
        What `counted` made of it.
    """
    if outcomes is not None and is_study(source):
        known = _known(source)
        found = known.copies.placed(known.run_ids, outcomes.run_ids)
        return found if known.compared else found.joined(statistics.copies)
    outputs = _bare_outputs(source)
    if outcomes is None or outputs is None or len(outcomes.keep) != outputs.shape[0]:
        return statistics.copies
    return copied_outputs(outputs)[0].among(outcomes.keep)


def partly_copied(copies: Copies, run_ids: Sequence[str]) -> tuple[str, ...]:
    """Return what to say of runs that share a part of their outputs, where copies are known and excluded."""
    if not copies.partial:
        return ()
    rest = Copies(copies.n_runs, partial=copies.partial)
    return _judged(RunEvidence(run_ids=tuple(run_ids), configurations=("",) * copies.n_runs, copies=rest)).warnings


class _Known(NamedTuple):
    """What the audit found in a study; `compared` says whether it saw outputs, without which copies are of weights."""

    flaws: tuple[Finding, ...]
    run_ids: tuple[str, ...]
    copies: Copies
    compared: bool
    unseen: tuple[str, ...]


_KNOWN: WeakKeyDictionary[Any, tuple[tuple[Any, ...], _Known]] = WeakKeyDictionary()


def _flaws(study: Any, set_aside: Collection[str]) -> tuple[str, ...]:
    """Return the flaws of a study as sentences, without those of copies that are excluded."""
    known = _known(study)
    told = (flaw.text for flaw in known.flaws if flaw.kind not in _OF_COPIES or set(flaw.runs) - set(set_aside))
    return (*told, *known.unseen)


def _not_looked_at(evidence: RunEvidence) -> tuple[str, ...]:
    """Return what to say where a part of what runs recorded is corrupt, or would have to be fetched."""
    notes: list[str] = []
    if evidence.unread:
        runs, first = count(len(evidence.unread), "run"), evidence.unread[0]
        notes.append(
            f"A part of what {runs} recorded is corrupt, and was not looked at for signs of dependent seeds "
            f"({first.run}: {first.reason})."
        )
    if evidence.away:
        notes.append(
            f"The {listed(evidence.away)} of this study lie in a store, and were not fetched to look for signs of "
            "dependent seeds. `audit` does that."
        )
    return tuple(notes)


def _known(study: Any) -> _Known:
    """Return what the audit found in a study, from memory while its runs, and what is here of them, stay the same."""
    runs = (*((run.id, run.status) for run in study.runs), away_from(study, _MOST_BYTES))
    if study not in _KNOWN or _KNOWN[study][0] != runs:
        evidence = study_evidence(study, split=None, most_weights=_MOST_WEIGHTS, most_bytes=_MOST_BYTES)
        flaws = _judged(evidence).flaws if evidence.run_ids else ()
        compared = evidence.copies is not None
        known = _Known(flaws, evidence.run_ids, copies_in(evidence), compared, _not_looked_at(evidence))
        _KNOWN[study] = runs, known
    return _KNOWN[study][1]


def _flat(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else [value]


def warns_of_seeds(*, pooled: bool) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator: the result of a method carries the `audit_warnings` of the runs it was given."""

    def decorate(method: Callable[_P, _R]) -> Callable[_P, _R]:
        signature = inspect.signature(method)

        @functools.wraps(method)
        def with_warnings(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            result = method(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            sources = [
                each for name, value in given.items() for each in _flat(value) if name in _RUNS or is_study(each)
            ]
            notes = audited(sources, result.warnings, pooled=pooled)
            return replace(result, warnings=notes) if notes != result.warnings else result

        return with_warnings

    return decorate
