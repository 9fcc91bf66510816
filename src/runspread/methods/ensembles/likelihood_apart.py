"""Negative log-likelihoods of runs of a study, scored by workers that keep some candidates each."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._engine import Engine, current_engine
from ..._reading.opening import opened
from .candidates import Candidates, Floats, Indices, NegativeLogLikelihood, candidates_of, mean_logs
from .defaults import CandidateOptions


@dataclass(frozen=True)
class Source:
    """Candidates of a study, as a worker finds them."""

    location: str
    split: str
    kind: str
    run_ids: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """Some candidates, the examples that count, what is subtracted from their logarithms, and the sum so far."""

    source: Source
    rows: bytes | None
    shift: bytes
    total: bytes


class LikelihoodApart(NegativeLogLikelihood):
    """The same numbers, of which those of the candidates are computed by workers; a round sends one row to each."""

    def __init__(self, candidates: Candidates, rows: Indices | None, engine: Engine, location: str) -> None:
        self._set_up(candidates.log_true if rows is None else candidates.log_true[:, rows])
        outputs: Any = candidates.members.outputs
        self._engine, self._log_true = engine, candidates.log_true
        self._rows: Indices | None = rows
        self._sources = [
            Source(location, outputs.split, candidates.members.kind, candidates.ids[part.start : part.stop])
            for part in engine.parts(len(candidates))
        ]

    def scores(self) -> Floats:
        """Return the NLL with each candidate added [valid]."""
        if self._t == 0:
            return self._alone.copy()
        chosen = self._rows
        rows = None if chosen is None else np.asarray(chosen, np.int64).tobytes()
        total, shift = (np.asarray(row).tobytes() for row in (self._total, self._shift))
        found = self._engine.map(score_part, [Part(source, rows, shift, total) for source in self._sources])
        return np.log(self._t + 1) - self._offset - np.concatenate(found)

    def add(self, position: int) -> None:
        """Choose a candidate."""
        row = self._log_true[position] if self._rows is None else self._log_true[position, self._rows]
        self._total += np.exp(row - self._shift)
        self._t += 1


def likelihood(candidates: Candidates, rows: Indices | None = None) -> NegativeLogLikelihood:
    """Return the objective: on workers, where there are some and the candidates are those of a study."""
    engine = current_engine()
    location = getattr(candidates.members.outputs, "location", None)
    if engine is None or location is None or candidates.members.keep is not None:
        return NegativeLogLikelihood(candidates, rows)
    return LikelihoodApart(candidates, rows, engine, location)


def score_part(part: Part) -> Floats:
    """Return the mean logarithm with each candidate of a part added. What a worker calls."""
    total = np.frombuffer(part.total)
    return mean_logs(_scaled(part.source, part.rows, part.shift), total)


@functools.lru_cache(maxsize=2)
def _scaled(source: Source, rows: bytes | None, shift: bytes) -> Floats:
    log_true = _log_true(source)
    chosen = log_true if rows is None else log_true[:, np.frombuffer(rows, np.int64)]
    return np.exp(chosen - np.frombuffer(shift))


@functools.lru_cache(maxsize=2)
def _log_true(source: Source) -> Floats:
    study = opened(source.location).only(frozenset(source.run_ids))
    options: CandidateOptions = {"split": source.split, "kind": source.kind}
    return candidates_of(study, None, options, objective="nll").log_true
