"""The table of a paper: an arm a row, a task or a metric a column, in LaTeX with booktabs (scores 7.3)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._latex import escaped
from ..._reading.scores.words import PERCENT
from ..._words import count
from .arm_runs import ArmRuns
from .arms import maybe_best
from .one_arm import arm_intervals, mean_of, standard_deviation

Floats = NDArray[np.float64]
PLUS_MINUS = {
    "interval": "half-width of the {level} confidence interval",
    "sd": "standard deviation",
    "se": "standard error of the mean",
}
_SIGNIFICANT = 6  # figures of a column without any spread
_MOST_DECIMALS = 12
_DAGGER = r"$^{\dagger}$"


class PaperColumn(NamedTuple):
    """A column of the table: one metric on one task.

    Attributes
    ----------
    metric, task : str
        Which; empty without a name.
    unit : str
        fraction, percent or plain.
    lower : bool or None
        Whether lower is better; None where it is not known.
    cells : mapping of str to ArmRuns
        By arm; an arm that is not there has no runs.
    best : frozenset of str or None
        Arms that may be the best; found from the runs where None.
    """

    metric: str
    task: str
    unit: str
    lower: bool | None
    cells: Mapping[str, ArmRuns]
    best: frozenset[str] | None = None


class _Style(NamedTuple):
    """How numbers are written."""

    level: float
    pm: str
    siunitx: bool


class Paper:
    """What results of scores have that can be a table of a paper."""

    confidence_level: float

    def _paper(self) -> tuple[list[str], list[PaperColumn]]:
        """Return the arms, in the order of the rows, and the columns."""
        raise NotImplementedError

    def to_latex(
        self, *, pm: str = "interval", siunitx: bool = False, caption: str | None = None, label: str | None = None
    ) -> str:
        r"""Return a LaTeX table for the package booktabs: an arm a row, a task or a metric a column.

        Bold is what may be the best: the truly best arm of a column is among the bold ones at the confidence level
        (multiple comparisons with the best). Where no arm of a column can be ruled out, none is bold.

        Parameters
        ----------
        pm : {"interval", "sd", "se"}
            What follows the plus-minus sign: half the interval of the mean (default), the standard deviation between
            runs, or the standard error of the mean. The caption says which.
        siunitx : bool
            Whether numbers stand in S columns of the package siunitx.
        caption, label : str, optional
            LaTeX as it stands; a default caption says what the numbers are.

        Raises
        ------
        InputError
            An unknown `pm`.

        Examples
        --------
        >>> import runspread as rs
        >>> arms = {"a": [90.1, 90.3, 90.2], "b_2": [91.9, 92.1, 92.2]}
        >>> text = rs.methods.scores.rank_scores(arms, metric="accuracy").to_latex()
        >>> print(text.splitlines()[8])
        b\_2 & \textbf{92.07 $\pm$ 0.38} \\
        """
        check_choice(pm, "pm", PLUS_MINUS)
        arms, columns = self._paper()
        return _table(arms, columns, _Style(self.confidence_level, pm, siunitx), caption, label)


def _table(
    arms: Sequence[str], columns: Sequence[PaperColumn], style: _Style, caption: str | None, label: str | None
) -> str:
    bold = [_bold(column, style.level) for column in columns]
    decimals = [_decimals(column, style) for column in columns]
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{caption or _caption(columns, bold, style)}}}"]
    lines += [rf"\label{{{label}}}"] if label else []
    lines += [rf"\begin{{tabular}}{{{_formats(columns, decimals, style)}}}", r"\toprule", *_head(columns, style)]
    lines.append(r"\midrule")
    for arm in arms:
        cells = [
            _cell(column.cells.get(arm), arm in best, places, style)
            for column, best, places in zip(columns, bold, decimals, strict=True)
        ]
        lines.append(" & ".join([escaped(arm or "runs"), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", *_footnote(arms, columns), r"\end{table}"]
    return "\n".join(lines) + "\n"


def _bold(column: PaperColumn, level: float) -> frozenset[str]:
    """Return the arms that are bold; none where no arm can be ruled out, or the direction is not known."""
    cells = {arm: cell for arm, cell in column.cells.items() if len(cell.values)}
    if column.lower is None or len(cells) < 2:
        return frozenset()
    best = column.best
    if best is None:
        values = [cell.values for cell in cells.values()]
        found = maybe_best(values, level, lower=column.lower)
        best = frozenset(arm for arm, may in zip(cells, found.tolist(), strict=True) if may)
    return best if len(best) < len(cells) else frozenset()


def _half(values: Floats, style: _Style) -> float:
    """Return what follows the plus-minus sign; NaN for one run."""
    if len(values) < 2:
        return math.nan
    if style.pm == "interval":
        ends = arm_intervals(values, style.level)
        return (ends.mean_hi - ends.mean_lo) / 2
    sd = standard_deviation(values)
    return sd if style.pm == "sd" else sd / math.sqrt(len(values))


def _decimals(column: PaperColumn, style: _Style) -> int:
    """Return the decimals of a column: two figures of its middle half-width; without any spread, six figures."""
    halves = [_half(cell.values, style) for cell in column.cells.values() if len(cell.values)]
    known = sorted(half for half in halves if half > 0 and math.isfinite(half))
    if known:
        middle = known[(len(known) - 1) // 2]
        return max(0, min(_MOST_DECIMALS, 1 - math.floor(math.log10(middle) + 1e-9)))
    values = np.concatenate([cell.values for cell in column.cells.values()] or [np.zeros(0)])
    size = float(np.abs(values).max()) if len(values) else 1.0
    exact = next((k for k in range(_SIGNIFICANT) if np.allclose(np.round(values, k), values, rtol=1e-9)), _SIGNIFICANT)
    return min(exact, max(0, _SIGNIFICANT - 1 - (math.floor(math.log10(size)) if size else 0)))


def _cell(cell: ArmRuns | None, bold: bool, decimals: int, style: _Style) -> str:
    dagger = _DAGGER if cell is not None and cell.n_diverged else ""
    if cell is None or not len(cell.values):
        return f"{{--{dagger}}}" if style.siunitx else f"--{dagger}"
    half = _half(cell.values, style)
    mean, sign = f"{mean_of(cell.values):.{decimals}f}", r"\pm" if style.siunitx else r"$\pm$"
    spread = f" {sign} {half:.{decimals}f}" if math.isfinite(half) else ""
    if style.siunitx:
        return (r"\bfseries " if bold else "") + mean + spread + (f" {{{dagger}}}" if dagger else "")
    text = mean.replace("-", "$-$") + spread
    return (rf"\textbf{{{text}}}" if bold else text) + dagger


def _formats(columns: Sequence[PaperColumn], decimals: Sequence[int], style: _Style) -> str:
    """Return the columns of the tabular."""
    if not style.siunitx:
        return "l" + "c" * len(columns)
    return "l" + "".join(_format(column, places, style) for column, places in zip(columns, decimals, strict=True))


def _format(column: PaperColumn, decimals: int, style: _Style) -> str:
    """Return an S column with room for the longest mean and the longest uncertainty, in units of the last place."""
    values = [cell.values for cell in column.cells.values() if len(cell.values)]
    means = [f"{mean_of(x):.{decimals}f}" for x in values]
    halves = [half for half in (_half(x, style) for x in values) if math.isfinite(half)]
    whole = max((len(mean.lstrip("-").partition(".")[0]) for mean in means), default=1)
    sign = "-" if any(mean.startswith("-") for mean in means) else ""
    room = f"({len(str(round(max(halves) * 10**decimals)))})" if halves else ""
    return (
        f"S[table-format={sign}{whole}.{decimals}{room}, separate-uncertainty, detect-weight, "
        "table-align-uncertainty, table-align-text-post=false]"
    )


def _head(columns: Sequence[PaperColumn], style: _Style) -> list[str]:
    """Return the head: metrics with their arrows, and tasks below where there are any."""
    if not any(column.task for column in columns):
        heads = [_metric(column) for column in columns]
        return [" & ".join(["", *(f"{{{head}}}" if style.siunitx else head for head in heads)]) + r" \\"]
    spans: list[tuple[PaperColumn, int]] = []
    for column in columns:
        if spans and spans[-1][0].metric == column.metric:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((column, 1))
    top = [rf"\multicolumn{{{width}}}{{c}}{{{_metric(column)}}}" for column, width in spans]
    ends = np.cumsum([1, *(width for _, width in spans)]).tolist()
    rules = [rf"\cmidrule(lr){{{start + 1}-{end}}}" for start, end in itertools.pairwise(ends)]
    tasks = [f"{{{escaped(column.task)}}}" if style.siunitx else escaped(column.task) for column in columns]
    return [" & ".join(["", *top]) + r" \\", " ".join(rules), " & ".join(["", *tasks]) + r" \\"]


def _metric(column: PaperColumn) -> str:
    arrow = {True: r" $\downarrow$", False: r" $\uparrow$", None: ""}[column.lower]
    unit = r" (\%)" if column.unit == PERCENT else ""
    return f"{escaped(column.metric or 'score')}{unit}{arrow}"


def _caption(columns: Sequence[PaperColumn], bold: Sequence[frozenset[str]], style: _Style) -> str:
    level = rf"{100 * style.level:g}\%"
    sizes = [len(cell.values) for column in columns for cell in column.cells.values() if len(cell.values)]
    runs = _runs(sizes)
    text = [rf"Mean $\pm$ {PLUS_MINUS[style.pm].format(level=level)} over {runs}."]
    if sizes and min(sizes) == 1:
        text.append(
            "One run alone has no interval and stands without one."
            if style.pm == "interval"
            else "One run alone has no spread and stands without one."
        )
    judged = [k for k, column in enumerate(columns) if column.lower is not None and _filled(column) > 1]
    if any(bold[k] for k in judged):
        text.append(rf"Bold: not distinguishable from the best at {level} (multiple comparisons with the best).")
    plain = [k for k in judged if not bold[k]]
    if plain:
        where = "" if len(plain) == len(columns) else f" in {_named([columns[k] for k in plain], columns)}"
        text.append(f"No arm can be ruled out as the best at {level}{where}: none is bold{' there' * bool(where)}.")
    return " ".join(text)


def _runs(sizes: Sequence[int]) -> str:
    if not sizes:
        return "0 runs"
    low, high = min(sizes), max(sizes)
    return count(low, "run") if low == high else f"{low} to {high} runs"


def _filled(column: PaperColumn) -> int:
    return sum(len(cell.values) > 0 for cell in column.cells.values())


def _named(some: Sequence[PaperColumn], columns: Sequence[PaperColumn]) -> str:
    """Return which columns: by task, or by metric, or both where both differ."""
    several = len({column.metric for column in columns}) > 1
    names = [
        " of ".join(escaped(word) for word in ((column.metric if several else ""), column.task) if word)
        for column in some
    ]
    return ", ".join(name or "score" for name in names)


def _footnote(arms: Sequence[str], columns: Sequence[PaperColumn]) -> list[str]:
    """Return how many runs diverged, below the table."""
    parts: dict[float | None, list[str]] = {}
    for column in columns:
        where = f" ({_named([column], columns)})" if len(columns) > 1 else ""
        for arm in arms:
            cell = column.cells.get(arm)
            if cell is not None and cell.n_diverged:
                text = f"{cell.n_diverged} of {count(cell.n_all, 'run')} of {escaped(arm or 'the arm')}{where}"
                parts.setdefault(cell.stand_in, []).append(text)
    words = [
        f"Diverged and {'excluded' if value is None else f'counted as {value:g}'}: {'; '.join(texts)}."
        for value, texts in parts.items()
    ]
    return [rf"\par\smallskip\footnotesize {_DAGGER}{' '.join(words)}"] if words else []
