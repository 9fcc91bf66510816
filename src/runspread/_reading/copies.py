"""Which of the runs are one run twice: equal predictions beyond chance, outputs that agree as of two trainings none do.

Predicted classes and correctness do coincide in small or easy test sets, so what chance makes is counted there.
Floating-point outputs do not: `sketches` tells how near is too near.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .digest_columns import HasColumns
from .outputs import RunOutputs
from .sketches import nearly_equal, places, sketches_of

_LEVEL = 0.01  # expected groups of equal rows from which on a group is put down to chance
_CHURN = 0.15  # outcomes that differ, of those that would if difficulty did not depend on the example: a low figure
_CAUTION = 2 / 3  # of the churn that other runs show: a pair may well be more alike than most
_BLOCK = 256
_SURE = 10  # examples from which on outputs of 0 and 1 alone are taken for classes
_LOOKED = 40  # runs of which the predictions are compared without labels
_MOST = 0.6
_UNLABELLED_ERROR = 0.2  # of runs whose labels are not known and of which all predictions are equal

REPEATED = "repeated seeds or copies bias every variance and interval."

Floats = NDArray[np.float64]
Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Copies:
    """Groups of runs that are one run.

    Attributes
    ----------
    n_runs : int
        Runs looked at.
    groups : tuple of tuple of int
        Positions of runs that are copies of each other, ascending; two or more per group.
    exact : tuple of bool
        Of each group, whether all its outputs are equal to the last bit, or nearly so.
    partial : tuple of (int, int, float)
        Pairs of runs with the same outputs on a part of the examples, and that share of those looked at. They are no
        copies of each other, and count twice.
    """

    n_runs: int
    groups: Groups = ()
    exact: tuple[bool, ...] = ()
    partial: tuple[tuple[int, int, float], ...] = ()

    @property
    def distinct(self) -> NDArray[np.intp]:
        """Positions of the runs without the copies: the first of each group, and all runs in none."""
        again = {position for group in self.groups for position in group[1:]}
        return np.array([position for position in range(self.n_runs) if position not in again], np.intp)

    @property
    def n_distinct(self) -> int:
        """How many runs there are when copies count once."""
        return self.n_runs - sum(len(group) - 1 for group in self.groups)

    @property
    def n_pairs(self) -> int:
        """Pairs of runs that are one run."""
        return sum(len(group) * (len(group) - 1) // 2 for group in self.groups)

    def among(self, keep: NDArray[np.bool_]) -> Copies:
        """Return the copies among the runs that are kept, by their positions there."""
        place = np.cumsum(keep) - 1
        left = [([int(place[run]) for run in group if keep[run]], exact) for group, exact in self._each()]
        left = [(group, exact) for group, exact in left if len(group) > 1]
        partial = tuple((int(place[a]), int(place[b]), share) for a, b, share in self.partial if keep[a] and keep[b])
        return Copies(
            int(keep.sum()), tuple(tuple(group) for group, _ in left), tuple(exact for _, exact in left), partial
        )

    def placed(self, of: Sequence[str], among: Sequence[str]) -> Copies:
        """Return the copies by the positions that runs, called `of` here, have in `among`, which may lack some."""
        place = {name: position for position, name in enumerate(among)}
        kept = self.among(np.array([name in place for name in of], bool))
        at = [place[name] for name in of if name in place]
        groups = [(tuple(sorted(at[run] for run in group)), exact) for group, exact in kept._each()]
        partial = tuple((at[a], at[b], share) for a, b, share in kept.partial)
        return Copies(len(among), tuple(group for group, _ in groups), tuple(exact for _, exact in groups), partial)

    def joined(self, other: Copies) -> Copies:
        """Return the groups that follow where runs are one run by either."""
        links = [(group[0], run) for copies in (self, other) for group in copies.groups for run in group[1:]]
        groups = connected(links)
        equal = {group for copies in (self, other) for group, exact in copies._each() if exact}
        exact = tuple(group in equal for group in groups)
        return Copies(self.n_runs, groups, exact, self.partial + other.partial)

    def _each(self) -> Iterator[tuple[tuple[int, ...], bool]]:
        return zip(self.groups, self.exact, strict=True)


def connected(links: Iterable[tuple[int, int]]) -> Groups:
    """Return the groups of positions that links connect, in order of their first."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for first, second in links:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    groups: dict[int, list[int]] = {}
    for node in sorted(parent):
        groups.setdefault(root(node), []).append(node)
    return tuple(tuple(group) for group in groups.values())


def equal_groups(keys: Iterable[Any]) -> Groups:
    """Return the groups of two or more positions with equal keys; None is no key."""
    groups: dict[Any, list[int]] = {}
    for position, key in enumerate(keys):
        if key is not None:
            groups.setdefault(key, []).append(position)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


# ------------------------------------------------------------------ predicted classes and correctness


