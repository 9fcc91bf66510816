"""`rank_scores`: which of several arms may be the best, and how each differs from a baseline (scores 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_keywords
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import ScoreCell, ScoreReading, given_of, read_scores
from ..._results import Table
from ..._words import count, listed, percent
from ...errors import InputError
from .amounts import Amounts
from .arm_runs import ArmRuns, runs_of_cell
from .arms import AllPairs, Heterogeneity, VersusBaseline, all_pairs, heterogeneity, maybe_best, versus_baseline
from .basis import ScoreResult, error_floor, on_examples
from .compare import arm_warnings, checked_level, one_of_each
from .defaults import LEVEL
from .forms import Arm
from .modes import Shape, mode_words, shape
from .paper import Paper, PaperColumn
from .winner import Winner, winner

Floats = NDArray[np.float64]
_MOST_NOTED, _FEW_RUNS = 50, 5  # arms whose runs are looked at; runs up to which a shared spread shows much more
RANKING: dict[str, Any] = {"baseline": None, "spread": "each", "examples": None, "confidence_level": LEVEL}


class RankSettings(ScoreReading, total=False):
    """Keywords of `rank_scores`: those of the reading, and these.

    baseline : str
        An arm to compare each other one with.
    spread : {"each", "shared"}
        Each arm with its own spread (default), or one spread for all.
    examples : int
        Size of the test set that the accuracies are measured on, whose noise is then counted, as if errors were
        independent.
    confidence_level : float
        Of intervals and of the set of arms that may be best; default 0.95.
    """

    baseline: str
    spread: str
    examples: int
    confidence_level: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreRanking(Paper, ScoreResult):
    """Which of several arms may be the best, from one number per run.

    Attributes
    ----------
    names : tuple of str [arms]
        In the order of the table.
    metric, unit : str
        Name of the metric; fraction, percent or plain.
    lower_is_better : bool
        Direction.
    confidence_level : float
        Of intervals and of the set.
    runs : tuple of ArmRuns [arms]
        The runs of each.
    n, mean, sd : ndarray of float64 [arms]
        Runs, mean and standard deviation of each.
    maybe_best : ndarray of bool [arms]
        Arms that may be the best: the truly best one is among them with probability `confidence_level`.
    pairs : AllPairs
        Tests of all pairs.
    against : VersusBaseline or None
        Each other arm less the baseline, where one was named.
    verdicts : tuple of str
        better, worse or undecided for each of `against`, after Holm's correction.
    together : Heterogeneity
        Tests of all arms together.
    best : Winner
        The arm with the best mean, and what it is worth without its luck.
    baseline : str or None
        Its name.
    examples : int or None
        Size of the test set, where it was given: the noise of independent errors on it is then counted.
    """

    picture = ".plots:plot_score_ranking"

    names: tuple[str, ...]
    metric: str
    unit: str
    lower_is_better: bool
    confidence_level: float
    runs: tuple[ArmRuns, ...]
    n: NDArray[np.int64]
    mean: Floats
    sd: Floats
    maybe_best: NDArray[np.bool_]
    pairs: AllPairs
    against: VersusBaseline | None
    verdicts: tuple[str, ...]
    together: Heterogeneity
    best: Winner
    baseline: str | None
    examples: int | None = None

    def table(self) -> Table:
        """Return the arms, the best mean first."""
        order = np.argsort(self.mean if self.lower_is_better else -self.mean, kind="stable").tolist()
        columns: dict[str, list[Any]] = {
            "arm": [self.names[at] for at in order],
            "n": self.n[order].tolist(),
            "mean": self.mean[order].tolist(),
            "sd": self.sd[order].tolist(),
            "may be best": ["yes" if self.maybe_best[at] else "no" for at in order],
        }
        if self.against is not None:
            places = {int(arm): row for row, arm in enumerate(self.against.vs_baseline)}
            for name, values in (
                ("low", self.against.baseline_lo),
                ("high", self.against.baseline_hi),
                (f"p ({self.against.correction})", self.against.p_baseline_holm),
            ):
                columns[name] = [float(values[places[at]]) if at in places else math.nan for at in order]
            columns["verdict"] = [self.verdicts[places[at]] if at in places else "baseline" for at in order]
        return Table(columns, formats={"mean": ".6g", "p (Holm)": ".3g", "p (Dunnett)": ".3g"})

    def sentence(self) -> str:
        """Return which arms may be best, and what the winner is worth; or what is shown against the baseline."""
        return _best_words(self) if self.against is None else _baseline_words(self)

    def paper_columns(self) -> list[PaperColumn]:
        """Return the column of a paper's table."""
        best = frozenset(name for name, may in zip(self.names, self.maybe_best.tolist(), strict=True) if may)
        cells = dict(zip(self.names, self.runs, strict=True))
        return [PaperColumn(self.metric, "", self.unit, self.lower_is_better, cells, best)]

    def _paper(self) -> tuple[list[str], list[PaperColumn]]:
        return list(self.names), self.paper_columns()


