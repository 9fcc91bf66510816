"""The two configurations of a comparison: what each was given as, its outcomes, and its runs without copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from ..._reading.accepting import examples_of
from ..._reading.copies import Copies
from ..._reading.correctness import Outcomes, on_common_examples
from ..._reading.outputs import check_same_examples
from ..._results import Excluded
from ..._words import count
from ...errors import InputError
from ..audit.auditing import audited, partly_copied
from .estimate import caveats
from .once import copies_of, without_copies
from .pairing import Keys, run_seeds
from .run_distribution import odd_runs
from .statistics import RunStatistics
from .whole_sources import counted


@dataclass(frozen=True, eq=False)
class Side:
    """One configuration.

    Attributes
    ----------
    name, label : str
        How to call it, and what tells it from the other one where both have one name.
    source : Any
        What it was given as.
    all_runs : RunStatistics
        Outcomes of all runs, copies too.
    outcomes : Outcomes or None
        Where they were read from; None for statistics.
    copies : Copies
        Which of the runs are one run.
    statistics : RunStatistics
        Of the runs that count: copies count once.
    told : bool
        Whether copies could be excluded, so that the spread of the runs is known.
    """

    name: str
    label: str
    source: Any
    all_runs: RunStatistics
    outcomes: Outcomes | None
    copies: Copies
    statistics: RunStatistics
    told: bool

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Runs that are excluded, with the name of the configuration."""
        found = self.all_runs.excluded
        again = self._copied() if self.told else ()
        return tuple(Excluded(f"{self.label}: {item.run}", item.reason) for item in (*found, *again))

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of all runs that were counted, copies too."""
        if self.outcomes is None:
            return tuple(f"run {run}" for run in range(self.all_runs.n_runs))
        return self.outcomes.run_ids

    def _copied(self) -> tuple[Excluded, ...]:
        ids = self.run_ids
        return tuple(
            Excluded(ids[run], f"{'a copy' if exact else 'nearly a copy'} of {ids[group[0]]}, which counts once")
            for group, exact in zip(self.copies.groups, self.copies.exact, strict=True)
            for run in group[1:]
        )

    def seeds(self, given: ArrayLike | None) -> Keys:
        """Return what tells the seeds of each run that counts."""
        keys = run_seeds(self.source, self.all_runs, self.outcomes, given, self.name)
        return [keys[run] for run in self.copies.distinct] if self.told else keys

    def notes(self) -> tuple[str, ...]:
        """Return what the reader should know about the runs."""
        studies = [] if self.bare else [self.source]
        if not self.told:
            notes = audited(studies, caveats(self.all_runs))
            notes += ("copies cannot be excluded without the correctness of each run: count with keep_bits=True.",)
        else:
            copied = {self.run_ids[run] for group in self.copies.groups for run in group}
            notes = audited(studies, (*caveats(self.statistics), *self._odd()), set_aside=copied)
            notes += (*self._set_aside(), *(partly_copied(self.copies, self.run_ids) if self.bare else ()))
        return tuple(f"{self.name}: {note}" for note in notes)

    def _set_aside(self) -> tuple[str, ...]:
        again = self.copies.n_runs - self.copies.n_distinct
        if not again:
            return ()
        what = "is a copy of another" if again == 1 else "are copies of others"
        return (f"copied runs: {count(again, 'run')} {what}, and excluded: each training counts once.",)

    @property
    def bare(self) -> bool:
        """Whether copies were looked for in outputs without a study."""
        return not hasattr(self.source, "runs")

    def _odd(self) -> tuple[str, ...]:
        """Return what speaks against accuracies that are normal over the runs that count."""
        runs, examples = self.statistics, self.statistics.n_examples
        ids = [self.run_ids[run] for run in self.copies.distinct]
        found = odd_runs(runs.correct / examples, 1 / examples, ids)
        return (f"{found}: the verdict takes accuracies as normal over runs, and may be wrong.",) if found else ()


def both_sides(
    sources: tuple[Any, Any],
    labels: Any,
    correct: tuple[ArrayLike, ArrayLike] | None,
    names: tuple[str, str],
    settings: Mapping[str, Any],
    reading: Mapping[str, Any],
    *,
    samples: bool = False,
) -> tuple[Side, Side]:
    """Count the outcomes of both configurations, which have to be of the same examples.

    Of `samples` of one model equal ones are no copies.
    """
    expected = "a and b, or correct=(xa, xb)"
    if correct is not None and any(source is not None for source in sources):
        raise InputError("got both sources and correct=", expected)
    if correct is not None and (not hasattr(correct, "__len__") or len(correct) != 2):
        raise InputError("got correct= that is not two arrays", expected)
    known = correct if correct is not None else (None, None)
    if correct is not None and reading["missing"] == "intersect":
        known = on_common_examples(*correct)
    all_counted = all(isinstance(source, RunStatistics) for source in sources)
    labelled = names if names[0] != names[1] else ("A", "B")
    sides: list[Side] = []
    for name, label, source, outcomes in zip(names, labelled, sources, known, strict=True):
        asked = {"labels": labels, **reading}
        if isinstance(source, RunStatistics) and not all_counted:  # what is asked for is meant for the other
            asked = {"labels": None}
        sides.append(
            _side(
                name, label, source, *counted(source, settings=settings, correct=outcomes, **asked), settings, samples
            )
        )
    _check_same_examples(sides[0], sides[1], reading["split"])
    return sides[0], sides[1]


def _side(
    name: str,
    label: str,
    source: Any,
    statistics: RunStatistics,
    outcomes: Outcomes | None,
    settings: Mapping[str, Any],
    samples: bool,
) -> Side:
    """Return one configuration with its copies excluded."""
    copies = Copies(statistics.n_runs) if samples else copies_of(source, statistics, outcomes)
    once: RunStatistics | None = statistics
    if copies.groups:
        once = without_copies(statistics, outcomes, copies, settings)
    return Side(name, label, source, statistics, outcomes, copies, once or statistics, once is not None)


def _check_same_examples(old: Side, new: Side, split: str) -> None:
    counts = [side.statistics.n_examples for side in (old, new)]
    if counts[0] != counts[1]:
        raise InputError(f"{old.label} is on {counts[0]} examples and {new.label} on {counts[1]}", "the same examples")
    check_same_examples(
        {side.label: side.all_runs.labels for side in (old, new)},
        {side.label: examples_of(side.source, split) for side in (old, new)},
    )
