"""Curves of score against size, and every picture of ensembles."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.ensembles import CorruptionBenchmark, diversity, ensemble_sizes, ood_detection, select_ensemble
from runspread.nn._log import EnsembleTraining
from runspread.plots import plot_corruptions, plot_diversity_against_score, plot_members
from runspread.training.ensembles.cost import EnsembleCost
from tests.methods.ensembles.test_selection import naive, pool, score

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def two_sets():
    probabilities, labels = pool(examples=160)
    return probabilities[:, :80], labels[:80], probabilities[:, 80:], labels[80:]


def sizes(**options):
    choose, choose_labels, report, report_labels = two_sets()
    return ensemble_sizes(choose, choose_labels, report=report, report_labels=report_labels, sizes=(1, 2, 4), **options)


@pytest.mark.parametrize("replacement", [True, False])
def test_sizes_by_hand(replacement):
    choose, choose_labels, report, report_labels = two_sets()
    found = sizes(replacement=replacement)
    for place, size in enumerate(found.sizes):
        path, _ = naive(choose, choose_labels, size, replacement=replacement, early_stop=False)
        if len(set(path)) == size:
            expected = score(report[path].mean(0), report_labels, "nll")
            assert found.curves["greedy"][place] == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(found.curves["greedy"][place])
        alone = [score(p, choose_labels, "nll") for p in choose]
        top = score(report[np.argsort(alone)[:size]].mean(0), report_labels, "nll")
        assert found.curves["top K"][place] == pytest.approx(top, abs=1e-12)
    assert (found.random_low <= found.curves["random"]).all()
    assert "80 examples that did not choose" in found.sentence()


def test_a_long_path_has_labels_that_can_be_read():
    labels = np.arange(200) % 2
    good = np.where(np.eye(2)[labels] == 1, 0.9, 0.1)
    found = select_ensemble(np.stack([1 - good, good]), labels, 2, early_stop=False)
    ax = found.plot()
    assert len(found.path) == 50
    assert len(ax.get_xticks()) <= 14


def test_sizes_of_wrong_things():
    choose, choose_labels, report, report_labels = two_sets()
    with pytest.raises(InputError, match="report="):
        ensemble_sizes(choose, choose_labels)
    with pytest.raises(InputError, match="same runs"):
        ensemble_sizes(choose, choose_labels, report=report[1:], report_labels=report_labels)
    with pytest.raises(InputError, match="one score per size"):
        sizes().with_curve("deep", [1.0])


def draw(result, *words, **options):
    ax = result.plot() if not options else options["plot"](result)
    ax.figure.canvas.draw()
    text = " ".join(t.get_text() for t in ax.findobj(mpl.text.Text))
    assert all(word in text for word in words), text
    return ax


def test_curve_of_sizes():
    result = sizes().with_curve("deep", [0.9, np.nan, 0.8])
    ax = draw(result, "distinct members", "greedy", "top K", "random", "deep")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), result.curves["greedy"])


def test_selection():
    result = select_ensemble(*pool(), 3)
    ax = draw(result, "candidate added", "held out", "top 3", *(result.run_ids[i] for i in result.path))
    assert result.score in ax.lines[1].get_ydata()
    draw(select_ensemble(*pool(), 3, folds=0, n_random=0), "greedy")


def test_members_with_their_hyperparameters():
    result = select_ensemble(*pool(), 3)
    hyperparameters = {name: {"l2": 0.123456, "width": 7} for name in result.run_ids}
    ax = plot_members(result, hyperparameters)
    ax.figure.canvas.draw()
    words = [t.get_text() for t in ax.texts]
    assert words.count("0.123") == words.count("7") == result.size
    assert {"l2", "width"} <= set(words)
    assert sorted(bar.get_width() for bar in ax.patches) == sorted(result.weights[result.members])


def test_reliability_and_diversity():
    probabilities, labels = pool()
    scored, diverse = rs.ensemble_scores(probabilities, labels), diversity(probabilities, labels)
    draw(scored, "calibrated", f"ECE {scored.ece:.3f}", "80 examples")
    draw(diverse, "disagreement", "12 distinct members")
    ax = plot_diversity_against_score({"all": (scored, diverse)})
    assert ax.collections[0].get_offsets()[0].tolist() == [diverse.disagreement, scored.nll]
    with pytest.raises(InputError):
        plot_diversity_against_score({})


def test_bounds_and_losses():
    empty = {"low": np.zeros(0), "high": np.zeros(0), "names": (), "tuning_losses": np.zeros(0), "seconds": 1.0}
    nothing = np.zeros((1, 2, 0))
    plain = EnsembleTraining(
        losses=np.array([2.0, 1.0]),
        tuning_steps=np.zeros(0, int),
        lower=nothing,
        upper=nothing,
        mean=nothing,
        **empty,
    )
    draw(plain, "training loss")
    mean = np.array([[[1.0], [10.0]], [[2.0], [20.0]]])
    tuned = EnsembleTraining(
        losses=np.array([2.0, 1.0]),
        tuning_steps=np.array([1]),
        tuning_losses=np.array([0.5]),
        lower=mean / 2,
        upper=mean * 2,
        mean=mean,
        low=np.array([0.1]),
        high=np.array([1000.0]),
        names=("l2",),
        seconds=1.0,
    )
    ax = draw(tuned, "l2", "training step")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.log(mean[:, 0, 0] / 0.1) / np.log(1e4))


def test_cost():
    cost = EnsembleCost(
        kind="stack",
        members=3,
        parameters=30,
        single_parameters=10,
        seconds=2.0,
        stacked_seconds=1.5,
        single_seconds=1.0,
        examples=8,
    )
    draw(cost, "3.00", "1.50", "3 members")


def test_corruption_boxes_and_outside():
    shape = (2, 3, 5)
    values = np.random.default_rng(0).random(shape)
    result = CorruptionBenchmark(
        predictors=("a", "b"),
        corruptions=("x", "y", "z"),
        severities=(1, 2, 3, 4, 5),
        clean=dict.fromkeys(("accuracy", "nll", "ece"), np.array([0.1, 0.2])),
        corrupted=dict.fromkeys(("accuracy", "nll", "ece"), values),
        n_examples=10,
    )
    for metric, label in (("nll", "NLL"), ("accuracy", "accuracy"), ("ece", "ECE")):
        draw(result, label, "severity", "clean", plot=lambda r, metric=metric: plot_corruptions(r, metric=metric))
    probabilities, _ = pool()
    found = ood_detection(probabilities[:1], probabilities[1:2])
    draw(found, "AUROC", "confidence")
    assert found.inside_counts.sum() == found.n_inside