def copied_outcomes(keys: Sequence[Any], correct: NDArray[np.int64], right: NDArray[np.int64]) -> Copies:
    """Return the runs whose outcomes are equal beyond chance.

    A group is judged by its own errors and by how much other runs differ, never by its own copies: five equal rows
    would explain themselves.

    Parameters
    ----------
    keys : sequence [runs]
        Equal where all outcomes are.
    correct : ndarray of int [runs]
        Correct predictions of each run.
    right : ndarray of int [examples]
        Runs that are right on each example.
    """
    runs, examples = len(correct), len(right)
    groups = equal_groups(keys)
    if not groups:
        return Copies(runs)
    error = 1 - correct / examples
    churn = _churn(groups, error, right)
    spread = {group: 2 * examples * float(error[group[0]] * (1 - error[group[0]])) for group in groups}
    return _beyond_chance(groups, runs, {group: churn * spread[group] for group in groups})


def _churn(groups: Groups, error: Floats, right: NDArray[np.int64]) -> float:
    """Return how many outcomes two runs differ in, of those that would if all examples were equally hard.

    It is seen in the pairs of runs that are not equal, and lowered by a third; without any it is a low figure of real
    trainings. A failing run differs from all others in most outcomes, which says nothing of them: hence a cap.
    """
    runs = len(error)
    differ = float((right * (runs - right)).sum())  # over pairs; equal ones add nothing
    accuracy = 1 - error
    chance = (runs - 1) * float(accuracy.sum()) - float(accuracy.sum() ** 2 - np.square(accuracy).sum())
    for group in groups:
        chance -= len(group) * (len(group) - 1) * float(accuracy[group[0]] * error[group[0]])
    return min(_MOST, _CAUTION * differ / (chance * len(right))) if differ and chance > 0 else _CHURN


def repeated_rows(packed: NDArray[np.uint8], examples: int) -> tuple[str, ...]:
    """Return what to say of runs with identical correctness, given in bits [runs, bytes]."""
    keys = [row.tobytes() for row in packed]
    if len(set(keys)) == len(keys):
        return ()
    correct, right = np.empty(len(keys), np.int64), np.zeros(examples, np.int64)
    for start in range(0, len(keys), _BLOCK):
        rows = np.unpackbits(packed[start : start + _BLOCK], axis=1, count=examples)
        correct[start : start + _BLOCK] = rows.sum(axis=1, dtype=np.int64)
        right += rows.sum(axis=0, dtype=np.int64)
    return identical_outcomes(keys, correct, right)