def _half(one: ScoreRanking) -> float:
    sd, n = one.together.sd_pooled, float(one.n.min())
    return 4 * sd / math.sqrt(n) if sd > 0 else abs(float(one.mean[0])) / 1000


def _best_words(one: ScoreRanking) -> str:
    amounts = Amounts(one.metric, one.unit, _half(one))
    inside = [at for at in np.argsort(-one.mean if not one.lower_is_better else one.mean) if one.maybe_best[at]]
    k, top, level = len(one.names), one.best.winner, percent(one.confidence_level)
    if len(inside) == k:
        text = (
            f"With {level} confidence none of the {k} arms can be ruled out as the best: {one.names[top]} has "
            f"the best mean {amounts.name}, {amounts.level(float(one.mean[top]))} ({_runs(one)})."
        )
        return f"{text} {_luck_words(one, amounts)}".strip()
    shown = listed([f"{one.names[at]} ({amounts.level(float(one.mean[at]))})" for at in inside], most=4)
    if len(inside) == 1:
        return f"With {level} confidence {shown} has the best {amounts.name} of {k} arms ({_runs(one)})."
    text = f"With {level} confidence the best of {k} arms is among {len(inside)}: {shown} ({_runs(one)})."
    return f"{text} {_luck_words(one, amounts)}".strip()


def _luck_words(one: ScoreRanking, amounts: Amounts) -> str:
    """Return what the best mean is worth without its luck; of two or three arms, a bound on that luck."""
    k, top = len(one.names), one.best.winner
    if math.isnan(one.best.winner_lo):
        if not one.best.luck > 0:
            return ""
        return f"As the best of {k} it looks up to {amounts.rounded(one.best.luck)} better than it is, on average."
    ends = f"{amounts.level(one.best.winner_lo)} to {amounts.level(one.best.winner_hi)}"
    worth, whose = amounts.level(float(one.best.shrunk[top])), f"the {amounts.name} of {one.names[top]}"
    return f"Corrected for the luck of the best of {k}, {whose} is {worth} ({ends})."


def _baseline_words(one: ScoreRanking) -> str:
    others = one.against.vs_baseline.tolist() if one.against is not None else []
    by_verdict = {
        word: [one.names[at] for at, verdict in zip(others, one.verdicts, strict=True) if verdict == word]
        for word in ("better", "worse", "undecided")
    }
    parts = [
        f"{listed(names, 4)} {'is' if len(names) == 1 else 'are'} {word}" for word, names in by_verdict.items() if names
    ]
    by = one.against.correction if one.against is not None else "Holm"
    holm = f", after {by}'s correction over {count(len(others), 'comparison')}" if len(others) > 1 else ""
    return f"Against {one.baseline}, {'; '.join(parts)} ({_runs(one)}{holm})."


def _runs(one: ScoreRanking) -> str:
    low, high = int(one.n.min()), int(one.n.max())
    runs = f"{count(low, 'run')} each" if low == high else f"{low} to {high} runs each"
    return f"{runs}; {on_examples(one.examples)}" if one.examples is not None else runs


