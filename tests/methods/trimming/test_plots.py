"""Plots draw the numbers of their results."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.trimming import trimmed_distance, trimmed_examples, trimming_curve, trimming_scores
from runspread.plots import plot_trimmed_cdf, plot_trimmed_examples, plot_trimming_curve, plot_trimming_scores

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def made(runs=16, examples=200):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=examples)
    gaps = np.where(labels, 2, -2) + rng.normal(size=(runs, examples)) * 1.5 + rng.normal(size=(runs, 1))
    return np.stack([-gaps / 2, gaps / 2], axis=-1), labels


def lines(ax):
    return {line.get_label(): np.asarray(line.get_xydata()) for line in ax.lines}


def drawn(ax):
    """Render the figure, so that what cannot be drawn fails."""
    ax.figure.canvas.draw()
    return ax


def test_curve_and_threshold():
    rng = np.random.default_rng(1)
    curve = trimming_curve(rng.normal(size=200), rng.normal(0.8, 1, size=200), threshold="rigorous", epsilon=0.5)
    found = lines(drawn(curve.plot()))
    assert np.array_equal(found["distance left after trimming"], np.stack([curve.alphas, curve.distances], -1))
    assert np.array_equal(found["threshold (rigorous)"][:, 1], curve.accepted_up_to(curve.alphas))
    ((level, height),) = found[f"level {curve.level:.3f}"]
    assert level == curve.level > 0
    assert height == pytest.approx(np.interp(level, curve.alphas, curve.distances), abs=2e-3)


def test_curve_without_a_level_says_so():
    curve = trimming_curve(np.linspace(-5, 5, 300), np.linspace(-0.1, 0.1, 300))
    ax = drawn(plot_trimming_curve(curve))
    assert "no level suffices" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert curve.sentence().startswith("No trimming makes")
    assert curve.trimmed_by == 0.5
    drawn(plot_trimmed_cdf(curve))


def test_distributions_before_and_after():
    rng = np.random.default_rng(2)
    reference, candidate = rng.normal(size=300), np.append(rng.normal(size=240), rng.normal(5, 0.3, size=60))
    curve = trimming_curve(reference, candidate)
    ax = drawn(plot_trimmed_cdf(curve, output="gap"))
    found = lines(ax)
    values, before = found["candidate"].T
    assert before == pytest.approx([(candidate <= value).mean() for value in values])
    after = found[f"candidate, {curve.trimmed_by:.1%} trimmed"][:, 1]
    apart = np.abs(after - found["reference"][:, 1]).max()
    assert apart == pytest.approx(curve.delta[0], abs=1e-9)  # trimmed just enough
    assert ax.get_xlabel() == "gap"
    assert len(curve.table()) == 13


def test_infinite_values_can_be_drawn():
    curve = trimming_curve([-np.inf, 0, 1, 2], [0, 1, 3, np.inf])
    drawn(plot_trimmed_cdf(curve))


def test_levels_of_runs():
    logits, _ = made()
    levels = rs.trimming(logits, replicates=20)
    found = lines(drawn(levels.plot()))
    points = np.concatenate([found["distinguishable in ≤ half of them"], found["distinguishable in > half"]])
    assert points[points[:, 0].argsort(), 1].tolist() == sorted(levels.mean)
    assert len(found["distinguishable in > half"]) == levels.atypical.sum() > 0


def test_representative_size():
    logits, _ = made()
    sizes = rs.representative_size(logits, replicates=10)
    found = lines(drawn(sizes.plot()))
    kinds = {f"{k}, {d} trimmed" for k in ("mixture", "ensemble") for d in ("M runs", "pool")}
    assert set(found) == kinds | {"bar: 90 % of subsets"}
    middle = np.minimum(sizes.quantile(0.5), 0.5)
    assert found["ensemble, pool trimmed"][:, 1].tolist() == middle[1, 1].tolist()


@pytest.mark.parametrize("score", ["accuracy", "NLL", "ECE", "churn with ensemble", "pairwise churn"])
def test_level_against_scores(score):
    logits, labels = made()
    scores = trimming_scores(logits, labels, resamples=20)
    ax = drawn(plot_trimming_scores(scores, score=score))
    points = next(xy for label, xy in lines(ax).items() if label.startswith("run; Spearman"))
    assert points[:, 1].tolist() == scores.level.tolist()
    assert points[:, 0] == pytest.approx(scores.of(score) * (1 if score == "NLL" else 100))
    drawn(scores.plot())


def test_trimmed_examples():
    logits, labels = made()
    examples = trimmed_examples(logits, labels=labels)
    found = lines(drawn(examples.plot()))
    assert found["class 1"][:, 1].tolist() == examples.trimmed[labels == 1].tolist()
    drawn(plot_trimmed_examples(trimmed_examples(logits)))


def test_same_model():
    logits, _ = made()
    same = rs.same(logits[:8], logits[8:] + np.array([0, 2.0]), permutations=99)
    found = lines(drawn(same.plot()))
    assert found["distance left after trimming"][:, 1].tolist() == same.distances.tolist()
    assert found["threshold (permutation)"][0, 1] == same.delta[0]


def test_curves_refuse_what_they_cannot_draw():
    with pytest.raises(InputError, match="from 0"):
        trimming_curve([0.0], [1.0], alphas=[0.1, 0.2])
    with pytest.raises(InputError, match="one axis"):
        trimming_curve([0.0], [[1.0]])


def test_report_section(tmp_path):
    from runspread._report.trimming import trimming as section_of
    from tests.factories import make_study

    section = section_of(make_study(tmp_path / "study", runs=12, examples=120))
    assert section.title == "Typical runs"
    assert "of 12 runs" in section.lead
    assert len(section.figures) == 3
    assert all(figure.paper and figure.svg.startswith("<svg") for figure in section.figures)


def test_table_of_the_curve_does_not_depend_on_its_levels():
    rng = np.random.default_rng(3)
    reference, candidate = rng.normal(size=(2, 400)) + np.array([[0], [0.6]])
    coarse, fine = (trimming_curve(reference, candidate, alphas=alphas) for alphas in ([0, 0.5], None))
    assert coarse.table().to_dict() == fine.table().to_dict()
    table = coarse.table()
    expected = trimmed_distance(reference, candidate, table["level"])
    assert table["distance"] == expected.tolist()
    assert table["accepted"] == [bool(level >= coarse.level) for level in table["level"]]


def test_a_high_level_lies_within_the_axis():
    rng = np.random.default_rng(3)
    reference, candidate = rng.normal(size=500), np.append(rng.normal(size=100), rng.normal(9, 1, size=400))
    for alphas in (None, [0, 0.2]):
        curve = trimming_curve(reference, candidate, alphas=alphas)
        assert 0.5 < curve.level < 1
        assert drawn(curve.plot()).get_xlim()[1] > curve.level
    same = rs.same(np.tile(reference, (5, 1)), np.tile(candidate, (5, 1)), threshold=0.1)
    assert 0.5 < same.level < 1
    assert drawn(same.plot()).get_xlim()[1] > same.level


def test_published_mode_draws_the_interpolated_reference():
    rng = np.random.default_rng(2)
    reference, candidate = rng.normal(size=40), np.append(rng.normal(size=32), rng.normal(5, 0.3, size=8))
    curve = trimming_curve(reference, candidate, mode="published")
    places, heights = lines(drawn(plot_trimmed_cdf(curve)))["reference"].T
    knots = np.sort(reference)
    assert np.interp(knots[1:], places, heights) == pytest.approx(np.arange(2, 41) / 40)
    middle = (knots[10] + knots[11]) / 2
    assert np.interp(middle, places, heights) == pytest.approx(11.5 / 40)
    assert heights[places < knots[0]].sum() == 0
    assert (heights[places == knots[0]] == [0, 1 / 40]).all()


def test_report_of_three_runs_shows_their_levels(tmp_path):
    from runspread._report.trimming import trimming as section_of
    from tests.factories import make_study

    section = section_of(make_study(tmp_path / "study", runs=3, examples=120))
    assert "of 3 runs" in section.lead
    assert len(section.figures) == 1
    assert section.notes[-1].endswith("need at least 4 usable runs.")


def test_equal_accuracies_are_not_called_equal_levels():
    logits, labels = made(runs=8)
    logits[1:] = logits[0] * np.geomspace(2, 60, 7)[:, None, None]
    found = trimming_scores(logits, labels, resamples=20)
    assert np.ptp(found.level) > 0
    assert "run; no rank correlation: all runs are equal in accuracy" in lines(found.plot())


def test_examples_with_infinite_outputs_are_counted():
    logits = np.random.default_rng(0).normal(size=(20, 100, 2))
    logits[0, :30, 0] = -np.inf
    assert "not shown: 30 with infinite outputs" in lines(drawn(trimmed_examples(logits).plot()))


def test_report_of_runs_that_are_all_alike(tmp_path):
    """Nothing is told apart: no NaN, no share above 100 %, reservations of every part."""
    from runspread._report.trimming import trimming as section_of
    from tests.factories import make_study

    section = section_of(make_study(tmp_path / "study", runs=12, examples=120, classes=2))
    words = " ".join([section.lead, *(figure.shows for figure in section.figures), *section.notes])
    assert "nan" not in words
    assert not [share for share in re.findall(r"(\d+)%", words) if int(share) > 100]
    assert "The pool is made of only 6 runs" in words
    assert "No verdict" not in words