def identical_outcomes(keys: Sequence[Any], correct: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[str, ...]:
    """Return what to say of runs with identical outcomes; see `copied_outcomes` for the arguments."""
    copies, runs = copied_outcomes(keys, correct, right), len(correct)
    pairs = sum(len(group) * (len(group) - 1) // 2 for group in equal_groups(keys)) - copies.n_pairs
    notes = (f"{_pairs(copies.n_pairs)} identical outcomes: {REPEATED}",) if copies.groups else ()
    if copies.n_distinct == 1 < runs:
        notes += (f"All {runs} runs are copies of one, which count as 1 run: they show no spread between runs.",)
    if not pairs:
        return notes
    agree = (right * (right - 1) + (runs - right) * (runs - right - 1)) / (runs * (runs - 1))
    expected = runs * (runs - 1) / 2 * float(np.prod(agree))
    why = f"independent errors on so small a test set would make about {expected:.0f}."
    if copies.groups or expected < pairs / 3:  # of which the copies are a part, or heavier tails than independence
        why = "with so few errors runs may well agree by chance."
    return (*notes, f"{_pairs(pairs)} {'more ' if copies.groups else ''}identical outcomes: {why}")


def _pairs(count: int) -> str:
    return "1 pair of runs has" if count == 1 else f"{count} pairs of runs have"


def copied_classes(rows: Sequence[NDArray[Any]], keys: Sequence[Any]) -> Copies:
    """Return the runs whose predicted classes [examples] are equal beyond chance, where no labels are known.

    `rows` are those of some runs, to see in how many predictions two differ. Runs that predict one class throughout
    are no copies: that is what failing runs do.
    """
    alike = {key: row for key, row in zip(keys, rows, strict=False) if key is not None}
    examples = max((len(row) for row in alike.values()), default=0)
    flat = {key for key, row in alike.items() if len(np.unique(row)) < 2}
    groups = equal_groups(None if key in flat else key for key in keys)
    distinct = list(alike.values())[:_LOOKED]
    differing = [int((a != b).sum()) for at, a in enumerate(distinct) for b in distinct[:at]]
    unseen = _CHURN * 2 * _UNLABELLED_ERROR * (1 - _UNLABELLED_ERROR) * examples
    expected = _CAUTION * float(np.median(differing)) if differing else unseen
    return _beyond_chance(groups, len(keys), dict.fromkeys(groups, expected))


def _beyond_chance(groups: Groups, runs: int, differing: dict[tuple[int, ...], float]) -> Copies:
    """Return the groups that are more than chance makes, where two runs differ in so many outcomes on average."""
    kept: list[tuple[int, ...]] = []
    for group in groups:
        size = len(group)
        ways = math.lgamma(runs + 1) - math.lgamma(size + 1) - math.lgamma(runs - size + 1)
        harmonic = sum(1 / k for k in range(1, size)) if size < 100 else math.log(size)  # more runs, more to differ
        if ways - differing[group] * harmonic < math.log(_LEVEL):
            kept.append(group)
    return Copies(runs, tuple(kept), (True,) * len(kept))


# ------------------------------------------------------------------ outputs


def digest_of(*arrays: NDArray[Any]) -> str:
    """Return a digest that arrays of equal values and shapes share."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        values = np.ascontiguousarray(array)
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(values.data if values.size else b"")
    return digest.hexdigest()


def copied_outputs(outputs: RunOutputs, most: int | None = None) -> tuple[Copies, tuple[str | None, ...]]:
    """Return which runs are copies by their outputs, and a digest of what was looked at of each.

    It is None for runs whose outputs tell nothing: with NaN, or the same for all examples. Of floating-point outputs
    one pass reads a sample of the examples; runs that are equal there are read once more.

    Parameters
    ----------
    outputs : RunOutputs
        Outputs or predicted classes.
    most : int, optional
        Look at so many runs, the first.
    """
    sampled = outputs.digest_column("sample") if isinstance(outputs, HasColumns) else None
    rows = _rows(outputs if sampled is None else sampled, most)
    first = next(rows, None)
    if first is None:
        return Copies(0), ()
    rows = chain([first], rows)
    if first.dtype.kind != "f":
        return _copied_classes(rows, outputs.labels)
    where = places(len(first)) if sampled is None else slice(None)
    sketches, digests = sketches_of(row[where] for row in rows)
    near, partial = nearly_equal(sketches)
    heads = [None if digest is None else digest.hex() for digest in digests]
    fingerprints, errors = (tuple(heads), {}) if not equal_groups(heads) else _whole(outputs, heads)
    exact = _equal_outputs(fingerprints, errors, outputs.shape[1])
    nearly = connected(near)
    return exact.joined(Copies(len(fingerprints), nearly, (False,) * len(nearly), partial)), fingerprints


def _rows(outputs: Any, most: int | None = None) -> Iterator[NDArray[Any]]:
    """Yield the outputs of one run after the other, of the first `most`."""
    return islice((np.asarray(row) for chunk in outputs.chunks(1) for row in chunk), most)


def _whole(outputs: RunOutputs, heads: Sequence[str | None]) -> tuple[tuple[str | None, ...], dict[str, float]]:
    """Return the digests, of all outputs of those runs that share that of their sample with another.

    None with NaN, and where a run has the same outputs for every example: runs that broke down look alike. Also, by
    digest, the share of wrong predictions of those whose outputs are all 0 or 1, and with it mere classes.
    """
    shared = {heads[group[0]] for group in equal_groups(heads)}
    fingerprints = list(heads)
    errors: dict[str, float] = {}
    for run, row in enumerate(_rows(outputs, len(heads))):
        if heads[run] not in shared:
            continue
        broken = bool(np.isnan(row).any()) or (len(row) > 1 and bool((row == row[:1]).all()))
        fingerprints[run] = digest = None if broken else digest_of(row)
        if digest is not None and len(row) >= _SURE and bool(((row == 0) | (row == 1)).all()):
            wide = row.reshape(len(row), -1)
            classes = wide.argmax(axis=1) if wide.shape[1] > 1 else wide[:, 0]
            errors[digest] = _UNLABELLED_ERROR if outputs.labels is None else float((classes != outputs.labels).mean())
    return tuple(fingerprints), errors


def _equal_outputs(fingerprints: Sequence[str | None], errors: Mapping[str, float], examples: int) -> Copies:
    """Return runs with equal outputs; those that are sure of every example may have them by chance."""
    equal = equal_groups(fingerprints)
    sure = {group: errors[key] for group in equal if (key := fingerprints[group[0]]) in errors and key is not None}
    expected = {group: _CHURN * 2 * error * (1 - error) * examples for group, error in sure.items()}
    beyond = _beyond_chance(tuple(sure), len(fingerprints), expected).groups
    kept = tuple(group for group in equal if group not in sure or group in beyond)
    return Copies(len(fingerprints), kept, (True,) * len(kept))


def _copied_classes(
    rows: Iterable[NDArray[Any]], labels: NDArray[np.int64] | None
) -> tuple[Copies, tuple[str | None, ...]]:
    fingerprints: list[str] = []
    correct: list[int] = []
    right: list[NDArray[np.int64]] = []
    some: list[NDArray[Any]] = []
    for row in rows:
        fingerprints.append(digest_of(row))
        if labels is None:
            some += [row.ravel()] if len(some) < _LOOKED else []
        else:
            hit = (row == labels).astype(np.int64)
            correct.append(int(hit.sum()))
            right = [right[0] + hit] if right else [hit]
    if labels is None:
        return copied_classes(some, fingerprints), tuple(fingerprints)
    return copied_outcomes(fingerprints, np.array(correct), right[0]), tuple(fingerprints)
