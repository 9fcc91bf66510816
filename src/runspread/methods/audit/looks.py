"""What an audit of seeds looks for: copies, repeated seeds, one initialisation, one order of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._reading.copies import Copies, equal_groups
from ..._reading.sketches import CLOSE
from .coincidences import can_tell, equal_losses, resolution
from .evidence import ROLES, Fingerprints, RunEvidence
from .fluctuations import Floats, fluctuate_together

POINTS = 50
MOST_RUNS = 2000  # whose loss curves are compared: pairs of runs grow with the square


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

    @property
    def text(self) -> str:
        """The finding as one text."""
        return f"{self.kind}: {self.what}. {self.effect}"


def _alike(keys: Iterable[Any]) -> list[list[int]]:
    """Return the groups of two or more positions with equal keys; None is no key."""
    return [list(group) for group in equal_groups(keys)]


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
    if len(groups) == 1 and len(groups[0]) == runs:
        return f"All {runs} runs count as 1 run, which shows no spread between runs"
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


def copies_in(evidence: RunEvidence) -> Copies:
    """Return the runs that are one run, by their predictions or final weights."""
    runs = len(evidence.run_ids)
    groups = equal_groups(evidence.final)
    return (evidence.copies or Copies(runs)).joined(Copies(runs, groups, (True,) * len(groups)))


def copied(evidence: RunEvidence) -> list[Finding]:
    """Find runs whose predictions or final weights are identical, or predictions nearly so."""
    copies = evidence.copies or Copies(len(evidence.run_ids))
    equal = [list(group) for group, exact in zip(copies.groups, copies.exact, strict=True) if exact]
    near = [list(group) for group, exact in zip(copies.groups, copies.exact, strict=True) if not exact]
    seen = (
        (equal, "have identical predictions"),
        (near, f"have predictions that agree to {CLOSE:.1%} of their spread, as those of two trainings do not"),
        (_alike(evidence.final), "have identical final weights"),
    )
    found = [_copied(evidence, groups, what) for groups, what in seen if groups]
    return found + ([_partly(evidence, copies.partial)] if copies.partial else [])


def _copied(evidence: RunEvidence, groups: list[list[int]], how: str) -> Finding:
    pairs = sum(len(group) * (len(group) - 1) // 2 for group in groups)
    who = "1 pair of runs" if pairs == 1 else f"{pairs} pairs of runs"
    how = how.replace("have", "has", 1) if pairs == 1 else how
    what = f"{who} {how} ({_list(evidence, groups)}){_only_by(evidence, groups)}"
    effect = f"{_shrinkage(groups, len(evidence.run_ids))}. Exclude all but one of each group."
    return Finding("copied runs", "flaw", _names(evidence, groups), what, effect)


def _partly(evidence: RunEvidence, pairs: Sequence[tuple[int, int, float]]) -> Finding:
    """Name runs that share a part of their outputs."""
    names = sorted({run for a, b, _ in pairs for run in (a, b)})
    most = max(share for _, _, share in pairs)
    who = "1 pair of runs has" if len(pairs) == 1 else f"{len(pairs)} pairs of runs have"
    what = (
        f"{who} the same predictions on a part of the examples ({_list(evidence, [[a, b] for a, b, _ in pairs])}), on "
        f"up to {most:.0%} of those looked at"
    )
    effect = "One run's outputs were written over another's in part: evaluate those runs again."
    return Finding("copied runs", "flaw", tuple(evidence.run_ids[run] for run in names), what, effect)


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
    if any(evidence.initial):
        source, alike = "weights at step 0", _alike(_keyed(evidence, evidence.initial))
    else:
        source, alike = (
            "first logged losses, more than chance makes at their resolution,",
            _equal_first_losses(evidence),
        )
    groups = [group for group in alike if len({seeds[position] for position in group}) > 1 or seeds[group[0]] is None]
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


def _equal_first_losses(evidence: RunEvidence) -> list[list[int]]:
    """Return the groups of runs of one configuration with the same first losses."""
    return [
        [int(rows[position]) for position in group]
        for rows, values, steps in _first_losses(evidence)
        for group in equal_losses(values, steps)
    ]


def _first_losses(evidence: RunEvidence) -> Iterator[tuple[NDArray[np.intp], Floats, Floats]]:
    """Yield runs of each configuration, their first losses, and the resolution of those."""
    if evidence.first_losses is None:
        return
    known = evidence.first_losses[:, np.isfinite(evidence.first_losses).any(axis=0)]
    steps = np.array([resolution(column[np.isfinite(column)]) for column in known.T])
    names = np.unique(evidence.configurations, return_inverse=True)[1]
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        yield rows, known[rows], steps


def first_losses_tell(evidence: RunEvidence) -> bool:
    """Return whether the first losses were logged finely enough to show a shared start."""
    return any(can_tell(values, steps) for _, values, steps in _first_losses(evidence))


def _keyed(evidence: RunEvidence, fingerprints: Fingerprints) -> list[Any]:
    """Return the digests with the configuration: other configurations may well start from the same weights."""
    pairs = zip(evidence.configurations, fingerprints or [None] * len(evidence.run_ids), strict=True)
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
    """Find runs under different order seeds whose losses fluctuate together from step to step."""
    found = list(_same_batches(evidence))
    if not found:
        return []
    pairs = _list(evidence, [[a, b] for a, b in found[:4]])
    many = "1 pair" if len(found) == 1 else f"{len(found)} pairs"
    what = f"in {many} of runs the loss fluctuates together from step to step ({pairs})"
    effect = (
        "They saw the same batches in the same order (or the same augmented images), so the spread lacks what data "
        "order adds and the accuracies are correlated."
    )
    concerned = tuple(evidence.run_ids[run] for run in sorted({run for pair in found for run in pair}))
    return [Finding("same data order", "flaw", concerned, what, effect)]


def comparable_losses(evidence: RunEvidence) -> list[NDArray[np.intp]]:
    """Return the runs of each configuration whose loss curves can be compared, two or more."""
    if evidence.losses is None or evidence.losses.shape[1] < POINTS:
        return []
    rows = np.flatnonzero(np.isfinite(evidence.losses).all(axis=1))[:MOST_RUNS]
    names = np.unique(evidence.configurations, return_inverse=True)[1][rows]  # numbers compare faster than text
    return [group for name in np.unique(names) if len(group := rows[names == name]) > 1]


def _same_batches(evidence: RunEvidence) -> Iterator[tuple[int, int]]:
    """Yield pairs of runs of one configuration, and not of one order seed, whose losses fluctuate together."""
    seeds = np.array([-1 if seed is None else seed for seed in _positions(evidence, "order")])
    configurations = [
        (rows, (seeds[rows][:, None] != seeds[rows]) | (seeds[rows][:, None] == -1))
        for rows in comparable_losses(evidence)
    ]
    looks = sum(int(np.triu(asked, 1).sum()) for _, asked in configurations)
    for rows, asked in configurations:
        if evidence.losses is not None and np.triu(asked, 1).any():
            for first, second in np.argwhere(fluctuate_together(evidence.losses[rows], asked, looks)):
                yield int(rows[first]), int(rows[second])


LOOKS: tuple[Callable[[RunEvidence], list[Finding]], ...] = (
    copied,
    repeated_seeds,
    same_initialisation,
    same_data_order,
)
