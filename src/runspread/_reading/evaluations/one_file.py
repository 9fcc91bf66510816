"""One file of a source: what its readers share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._results import Excluded
from ...errors import InputError
from .answers import Gathering
from .values import score_of

_NEAR = 1e-6  # reported means are rounded by no more


@dataclass
class Means:
    """The mean over items of the mean over their answers in one file, to hold against what the file reports."""

    sums: dict[Any, list[float]] = field(default_factory=dict[Any, list[float]])

    def add(self, item: Any, score: float) -> None:
        """Count an answer; one without a score does not count."""
        if not math.isnan(score):
            own = self.sums.setdefault(item, [0.0, 0.0])
            own[0] += score
            own[1] += 1

    def mean(self) -> float:
        """Return the mean; NaN without answers."""
        return sum(total / n for total, n in self.sums.values()) / len(self.sums) if self.sums else math.nan


@dataclass
class OneFile:
    """A file that is being read.

    Attributes
    ----------
    path : Path
        Where it lies.
    number : int
        Of the file among those that are read: samples of different files are different samples.
    gathering : Gathering
        Where its answers go.
    options : dict
        How it is read.
    digest : bytes
        Of its content.
    seen : dict
        File in which the same bytes were answers of the same model and training.
    means : Means
        Of its answers.
    """

    path: Path
    number: int
    gathering: Gathering
    options: dict[str, Any]
    digest: bytes
    seen: dict[Any, Path]
    means: Means = field(default_factory=Means)

    def add(self, model: str, item: Any, value: Any, *, sample: Any = 0, **others: Any) -> None:
        """Add an answer; a value that is no score is a problem."""
        if self.is_copy(model, others.get("seed", ""), others.get("prompt", "")):
            return
        try:
            score = score_of(value)
        except InputError as error:
            self.problem(f"item {item}: {error.found}")
            return
        self.means.add((others.get("task", ""), item), score)
        self.gathering.add(model, item, score, sample=(self.number, sample), **others)

    def is_copy(self, *whose: str) -> bool:
        """Whether another file of the same bytes has answers of the same model, training and prompt; says so once."""
        first = self.seen.setdefault((self.digest, *whose), self.path)
        if first == self.path:
            return False
        note = Excluded(self.path.name, f"the same bytes as {first.name}: excluded")
        if note not in self.gathering.problems:
            self.gathering.problems.append(note)
        return True

    def problem(self, what: str) -> None:
        """Name what could not be read of it."""
        self.gathering.problem(self.path.name, what)

    def choose_metric(self, known: list[str], what: str = "metric") -> str:
        """Return which of several scores is read, and say so; an error names those that there are."""
        asked = self.options[what]
        if asked is not None and asked not in known:
            raise InputError(f"{self.path.name} has no {what} {asked!r}", f"one of {', '.join(known) or 'none'}")
        chosen = known[0] if asked is None else asked
        if len(known) > 1 and asked is None:
            others = ", ".join(known[1:6])
            self.gathering.note(f"The {what} is {chosen}; there {'are' if len(known) > 2 else 'is'} also {others}.")
        if what == "metric":
            self.gathering.metric = chosen
        return chosen

    def compare(self, reported: Any, name: str) -> None:
        """Say where the mean that the file reports is not that of its answers."""
        found = self.means.mean()
        if not isinstance(reported, (int, float)) or isinstance(reported, bool) or math.isnan(found):
            return
        if abs(found - reported) > _NEAR:
            self.problem(f"it reports {name} {reported:.4f}, but its answers have the mean {found:.4f}")