def rank_scores(source: Any, **settings: Unpack[RankSettings]) -> ScoreRanking:
    """Return which of several arms may be the best, and how each differs from a baseline.

    An arm is out where another one is shown to be better, at a level shared among its comparisons, so that the truly
    best arm stays with probability `confidence_level` (multiple comparisons with the best, Hsu 1981, in its Bonferroni
    form).

    Parameters
    ----------
    source : table, or mapping of arm to its scores
        One number per run.
    **settings : RankSettings
        A baseline, and how the table is read.

    Raises
    ------
    InputError
        Fewer than two arms with runs, several metrics or tasks, an unknown baseline.

    Examples
    --------
    >>> import runspread as rs
    >>> arms = {"a": [90.1, 90.3, 90.2], "b": [91.9, 92.1, 92.2], "c": [92.0, 92.3, 91.9]}
    >>> rs.methods.scores.rank_scores(arms, metric="accuracy").maybe_best.tolist()
    [False, True, True]
    """
    check_keywords(settings, {**RANKING, **READING}, "rank_scores")
    options: dict[str, Any] = {**RANKING, **settings}
    level, spread = (
        checked_level(options["confidence_level"]),
        check_choice(options["spread"], "spread", ("each", "shared")),
    )
    table = read_scores(source, **given_of(settings))
    one_of_each(table)
    cells = {arm: table.cell(arm) for arm in table.arms if len(table.cell(arm))}
    if len(cells) < 2:
        raise InputError(f"{count(len(cells), 'arm')} with runs can be read", "two or more", "Use rs.summary for one.")
    values = [cell.values for cell in cells.values()]
    if not all(np.isfinite(x).all() for x in values):
        raise InputError("diverged runs count as worst", "finite values to rank means", "Pass diverged='exclude'.")
    lower, names = table.lower_is_better(), tuple(cells)
    baseline, metric = options["baseline"], table.metrics[0]
    unit, examples = table.units[metric], options["examples"]
    floors = None if examples is None else [error_floor(x, examples, unit, metric) for x in values]
    how: dict[str, Any] = {"spread": spread, "floors": floors}
    against = None
    if baseline is not None:
        against = versus_baseline(values, names.index(check_choice(baseline, "arm", names)), level, **how)
    facts = [Arm.of(x) for x in values]
    verdicts = _verdicts(against, facts, names, baseline, level, lower=lower)
    shapes = [shape(x) for x in values] if len(names) <= _MOST_NOTED else []
    notes = _warnings(table.arms, cells, dict(zip(names, shapes, strict=False)))
    together = heterogeneity(values)
    if spread == "each":
        notes += _advice(facts, together, verdicts)
    return ScoreRanking(
        names=names,
        metric=metric,
        unit=unit,
        lower_is_better=lower,
        confidence_level=level,
        runs=tuple(runs_of_cell(cell, table) for cell in cells.values()),
        n=np.array([one.n for one in facts]),
        mean=np.array([one.mean for one in facts]),
        sd=np.array([one.sd for one in facts]),
        maybe_best=maybe_best(values, level, lower=lower, **how),
        pairs=all_pairs(values, **how),
        against=against,
        verdicts=verdicts,
        together=together,
        best=winner(values, level, lower=lower, floors=floors),
        baseline=baseline,
        examples=examples,
        excluded=table.excluded,
        warnings=(*table.warnings, *notes),
        modes=tuple(
            word for name, x, form in zip(names, values, shapes, strict=False) for word in mode_words(name, x, form)
        ),
    )


def _verdicts(
    against: VersusBaseline | None,
    facts: Sequence[Arm],
    names: Sequence[str],
    baseline: str | None,
    level: float,
    *,
    lower: bool,
) -> tuple[str, ...]:
    """Return the verdict on each other arm by its p after Holm."""
    if against is None or baseline is None:
        return ()
    base = facts[names.index(baseline)].mean
    words: list[str] = []
    for at, p in zip(against.vs_baseline.tolist(), against.p_baseline_holm.tolist(), strict=True):
        good = (facts[at].mean < base) == lower
        words.append(("better" if good else "worse") if p <= 1 - level and facts[at].mean != base else "undecided")
    return tuple(words)


def _warnings(arms: Sequence[str], cells: Mapping[str, ScoreCell], shapes: Mapping[str, Shape]) -> list[str]:
    empty = [arm for arm in arms if arm not in cells]
    found = [f"{listed(empty)} {'has' if len(empty) == 1 else 'have'} no runs with a value."] if empty else []
    return found + [note for name, form in shapes.items() for note in arm_warnings(name, cells[name].values, form)]


def _advice(facts: Sequence[Arm], together: Heterogeneity, verdicts: Sequence[str]) -> list[str]:
    """Return what few runs of several arms could show if all spread alike, which is not chosen unasked."""
    if len(facts) < 3 or max(arm.n for arm in facts) > _FEW_RUNS or (verdicts and "undecided" not in verdicts):
        return []
    known = f" (Brown and Forsythe's p of equal spread is {together.p_levene:.2g})" if together.p_levene >= 0 else ""
    return [f"So few runs show more with spread='shared', if it is known that all arms spread alike{known}."]
