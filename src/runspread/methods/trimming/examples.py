"""Which examples are trimmed: where runs put mass that the average run does not explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_seed, check_settings
from ..._reading.margins import Floats
from ..._reading.opening import opens
from ..._reading.scalars import Scalars
from ..._results import Result, Table
from ...errors import InputError
from .._ties import merge, ranking
from .defaults import ScalarOptions, TrimmingSettings
from .inputs import Inputs
from .levels import Pair, check_mode, trimming_of
from .nodes import SLACK
from .records import LevelSettings
from .typicality import TrimmingLevels, ensemble_of, halves, trimming

SHOWN = 20
TOP = 0.1  # of the examples, whose share of the trimmed mass is told
SHUFFLES = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class TrimmedExamples(Result):
    """How much of each example's weight is trimmed, averaged over runs.

    Attributes
    ----------
    trimmed : ndarray [examples]
        Mean over the trimmed runs of the fraction discarded at the example.
    mean_output : ndarray [examples]
        Mean over those runs of the scalar output that decides (the class with the largest level for one-vs-rest).
    labels : ndarray of int64 [examples] or None
        True classes, where known.
    n_runs, n_trimmed : int
        Runs, and how many of them have a level above 0.
    share_by_chance : float
        What the most trimmed tenth of the examples would carry of the trimmed mass, were each run's trimming to fall on
        examples at random: mean over 10 shuffles. The fewer the runs, the more.
    mean_level : float
        Mean level of the trimmed runs, for one-vs-rest of the class that decides: the fraction trimmed of an
        example picked blindly.
    n, m : int
        Examples on which candidates and reference of the levels are evaluated.
    settings : LevelSettings
        Those of the levels, which the trimming shares.
    """

    picture = ".plots:plot_trimmed_examples"

    trimmed: Floats
    mean_output: Floats
    labels: NDArray[np.int64] | None
    n_runs: int
    n_trimmed: int
    share_by_chance: float
    mean_level: float
    n: int
    m: int
    settings: LevelSettings

    def order(self) -> NDArray[np.intp]:
        """Return the examples, the most trimmed first."""
        return ranking(-self.trimmed)

    def table(self) -> Table:
        """Return the 20 most trimmed examples."""
        top = self.order()[:SHOWN]
        columns: dict[str, Any] = {"example": top}
        if self.labels is not None:
            columns["label"] = self.labels[top]
        return Table({**columns, "trimmed": self.trimmed[top], f"mean {self.settings.margin}": self.mean_output[top]})

    def share_in_top(self, fraction: float = TOP) -> float:
        """Return the share of all trimmed mass that the most trimmed `fraction` of the examples carries."""
        return float(_share_in_top(self.trimmed, fraction))

    def sentence(self) -> str:
        """Return how concentrated the trimming is."""
        if not self.n_trimmed:
            return f"None of {self.n_runs} runs has a trimming level above 0: nothing is trimmed."
        verb = "is" if self.n_trimmed == 1 else "are"
        return (
            f"{self.n_trimmed} of {self.n_runs} runs {verb} trimmed, by {self.mean_level:.3f} on average; the tenth of "
            f"the {len(self.trimmed)} examples trimmed most carries {self.share_in_top():.0%} of the trimmed mass "
            f"({self.share_by_chance:.0%} if trimming fell on examples at random). Optimal trimmings are not unique, "
            "and excess mass is no wrong prediction."
        )


@opens("candidates", "references")
def trimmed_examples(
    candidates: Any,
    references: Any = None,
    *,
    levels: TrimmingLevels | None = None,
    seed: int = 0,
    **settings: Unpack[ScalarOptions],
) -> TrimmedExamples:
    """Return which examples an optimal trimming of each run discards, at the run's own level.

    Parameters
    ----------
    candidates, references
        As in `trimming`: outputs of runs; the halves of the candidates serve each other without references.
    levels : TrimmingLevels
        Levels of the same candidates and references; computed on disjoint halves of the examples when omitted. Margin,
        classes, clipping, reference and mode are those of the levels.
    seed : int
        Seed of the shuffles, and of the levels where they are made here.
    **settings
        How outputs are read, as in `trimming`: see `ScalarOptions`. With levels they are not needed, labels apart, and
        must not differ.

    Returns
    -------
    TrimmedExamples
        Fraction trimmed by example.

    Raises
    ------
    InputError
        Levels of other runs, other examples or other settings; or what `trimming` raises.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 2
    >>> outputs = 2 * np.eye(2)[labels] + rng.normal(size=(8, 200, 2))  # [runs, examples, classes]
    >>> rs.methods.trimming.trimmed_examples(outputs, labels=labels).trimmed.shape
    (200,)
    """
    check_settings(settings, ScalarOptions.__annotations__, trimmed_examples)
    if levels is None:
        levels = trimming(candidates, references, resample="split", seed=seed, **settings)
    inputs = Inputs.of(trimmed_examples, _as_levels(levels, settings))
    tested = inputs.read(candidates)
    pool = None if references is None else inputs.read(references)
    _check_same(levels, tested, pool)
    trimmed = np.flatnonzero(levels.mean > 0)
    deciding, own = _deciding(levels)
    found = _trimmings(
        levels, own, _references(levels.settings.reference, tested, pool, trimmed, deciding), tested, seed
    )
    shares, outputs, shuffled = (values / max(len(trimmed), 1) for values in found)
    return TrimmedExamples(
        trimmed=shares,
        mean_output=outputs,
        labels=tested.labels,
        n_runs=len(tested.run_ids),
        n_trimmed=len(trimmed),
        share_by_chance=float(np.mean([_share_in_top(row, TOP) for row in shuffled])),
        mean_level=float(own[trimmed].mean()) if len(trimmed) else 0.0,
        n=levels.n,
        m=levels.m,
        settings=levels.settings,
        excluded=levels.excluded,
        warnings=levels.warnings,
    )


def _trimmings(
    levels: TrimmingLevels,
    own: Floats,
    references: Iterator[tuple[NDArray[np.intp], int, Floats]],
    tested: Scalars,
    seed: int,
) -> tuple[Floats, Floats, Floats]:
    """Return sums over the trimmed runs, by example: the share trimmed, the output, and shares that are shuffled."""
    rng, mode = np.random.default_rng(check_seed(seed)), check_mode(levels.settings.mode)
    shares, outputs = np.zeros((2, tested.n_examples))
    shuffled = np.zeros((SHUFFLES, tested.n_examples))
    for runs, statistic, reference in references:
        for run, values in zip(runs, tested.each(runs), strict=True):
            pool, output = merge(reference, values[statistic])
            best = trimming_of(Pair(pool, np.sort(output)[None], mode), float(own[run]))
            share = best.trimmed[np.searchsorted(best.values, output)]
            shares += share
            outputs += values[statistic]
            shuffled += rng.permuted(np.tile(share, (SHUFFLES, 1)), axis=1)
    return shares, outputs, shuffled


def _as_levels(levels: TrimmingLevels, given: ScalarOptions) -> TrimmingSettings:
    """Return settings that read outputs as those of the levels were; what is given besides must not differ."""
    own: dict[str, Any] = {name: getattr(levels.settings, name) for name in ("margin", "classes", "clip")}
    for name, known in own.items():
        value: Any = given.get(name)
        if value is not None and value != known and (known is None or list(value) != list(known)):
            raise InputError(
                f"{name}={value!r} was given with levels of {name}={known!r}",
                "the settings of the levels",
                f"Omit {name}.",
            )
    whole: Any = {**given, **own}
    return whole


def _check_same(levels: TrimmingLevels, tested: Scalars, pool: Scalars | None) -> None:
    """Raise an InputError unless the levels are those of these runs and examples."""
    if levels.run_ids != tested.run_ids:
        raise InputError("got levels of other runs", "levels of the same candidates, in the same order")
    parts = halves(len(tested.run_ids))
    sizes = [len(parts[1])] * len(parts[0]) + [len(parts[0])] * len(parts[1])
    expected = sizes if pool is None else [len(pool.run_ids)] * len(tested.run_ids)
    if levels.n_references.tolist() != expected:
        raise InputError(
            f"got levels against {levels.n_references[0]} reference runs, here {expected[0]}",
            "the references that the levels were made with",
        )
    statistics = 1 if levels.class_levels is None else len(levels.class_levels)
    known = "1 scalar output" if statistics == 1 else f"{statistics} classes"
    here = "1" if tested.n_statistics == 1 else f"{tested.n_statistics} classes"
    examples = {"bootstrap": levels.n + levels.m, "split": levels.n + levels.m, None: levels.n}.get(
        levels.settings.resample
    )
    if statistics != tested.n_statistics or examples not in (None, tested.n_examples):
        raise InputError(
            f"got levels of {known} on {examples} examples, here {here} on {tested.n_examples}",
            "levels of the same outputs",
        )


def _deciding(levels: TrimmingLevels) -> tuple[NDArray[np.intp], Floats]:
    """Return the statistic with the largest mean level, and that level, of each run."""
    if levels.class_levels is None:
        return np.zeros(len(levels.run_ids), dtype=np.intp), levels.mean
    means = np.minimum(levels.class_levels, levels.settings.cap).mean(1)
    return (means >= means.max(0) - SLACK).argmax(0), means.max(0)


def _references(
    kind: str, tested: Scalars, pool: Scalars | None, trimmed: NDArray[np.intp], deciding: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], int, Floats]]:
    """Yield trimmed runs that share a reference, the statistic that decides for them, and the reference, sorted."""
    parts = halves(len(tested.run_ids))
    if pool is None:
        sides = [(tested, parts[1], parts[0]), (tested, parts[0], parts[1])]
    else:
        sides = [(pool, np.arange(len(pool.run_ids)), np.arange(len(tested.run_ids)))]
    for source, others, own in sides:
        averaged = ensemble_of(source, others) if kind == "ensemble" else None
        here = trimmed[np.isin(trimmed, own)]
        for statistic in np.unique(deciding[here]).tolist():
            values = next(source.blocks(statistic, others, len(others))) if averaged is None else averaged[statistic]
            yield here[deciding[here] == statistic], statistic, np.sort(values, axis=None)


def _share_in_top(trimmed: Floats, fraction: float) -> float:
    """Return the share of the total that the largest `fraction` of the values has; NaN of nothing."""
    count, total = max(1, round(fraction * len(trimmed))), trimmed.sum()
    return float(np.sort(trimmed)[::-1][:count].sum() / total) if total > 0 else float("nan")
