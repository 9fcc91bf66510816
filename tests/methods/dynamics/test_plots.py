from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

import runspread as rs
from runspread.errors import InputError
from runspread.methods.dynamics import compare_maps, map_stability, predict_from_prefix
from runspread.plots import plot_convergence_by_route, plot_metric_by_state, plot_state_ribbons, plot_training_map
from tests.methods.dynamics.test_analysis import FAST, forked_runs

mpl.use("agg")


@pytest.fixture(scope="module")
def result():
    runs, index = forked_runs()
    return rs.dynamics(runs, outcome=index, states=[4], standardize="pooled", **FAST)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def texts(ax) -> str:
    return " | ".join(text.get_text() for text in ax.texts)


def test_the_map_shows_states_roads_and_features(result):
    ax = result.plot()
    assert ax is plot_training_map(result, ax)
    shown = texts(ax)
    assert "5/20 runs" in shown
    assert "l2 ↓" in shown
    assert "detour" in ax.get_title(loc="left")
    assert result.map.plot() is not None


def test_labels_cover_no_state_and_no_other_label(result):
    ax = plot_training_map(result)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if "↑" in text.get_text() or "↓" in text.get_text()]
    assert len(boxes) == len(result.map.edges)
    stations = [patch.get_window_extent() for patch in ax.patches if not isinstance(patch, FancyArrowPatch)]
    captions = [text.get_window_extent() for text in ax.texts if "of time" in text.get_text()]
    assert len(stations) == len(captions) == int(result.map.visited.sum())
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in (*boxes[:i], *stations, *captions))


def test_rare_roads_go_unlabelled_but_counted(result):
    ax = plot_training_map(result, labels=1)
    assert f"{len(result.map.edges) - 1} rarer transitions unlabelled" in ax.get_title(loc="left")
    assert len(ax.patches) == len(result.map.edges) + int(result.map.visited.sum())


def test_ribbons_are_sorted_by_convergence(result):
    ax = plot_state_ribbons(result)
    picture = ax.images[0].get_array()
    order = np.argsort(result.capped, kind="stable")
    np.testing.assert_array_equal(picture[0], result.map.paths[order[0]])
    np.testing.assert_array_equal(picture[-1], result.map.paths[order[-1]])
    assert ax.get_xlabel() == "checkpoint"


def test_metric_by_state_is_in_its_own_units(result):
    ax = plot_metric_by_state(result, metric="norm")
    assert len(ax.collections) == 20
    segments = ax.collections[0].get_segments()
    assert segments[0][0][1] == result.prepared.raw.x[0, 2]
    with pytest.raises(InputError, match="Did you mean 'norm'"):
        plot_metric_by_state(result, metric="norms")


def test_selection_curve_marks_the_choice():
    runs, _ = forked_runs(8)
    selection = rs.dynamics(runs, states=[1, 2, 3], **FAST).selection
    ax = selection.plot()
    assert f"chosen: {selection.n_states}" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_convergence_by_route_counts_all_runs(result):
    ax = plot_convergence_by_route(result)
    assert sum(len(line.get_xdata()) for line in ax.lines) == 20
    assert [label.get_text().split("(")[1] for label in ax.get_yticklabels()] == ["15)", "5)"]
    runs, _ = forked_runs(4)
    with pytest.raises(InputError, match="without an outcome"):
        plot_convergence_by_route(rs.dynamics(runs, states=[2], **FAST))


def test_without_an_outcome_ribbons_are_sorted_by_route():
    runs, _ = forked_runs(6)
    assert "by route" in plot_state_ribbons(rs.dynamics(runs, states=[3], **FAST)).get_ylabel()


def test_early_prediction_is_drawn_by_share(result):
    prediction = predict_from_prefix(result, (0.2, 0.35), folds=3)
    ax = prediction.plot()
    line = ax.containers[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [20, 35])
    np.testing.assert_array_equal(line.get_ydata(), prediction.auc)
    assert f"n={prediction.at_risk[1]}" in texts(ax)


def test_regression_is_drawn_as_fitted_against_actual(result):
    ax = result.regression.plot()
    dots = ax.lines[1]
    np.testing.assert_array_equal(dots.get_xdata(), result.regression.fitted)
    np.testing.assert_array_equal(dots.get_ydata(), result.regression.target)
    assert "n = 20" in ax.get_title(loc="left")


def test_stability_is_a_bar_a_transition(result):
    stability = map_stability(result, bootstraps=3)
    ax = stability.plot()
    support = [100 * stability.edge_support[edge] for edge in stability.edges]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(support)
    assert "3 resamples" in ax.get_title(loc="left")


def test_comparison_is_two_bars_a_state(result):
    ax = compare_maps(result, result, bootstraps=5).plot()
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx([*(5.0 * result.map.visits)] * 2)
    assert f"{result.detours[0]}\ndetour" in [label.get_text() for label in ax.get_xticklabels()]


def test_what_has_no_picture_says_what_to_draw(result):
    with pytest.raises(InputError, match=r"PreparedSequences has no picture.*plot_metric_by_state"):
        result.prepared.plot()
    with pytest.raises(InputError, match=r"HiddenMarkovModel has no picture.*training_map"):
        result.model.plot()
