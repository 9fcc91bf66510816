"""Pictures of scores: what is drawn, where better is, and that labels neither leave the figure nor meet."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.scores import compare_scores, compare_tasks, plan_scores, rank_scores, run_scores, score_modes

mpl.use("agg")
OLD, NEW = [0.412, 0.398, math.nan, 0.405, 0.401], [0.391, 0.380, 0.388, 0.395]
RNG = np.random.default_rng(0)
ARMS = {f"method_{k}": RNG.normal(0.80 + 0.01 * k, 0.01, 5).tolist() for k in range(6)}


@pytest.fixture(autouse=True)
def _close():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def over_tasks(arms: int, metric: str = "accuracy", sign: float = 1.0):
    rng = np.random.default_rng(3)
    own = rng.normal(0, 0.006, (arms, 9))
    rows = [
        {"method": f"m{i}", "task": f"task {k}", "seed": s, metric: sign * (0.5 + 0.02 * i + own[i, k] + e)}
        for i in range(arms)
        for k in range(9)
        for s, e in enumerate(0.01 * rng.normal(size=4))
    ]
    return compare_tasks(rows, metric=metric)


RESULTS = {
    "two arms": lambda: compare_scores(OLD, NEW, metric="val_loss"),
    "worst": lambda: compare_scores(OLD, NEW, metric="val_loss", diverged="worst"),
    "one run": lambda: compare_scores([0.4], NEW, metric="val_loss"),
    "ranking": lambda: rank_scores(ARMS, metric="accuracy"),
    "baseline": lambda: rank_scores(ARMS, metric="accuracy", baseline="method_2"),
    "summary": lambda: run_scores(ARMS | {"gone": [math.nan]}, metric="accuracy", target=0.83),
    "many": lambda: run_scores({f"a{k:02}" + "x" * 40: [k, k + 1.0] for k in range(60)}),
    "two over tasks": lambda: over_tasks(2),
    "six over tasks": lambda: over_tasks(6),
    "modes": lambda: score_modes([0.9, 0.91, 0.89, 0.9, 0.92, 0.91, 0.9, 0.4, 0.41, 0.39]),
    "threshold": lambda: score_modes([0.9, 0.91, 0.4], threshold=0.5),
    "plan": lambda: plan_scores(2.0, pilot=[90.1, 92.4, 88.7, 91.0, 93.9]),
    "plan of a known spread": lambda: plan_scores(1.0, sd=1.0),
    "plan of a fixed baseline": lambda: plan_scores(1.0, sd=1.0, n_old=40),
    "plan of a margin": lambda: plan_scores(equivalent=1.0, sd=1.0),
}
MORE = {
    "forest of two": lambda: rs.plots.plot_score_forest(
        compare_scores(OLD, NEW, metric="val_loss", not_worse=0.01),
    ),
    "profile": lambda: rs.plots.plot_profile(over_tasks(6)),
    "profile of a loss": lambda: rs.plots.plot_profile(over_tasks(2, "val_loss", -1.0)),
    "ranks": lambda: rs.plots.plot_rank_probabilities(over_tasks(6)),
    "ranks of one task": lambda: rs.plots.plot_rank_probabilities(rank_scores(ARMS, metric="accuracy")),
    "best of": lambda: rs.plots.plot_best_of(run_scores(ARMS, metric="accuracy")),
    "best of a loss": lambda: rs.plots.plot_best_of(run_scores({"a": RNG.normal(size=80).tolist()}, metric="loss")),
}
DRAWN = {name: (lambda make=make: make().plot()) for name, make in RESULTS.items()} | MORE


@pytest.mark.parametrize("name", DRAWN)
def test_labels_stay_inside_and_apart(name):
    ax = DRAWN[name]()
    figure = ax.figure
    figure.canvas.draw()
    texts = [*ax.texts]
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        shown = zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
        texts += [label for label, at in shown if low <= at <= high]
    legend = ax.get_legend()
    texts += [ax.xaxis.label, ax.yaxis.label, *(legend.get_texts() if legend else ())]
    boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
    edge = figure.bbox
    outside = [b for b in boxes if b.x0 < -1 or b.x1 > edge.x1 + 1 or b.y0 < -1 or b.y1 > edge.y1 + 1]
    assert outside == []
    met = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.padded(-1.5).overlaps(b.padded(-1.5))]
    assert not met
    assert ax.get_xlabel()


def test_better_is_to_the_right_or_up():
    lower, higher = RESULTS["two arms"]().plot(), RESULTS["ranking"]().plot()
    assert lower.xaxis_inverted()
    assert not higher.xaxis_inverted()
    assert "better →" in lower.get_xlabel()
    assert MORE["forest of two"]().xaxis_inverted()
    assert MORE["best of a loss"]().yaxis_inverted()
    assert "sign changed" in MORE["profile of a loss"]().texts[0].get_text()


def test_diverged_runs_are_crosses_with_their_number():
    ax = RESULTS["two arms"]().plot()
    assert [text.get_text() for text in ax.texts] == ["1"]
    assert any(line.get_marker() == "x" for line in ax.lines)
    points = sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() == "o")
    assert points == 8


def test_a_margin_has_the_interval_of_its_test():
    result = compare_scores(OLD, NEW, metric="val_loss", not_worse=0.01)
    ax = rs.plots.plot_score_forest(result)
    assert sorted(
        next(line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1.5).get_xdata()
    ) == (pytest.approx([result.judged.lo_tost, result.judged.hi_tost]))
    assert "difference with 90% interval" in ax.get_legend_handles_labels()[1]
    with pytest.raises(InputError, match="no baseline"):
        rs.plots.plot_score_forest(rank_scores(ARMS, metric="accuracy"))


def test_bars_join_what_is_not_shown_to_differ():
    from runspread.methods.scores.plots_tasks import joined

    result = over_tasks(6)
    order = np.argsort(result.ranks.ranks, kind="stable").tolist()
    apart = {frozenset(pair): word for pair, word in zip(result.pairs.pairs.tolist(), result.verdicts, strict=True)}
    bars = joined(result, order)
    for first, last in bars:
        inside = [frozenset((order[i], order[j])) for i in range(first, last + 1) for j in range(first, i)]
        assert all(apart[pair] == "undecided" for pair in inside)
    neighbours = {i for i in range(5) if apart[frozenset(order[i : i + 2])] == "undecided"}
    assert neighbours <= {i for first, last in bars for i in range(first, last)}


def test_ranks_are_sure_where_arms_are_far_apart():
    from runspread.methods.scores.bands import rank_probabilities

    far = rank_probabilities([[np.array([0.0, 0.1])], [np.array([5.0, 5.1])]])
    assert far.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    same = rank_probabilities([[np.array([0.0, 1.0, 2.0])]] * 3)
    np.testing.assert_allclose(same.sum(axis=0), 1)
    np.testing.assert_allclose(same, 1 / 3, atol=0.05)


def test_too_many_curves_are_refused_and_rows_are_counted():
    with pytest.raises(InputError, match="up to 8 curves"):
        rs.plots.plot_profile(over_tasks(9))
    assert RESULTS["many"]().plot().get_ylabel() == "the first 40 of 60 arms"
    with pytest.raises(InputError, match="best of N"):
        rs.plots.plot_best_of(run_scores({"a": [1.0, 2.0]}))
    two = run_scores(
        [{"method": "a", "seed": s, "acc": 0.5 + s, "loss": 1.0 + s} for s in (0, 0.1)], metric=["acc", "loss"]
    )
    assert "the first of 2 metrics" in rs.plots.plot_scores(two).get_title(loc="left")
    assert rs.plots.plot_scores(two, metric="loss").get_xlabel().startswith("loss")
