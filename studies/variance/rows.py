"""What both studies of the variance of training measure in a setting, and its table."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import runspread as rs

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import markdown_table

Row = dict[str, float]


def row(study: rs.Study) -> Row:
    """Return the figures of one setting: fractions, standard deviations and ratios."""
    spread, votes = rs.variance(study), rs.calibration(study)
    return {
        "R": spread.n_runs,
        "mean": spread.mean_acc,
        "sd": spread.sd_test,
        "sd_ind": spread.sd_ind,
        "F": spread.test.f_ratio,
        "var_dist": spread.var_dist,
        "sd_dist": spread.sd_dist,
        "lo": np.sqrt(max(spread.intervals.var_pop_low, 0)),
        "hi": np.sqrt(max(spread.intervals.var_pop_high, 0)),
        "corr": spread.halves.correlation,
        "err": votes.err,
        "D": votes.disagreement.rate,
        "D/err": votes.disagreement / votes.err,
        "over formula": spread.sd_ind / np.sqrt(votes.predicted.two_class),
        "over free": spread.sd_ind / np.sqrt(votes.predicted.without_labels),
        "over lower": spread.sd_ind / np.sqrt(votes.predicted.lower_bound),
        "transfer": spread.halves.top_quarter_gain2 / spread.halves.top_quarter_gain1,
    }


def settings_table(rows: Mapping[str, Row]) -> str:
    """Return a line a setting in Markdown; standard deviations in percentage points."""
    header = ("setting", "R", "mean", "sd", "sd_ind", "F", "sd_dist (95 %)", "corr halves", "err", "D", "transfer")
    body = [
        (
            name,
            r["R"],
            *(f"{100 * r[key]:.3f}" for key in ("mean", "sd", "sd_ind")),
            f"{r['F']:.2f}",
            f"{100 * r['sd_dist']:.3f} ({100 * r['lo']:.3f} to {100 * r['hi']:.3f})",
            f"{r['corr']:.2f}",
            f"{r['err']:.3f}",
            f"{r['D']:.3f}",
            f"{r['transfer']:.2f}",
        )
        for name, r in rows.items()
    ]
    return markdown_table(header, body)
