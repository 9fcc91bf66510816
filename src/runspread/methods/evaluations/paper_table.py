"""The table of a paper from evaluations: a model a row, its interval, the difference from the baseline (evals 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._latex import escaped

if TYPE_CHECKING:
    from .result import Evaluations, ModelDifference


def latex_of(one: Evaluations, caption: str | None, label: str | None) -> str:
    """Return the table in LaTeX."""
    baseline = one.question.baseline or (one.differences[0].old if len(one.differences) == 1 else None)
    gaps = {gap.new: gap for gap in one.differences if gap.old == baseline}
    scale, digits = (100, 1) if one.in_unit else (1, 3)
    unit = r" (\%)" if one.in_unit else ""
    heads = ["Model", f"Mean{unit}", f"{round(100 * one.question.level, 6):g}\\,\\% interval"]
    if gaps:
        heads += [f"$-$ {escaped(baseline or '')}", "$p$"]
    lines = [" & ".join(heads) + r" \\", r"\midrule"]
    for score in one.models:
        mean = f"{scale * score.mean:.{digits}f}"
        bold = score.model in one.may_be_best and len(one.may_be_best) < len(one.models)
        cells = [
            escaped(score.model),
            rf"\textbf{{{mean}}}" if bold else mean,
            _interval(scale * score.lo, scale * score.hi, digits),
        ]
        if gaps:
            cells += _gap_cells(gaps.get(score.model), scale, digits)
        lines.append(" & ".join(cells) + r" \\")
    columns = "lrr" + ("rr" if gaps else "")
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"]
    note = f"% Intervals and tests cover: {one.question.on}. Bold: may be the best."
    if caption is None and label is None:
        return "\n".join([note, *body])
    outside = [rf"\caption{{{caption}}}"] * (caption is not None) + [rf"\label{{{label}}}"] * (label is not None)
    return "\n".join([note, r"\begin{table}", r"\centering", *outside, *body, r"\end{table}"])


def _gap_cells(gap: ModelDifference | None, scale: int, digits: int) -> list[str]:
    if gap is None:
        return ["--", "--"]
    ends = _interval(scale * gap.lo, scale * gap.hi, digits)
    return [f"${scale * gap.diff:+.{digits}f}$ {ends}", f"{gap.p_holm:.2g}"]


def _interval(low: float, high: float, digits: int) -> str:
    """Return an interval in mathematics, where a minus sign is none of text."""
    return f"$[{low:.{digits}f}, {high:.{digits}f}]$"
