"""The plots show the numbers of their results; they were looked at by eye."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.audit import RunEvidence
from runspread.methods.variance import (
    best_seed_model,
    best_seed_selection,
    independence_test,
    pair_deviations,
    plan_gap,
    plan_runs,
    run_accuracies,
    stopping_rule,
    two_group_tasks,
)
from runspread.plots import plot_split_halves

mpl.use("agg")


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure(layout="constrained").subplots()


@pytest.fixture(scope="module")
def runs():
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.full(4, 0.3), 120)
    cumulative = q.cumsum(axis=1)[:, :-1]
    predictions = (rng.random((40, 120, 1)) > cumulative).sum(axis=2)
    return predictions, (rng.random((120, 1)) > cumulative).sum(axis=1)


def drawn(ax):
    ax.figure.canvas.draw()
    return {text.get_text() for text in ax.get_legend().get_texts()} if ax.get_legend() else set()


def test_accuracy_distribution_holds_every_run_and_the_whole_law(ax, runs):
    result = rs.variance(*runs)
    assert result.plot(ax) is ax
    assert sum(patch.get_height() for patch in ax.patches) == 40
    steps = ax.lines[0].get_ydata()[::2]
    assert steps.sum() == pytest.approx(40, rel=1e-5)
    assert any(label.startswith("40 runs: sd") for label in drawn(ax))


@pytest.mark.parametrize("correct", [np.ones((3, 5), int), np.zeros((2, 1), int), [[1, 0, 1]]])
def test_accuracy_distribution_of_degenerate_runs(ax, correct):
    result = rs.variance(correct=correct)
    result.plot(ax)
    assert sum(patch.get_height() for patch in ax.patches) == result.n_runs
    drawn(ax)


def test_split_halves(ax, runs):
    result = rs.variance(*runs)
    plot_split_halves(result, ax)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), 100 * result.halves.correct[:, 0] / 60)
    x, y = (ax.lines[1].get_xdata(), ax.lines[1].get_ydata())
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(result.halves.slope)
    drawn(ax)


def test_best_seed_selection(ax, runs):
    result = best_seed_selection(*runs)
    result.plot(ax)
    heights = [patch.get_height() for patch in ax.patches]
    np.testing.assert_allclose(heights, 100 * np.array([*result.apparent.gain, *result.fresh.gain]))
    (intervals,) = ax.collections
    ends = np.array([segment[:, 1] for segment in intervals.get_segments()])
    np.testing.assert_allclose(ends, 100 * np.array([result.fresh.low, result.fresh.high]).T)
    drawn(ax)


def test_sources(ax, runs):
    predictions, labels = runs
    groups = rs.sources({"all": predictions[:20], "init": predictions[20:]}, labels)
    groups.plot(ax)
    np.testing.assert_allclose([p.get_height() for p in ax.patches[:2]], 100 * np.sqrt(groups.var_test))
    drawn(ax)


def test_source_components(ax, runs):
    correct = (runs[0] == runs[1])[:36].reshape(3, 4, 3, -1)
    result = rs.sources(correct=correct)
    result.plot(ax)
    np.testing.assert_allclose([p.get_width() for p in ax.patches[:7]], 100 * result.comp_test / result.total_test)
    drawn(ax)


def test_calibration_curve(ax, runs):
    result = rs.calibration(*runs)
    result.plot(ax)
    assert len(ax.collections[1].get_offsets()) == (result.curve.cells > 0).sum()
    assert f"gaps: CACE {result.errors.cace:.3f}" in drawn(ax)


def test_task_spread(ax, runs):
    result = two_group_tasks(*runs)
    result.plot(ax)
    assert len(ax.lines[0].get_xdata()) == 7
    drawn(ax)


def test_comparison(ax, runs):
    correct = runs[0] == runs[1]
    result = rs.compare(correct=(correct[:20], correct[20:]), not_worse=0.01)
    result.plot(ax)
    drawn_ends = [line.get_xdata() for line in ax.lines[:6:2]]
    expected = [result.answers[on].interval(0.9) for on in ("distribution", "test-set", "models")]
    np.testing.assert_allclose(drawn_ends, 100 * np.array(expected))
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [100 * result.diff])
    assert ax.get_xlabel().startswith("accuracy of B minus A (percentage points, 90% CI)")
    drawn(ax)
    assert ax.patches[0].get_x() == pytest.approx(-1)  # where it is not worse


@pytest.mark.parametrize(
    "plan",
    [
        plan_runs(0.01, variance=1e-4, tau2=0.01, n_examples=1000),
        plan_gap(1, error=0.1, n_examples=1000),
        plan_gap(5, variance=1e-4),
    ],
)
def test_plan(ax, plan):
    plan.plot(ax)
    gaps = ax.lines[0].get_ydata()
    assert (np.diff(gaps) < 0).all()
    drawn(ax)


def test_split_halves_need_two_examples():
    with pytest.raises(InputError, match="one in each half"):
        plot_split_halves(rs.variance(correct=[[1], [0]]))


def test_run_accuracies(ax, runs):
    result = run_accuracies(*runs)
    assert result.plot(ax) is ax
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 100 * np.sort(result.accuracy))
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 100 * np.sort(result.estimate))
    assert drawn(ax) == {"on this test set", "to be expected on the distribution"}


def test_selection_model(ax):
    result = best_seed_model(0.01, 0.3, (10, 2))
    result.plot(ax)
    assert ax.lines[0].get_xdata().tolist() == [2, 10]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 100 * result.fresh_gain[::-1])
    drawn(ax)


@pytest.mark.parametrize(("question", "against"), [("se=0.02", 0), ("gap=0.2", 0), ("gap=0.2", 10)])
def test_look(ax, question, against):
    values = 0.9 + 0.001 * np.random.default_rng(1).normal(size=40)
    rule = stopping_rule(question, max_runs=40, against=against)
    look = rule.look(values, values[:against] if against else None)
    look.plot(ax)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [100 * look.low, 100 * look.high])
    assert f"{look.verdict}, 40 runs" in drawn(ax)


def test_what_has_no_picture_says_what_to_draw(runs):
    correct = runs[0] == runs[1]
    for result in (pair_deviations(correct=correct), independence_test(correct=correct, resamples=2)):
        with pytest.raises(InputError, match=r"Instead, rs.variance\(...\).plot"):
            result.plot()
    evidence = RunEvidence.from_arrays(predictions=runs[0])
    with pytest.raises(InputError, match="findings are a table"):
        rs.audit(evidence).plot()
