"""Trimming levels of a study's runs computed by the workers of an engine: each is that of one run alone."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._engine import current_engine
from ..._reading.margins import Floats
from ..._reading.opening import opened
from ..._reading.scalars import Reading, Scalars, read_scalars
from ...errors import StudyError
from .resampling import Pool, ResamplingPlan, block_size, resampled_levels


class SomeRuns(NamedTuple):
    """Some runs of those that scalars hold, by their positions."""

    scalars: Scalars
    runs: NDArray[np.intp]

    def blocks(self, number: int, size: int) -> Iterator[Floats]:
        """Yield one statistic of them, `size` runs [size, examples] at a time."""
        return self.scalars.blocks(number, self.runs, size)


@dataclass(frozen=True)
class Source:
    """Scalar outputs of some runs of a study, as a worker finds them."""

    location: str
    split: str
    kind: str
    reading: Reading
    run_ids: tuple[str, ...]

    @classmethod
    def of(cls, some: SomeRuns) -> Source | None:
        """Return where the scalars of some runs come from; None where that is no study."""
        scalars = some.scalars
        outputs: Any = scalars.outputs
        outputs = getattr(outputs, "source", outputs)  # of a view
        location = getattr(outputs, "location", None)
        if location is None:
            return None
        kind = getattr(scalars.outputs, "kind", None) or "auto"
        return cls(location, outputs.split, kind, scalars.reading, tuple(scalars.run_ids[run] for run in some.runs))

    def open(self) -> Scalars:
        """Read them."""
        study = opened(self.location).only(frozenset(self.run_ids))
        found = read_scalars(study, None, self.split, self.reading, kind=self.kind)
        if found.run_ids != self.run_ids:
            raise StudyError(f"{self.location} holds other runs for this worker", "the same study everywhere")
        return found


@dataclass(frozen=True)
class Part:
    """Some runs, those that they are compared with, and how."""

    own: Source
    other: Source
    number: int
    plan: ResamplingPlan


def levels_apart(own: SomeRuns, other: SomeRuns, number: int, plan: ResamplingPlan) -> Floats | None:
    """Return the levels [replicates, own runs] of one statistic; None where there are no workers for them."""
    engine, others = current_engine(), Source.of(other)
    if engine is None or others is None or Source.of(own) is None:
        return None
    parts = engine.parts(len(own.runs))
    sources = [Source.of(own._replace(runs=own.runs[part.start : part.stop])) for part in parts]
    tasks = [Part(source, others, number, plan) for source in sources if source is not None]
    return np.concatenate(engine.map(levels_of_part, tasks), axis=1)


def levels_of_part(part: Part) -> Floats:
    """Return the levels of a part's runs. What a worker calls."""
    tested = part.own.open()
    blocks = tested.blocks(part.number, range(len(tested.run_ids)), block_size(tested.n_examples))
    return resampled_levels(blocks, _pool(part.other, part.number), part.plan, 1)


@functools.lru_cache(maxsize=1)
def _pool(source: Source, number: int) -> Pool:
    runs = range(len(source.run_ids))
    return Pool(next(source.open().blocks(number, runs, len(runs))))
