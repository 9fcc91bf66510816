"""What makes a page fast changes nothing on it."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from runspread._report.figures import _drawn_once
from runspread.methods._statistics import equal_spread_p
from runspread.methods.scores.arms import _beyond_studentized


def _drawing() -> Figure:
    drawing = Figure(figsize=(4.8, 2.6), layout="constrained", dpi=144)
    ax = drawing.subplots()
    ax.plot(np.arange(2000) % 7, rasterized=True, label="a line")
    ax.set(xlabel="step\nof training", title="A title")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return drawing


def test_a_figure_that_is_drawn_once_is_the_figure_that_matplotlib_saves():
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "same"}):
        buffer = io.StringIO()
        _drawing().savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        assert _drawn_once(_drawing()) == buffer.getvalue()


@pytest.mark.parametrize("seed", range(5))
def test_equal_spreads_are_judged_as_scipy_judges_them(seed):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(size=rng.integers(3, 12)) * spread for spread in (1.0, 2.0, 0.5)]
    assert equal_spread_p(groups) == pytest.approx(stats.levene(*groups, center="median").pvalue, rel=1e-12)


@pytest.mark.parametrize("df", [2, 10, 46])
def test_the_range_of_two_arms_is_students_t(df):
    ranges = np.array([0.0, 0.1, 1.0, 3.0, 8.0])
    expected = stats.studentized_range.sf(ranges, 2, df)
    np.testing.assert_allclose(_beyond_studentized(ranges, 2, df), expected, rtol=0, atol=1e-13)


def test_ranking_two_arms_imports_no_statistics_of_scipy():
    asked = "import sys, runspread as rs; rs.rank({'a': [0.1, 0.2, 0.4], 'b': [0.3, 0.5, 0.7]}, metric='loss')"
    subprocess.run([sys.executable, "-c", f"{asked}; assert 'scipy.stats' not in sys.modules"], check=True)
