"""trimming(): levels of many runs over resamplings, against the direct route; settings, references, bad inputs."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods import Excluded
from runspread.methods.trimming import margins, resampling, trimmed_examples, trimming_level, trimming_scores
from runspread.methods.trimming.resampling import Pool, ResamplingPlan, draw_examples, resampled_levels


def made_gaps(runs=9, examples=61, seed=0, decimals=8):
    """Scalar outputs of runs that share examples and differ in scale and shift."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=examples) * 3
    gaps = (
        base * np.exp(rng.normal(size=(runs, 1)) * 0.3) + rng.normal(size=(runs, 1)) + rng.normal(size=(runs, examples))
    )
    return np.round(gaps, decimals)


def written_out(candidates, references, kind, draws, mode, delta):
    """Section 7, replicate by replicate, through the function for one pair of samples."""
    levels = []
    for own, other in draws:
        sample = references[:, other].ravel() if kind == "mixture" else references.mean(0)[other]
        levels.append(trimming_level(sample, candidates[:, own], threshold=delta, mode=mode))
    return np.array(levels)


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("mode", ["step", "published"])
@pytest.mark.parametrize("kind", ["mixture", "ensemble"])
@pytest.mark.parametrize("resample", ["bootstrap", "split", None])
def test_shortcut_equals_the_direct_route(decimals, mode, kind, resample):
    """C1: exactly where only ranks count, for values that are tied but for rounding too, on whatever processor."""
    gaps = made_gaps(decimals=decimals, seed=decimals)
    found = rs.trimming(
        gaps[:5], gaps[5:], reference=kind, resample=resample, replicates=12, mode=mode, threshold=0.11, seed=3
    )
    draws = draw_examples(61, resample, 12, None, np.random.default_rng(3))
    direct = written_out(gaps[:5], gaps[5:], kind, draws, mode, 0.11)
    np.testing.assert_allclose(found.levels, direct, rtol=0, atol=0 if mode == "step" else 1e-12)
    assert np.unique(direct).size > 2


def test_halves():
    for own, other in draw_examples(61, "split", 20, None, np.random.default_rng(0)):
        assert (len(own), len(other)) == (30, 31)
        assert sorted([*own, *other]) == list(range(61))
    for own, other in draw_examples(61, "bootstrap", 20, None, np.random.default_rng(0)):
        assert (len(own), len(other)) == (30, 31)
    found = rs.trimming(made_gaps(), resample="split", replicates=2)
    assert (found.n, found.m) == (30, 31)


def test_result_does_not_depend_on_blocks_threads_or_order(monkeypatch):
    gaps = made_gaps(runs=12)
    plain = rs.trimming(gaps[:6], gaps[6:], replicates=7)
    assert np.array_equal(rs.trimming(gaps[:6], gaps[6:], replicates=7, workers=1).levels, plain.levels)
    turned = rs.trimming(gaps[:6][::-1], gaps[6:][::-1], replicates=7)
    assert np.array_equal(turned.levels[:, ::-1], plain.levels)
    monkeypatch.setattr("runspread.methods.trimming.resampling.TABLE_BYTES", 5000)
    monkeypatch.setattr("runspread.methods.trimming.nodes.CHUNK_VALUES", 100)
    assert np.array_equal(rs.trimming(gaps[:6], gaps[6:], replicates=7).levels, plain.levels)


class MadeOutputs:
    """Outputs of many runs of which one exists at a time."""

    labels, excluded = None, ()

    def __init__(self, runs, examples, start=0):
        self.shape, self.start = (runs, examples, 3), start
        self.run_ids = tuple(f"run {start + run}" for run in range(runs))

    def chunks(self, max_bytes=0):
        for run in range(self.start, self.start + self.shape[0]):
            rng = np.random.default_rng(run)
            yield rng.normal(rng.normal(), 1, size=(1, *self.shape[1:]))


def test_candidates_are_held_a_block_at_a_time(monkeypatch):
    candidates, references = MadeOutputs(1500, 400), MadeOutputs(20, 400, start=1500)
    whole = rs.trimming(candidates, references, resample="split", replicates=1)
    monkeypatch.setattr("runspread.methods.trimming.resampling.TABLE_BYTES", 2**20)
    monkeypatch.setattr("runspread._reading.scalars._KEPT", 2**20)
    tracemalloc.start()
    try:
        blocked = rs.trimming(candidates, references, resample="split", replicates=1, workers=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert blocked.class_levels is not None
    assert np.array_equal(blocked.class_levels, whole.class_levels)
    assert peak < 0.5 * 8 * np.prod(candidates.shape)


def test_seed_decides_the_draws():
    gaps = made_gaps()
    one, again, other = (rs.trimming(gaps, seed=seed, replicates=5).levels for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_without_references_the_halves_serve_each_other():
    gaps = made_gaps(runs=9)
    whole = rs.trimming(gaps, replicates=6)
    assert np.array_equal(whole.levels[:, :5], rs.trimming(gaps[:5], gaps[5:], replicates=6).levels)
    assert np.array_equal(whole.levels[:, 5:], rs.trimming(gaps[5:], gaps[:5], replicates=6).levels)
    assert whole.n_references.tolist() == [4] * 5 + [5] * 4


def test_sampled_reference_is_a_noisy_mixture():
    gaps = made_gaps(runs=8, examples=400)
    sampled = rs.trimming(gaps[:4], gaps[4:], reference="sampled", replicates=200, resample="split")
    mixture = rs.trimming(gaps[:4], gaps[4:], reference="mixture", replicates=200, resample="split")
    assert not np.array_equal(sampled.levels, mixture.levels)
    assert np.abs(sampled.mean - mixture.mean).max() < 0.03
    assert np.array_equal(
        sampled.levels, rs.trimming(gaps[:4], gaps[4:], reference="sampled", replicates=200, resample="split").levels
    )


def test_single_reference():
    gaps = made_gaps()
    found = rs.trimming(gaps[:3], gaps[3:4], reference="single", resample=None)
    assert found.levels[0].tolist() == trimming_level(gaps[3], gaps[:3]).tolist()
    with pytest.raises(InputError, match="exactly one"):
        rs.trimming(gaps[:3], gaps[3:], reference="single")


# --- more than two classes -------------------------------------------------------------------------------------------


def test_classes_are_tested_one_by_one_at_their_share_of_epsilon():
    logits = np.random.default_rng(2).normal(size=(8, 90, 3)) * np.linspace(0.3, 3, 8)[:, None, None]
    found = rs.trimming(logits[:4], logits[4:], resample="split", replicates=4, epsilon=0.06)
    values = margins(logits)
    for k in range(3):
        one = rs.trimming(values[:4, :, k], values[4:, :, k], resample="split", replicates=4, epsilon=0.02)
        assert np.array_equal(found.class_levels[k], one.levels)
    assert np.array_equal(found.levels, found.class_levels.max(0))
    assert found.settings.margin == "one-vs-rest"


def test_ensemble_averages_the_logits_first():
    logits = np.random.default_rng(3).normal(size=(6, 90, 3)) * 3
    found = rs.trimming(logits[:3], logits[3:], reference="ensemble", resample=None)
    mean = margins(logits[3:].mean(0))
    assert found.class_levels is not None
    for k in range(3):
        expected = trimming_level(mean[:, k], margins(logits[:3])[..., k], epsilon=0.01 / 3)
        assert np.array_equal(found.class_levels[k, 0], expected)


def test_binary_one_vs_rest_gives_the_level_of_the_gap_for_both_classes():
    logits = np.random.default_rng(4).normal(size=(6, 90, 2)) * np.linspace(0.3, 3, 6)[:, None, None]
    both = rs.trimming(logits, margin="one-vs-rest", resample="split", threshold=0.1, replicates=5)
    gap = rs.trimming(logits, resample="split", threshold=0.1, replicates=5)
    assert gap.settings.margin == "gap"
    np.testing.assert_allclose(both.class_levels, [gap.levels] * 2, atol=1e-12)


@pytest.mark.parametrize("margin", ["top-two", "true-class", "pairwise"])
def test_other_margins(margin):
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(size=(6, 90, 3)) * 2, rng.integers(3, size=90)
    extra = {"classes": (0, 2)} if margin == "pairwise" else {}
    found = rs.trimming(logits, margin=margin, labels=labels, resample="split", replicates=3, **extra)
    values = margins(logits, margin, labels=labels, **extra)
    assert np.array_equal(found.levels, rs.trimming(values, resample="split", replicates=3).levels)


def test_clip_saturates():
    gaps = made_gaps() * 4
    clipped = rs.trimming(gaps, clip=(-2, 2), replicates=4)
    assert np.array_equal(clipped.levels, rs.trimming(np.clip(gaps, -2, 2), replicates=4).levels)


# --- the result ------------------------------------------------------------------------------------------------------


def test_summary_of_the_replicates():
    gaps = made_gaps(examples=200)
    gaps[0] /= 50  # so narrow that no trimming helps
    found = rs.trimming(gaps[:5], gaps[5:], replicates=40)
    levels = found.levels
    assert np.isinf(levels[:, 0]).all()
    assert found.median[0] == found.upper[0] == math.inf
    assert found.mean == pytest.approx(np.where(levels >= 0.5, 0.5, levels).mean(0))
    assert found.censored == pytest.approx((levels >= 0.5).mean(0))
    assert found.rejected == pytest.approx((levels > 0).mean(0))
    ordered = np.sort(levels, axis=0)
    assert (found.lower.tolist(), found.upper.tolist()) == (ordered[1].tolist(), ordered[37].tolist())
    assert found.median.tolist() == ordered[19].tolist()
    assert found.grid_mean == pytest.approx(found.grid_levels.mean(0))
    assert (found.grid_levels >= np.minimum(levels, 0.5) - 1e-12).all()
    assert not np.isnan(found.levels).any()


def test_result_shows_itself():
    gaps = made_gaps(runs=30, examples=400)
    found = rs.trimming(gaps, replicates=9)
    table = found.table()
    assert len(table) == 30
    assert table["mean level"] == sorted(table["mean level"], reverse=True)
    count = int(found.atypical.sum())
    assert 0 < count < 30
    assert found.sentence().startswith(f"{count} of 30 runs are distinguishable from the mixture")
    assert "n = 200, m = 200" in found.sentence()
    assert "not individual examples" in found.sentence()
    plain = json.loads(found.to_json())
    settings = ("margin", "reference", "resample", "mode", "threshold", "epsilon", "n", "m", "cap")
    assert [plain[name] for name in settings] == ["gap", "mixture", "bootstrap", "step", "dkw", 0.01, 200, 200, 0.5]
    assert found.warnings == ()


def test_rigorous_threshold_grows_with_the_level():
    found = rs.trimming(made_gaps(), threshold="rigorous", replicates=4)
    assert found.delta[1] > 0
    assert np.isfinite(found.levels).all()
    assert "rigorous" in found.sentence()


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_diverged_runs_are_excluded_and_named():
    gaps = made_gaps()
    broken = gaps.copy()
    broken[2, 5] = math.nan
    found = rs.trimming(broken[:5], gaps[5:], replicates=3)
    assert [(e.run, e.reason) for e in found.excluded] == [("run 2", "NaN outputs on 1 of 61 examples")]
    assert found.run_ids == ("run 0", "run 1", "run 3", "run 4")
    assert np.array_equal(found.levels, rs.trimming(gaps[[0, 1, 3, 4]], gaps[5:], replicates=3).levels)
    with pytest.raises(InputError, match="no run has usable outputs"):
        rs.trimming(broken[2:3], gaps[5:])


def test_excluded_runs_stay_out_of_the_ensemble():
    logits = np.random.default_rng(6).normal(size=(7, 40, 2))
    broken = logits.copy()
    broken[5, 0, 0] = math.nan
    found = rs.trimming(broken[:3], broken[3:], reference="ensemble", replicates=3)
    expected = rs.trimming(logits[:3], logits[[3, 4, 6]], reference="ensemble", replicates=3)
    assert np.array_equal(found.levels, expected.levels)
    assert [e.run for e in found.excluded] == ["run 2"]


def test_reservations_are_told():
    gaps = made_gaps(runs=30)
    assert "only 4 runs" in rs.trimming(gaps[:5], gaps[5:9], replicates=2).warnings[0]
    assert "2 candidates have exactly the outputs" in rs.trimming(gaps[:5], gaps[3:], replicates=2).warnings[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": "mixtur"}, "Did you mean 'mixture'"),
        ({"resample": "bootstraps"}, "Did you mean 'bootstrap'"),
        ({"mode": "exact"}, "unknown mode"),
        ({"margin": "gaps"}, "Did you mean 'gap'"),
        ({"replicates": 0}, "0 replicates"),
        ({"replicates": 2.5}, "2.5 replicates"),
        ({"workers": -1}, "workers is -1"),
        ({"epsilon": 0}, "between 0 and 1"),
        ({"indices": [[0, 61]]}, "out of range"),
        ({"indices": [0, 1]}, "indices of shape"),
        ({"indices": [[0]]}, "at least two"),
    ],
)
def test_impossible_settings_are_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        rs.trimming(made_gaps(), **arguments)


def test_impossible_outputs_are_errors():
    gaps = made_gaps()
    with pytest.raises(InputError, match="at least two, or references"):
        rs.trimming(gaps[:1])
    with pytest.raises(InputError, match="the same examples"):
        rs.trimming(gaps[:4], gaps[4:, 1:])
    with pytest.raises(InputError, match="predicted classes"):
        rs.trimming((gaps > 0).astype(int))
    gaps[0, 0] = math.inf
    for mode in ("step", "published"):
        found = rs.trimming(gaps, replicates=2, mode=mode)
        assert found.excluded == (Excluded("run 0", "infinite outputs on 1 of 61 examples"),)


def test_an_unknown_setting_names_the_nearest_that_the_verb_takes():
    gaps = made_gaps()
    for call, near in (
        (lambda: rs.trimming(gaps, eps=0.1), "epsilon"),  # one that is named
        (lambda: rs.trimming(gaps, margins="gap"), "margin"),  # one of the settings
        (lambda: rs.representative_size(gaps, tolerence=0.1), "tolerance"),
        (lambda: rs.same(gaps, gaps, permutation=9), "permutations"),
        (lambda: rs.methods.trimming.trimmed_examples(gaps, level=None), "levels"),
    ):
        with pytest.raises(InputError, match=f"Did you mean '{near}'"):
            call()
    with pytest.raises(InputError, match="unknown trimmed_examples keyword 'workers'"):
        rs.methods.trimming.trimmed_examples(gaps, workers=2)


def test_plan_draws_each_replicate_alone():
    gaps = made_gaps(runs=6)
    draws = draw_examples(61, "bootstrap", 4, None, np.random.default_rng(0))
    whole = resampled_levels([gaps[:3]], Pool(gaps[3:]), ResamplingPlan(draws, (0.1, 0.0), "step"), workers=2)
    parts = [
        resampled_levels([gaps[:3]], Pool(gaps[3:]), ResamplingPlan([draw], (0.1, 0.0), "step"), workers=1)
        for draw in draws
    ]
    assert np.array_equal(whole, np.concatenate(parts))


def test_copies_are_told():
    gaps = made_gaps(runs=30)
    gaps[15:20] = gaps[:5]
    assert "5 runs have exactly the outputs of another" in rs.trimming(gaps, replicates=2).warnings[-1]


def test_copies_in_the_reference_count_once():
    gaps = made_gaps(runs=40)
    gaps[21:] = gaps[20]
    notes = rs.trimming(gaps[:20], gaps[20:], replicates=2).warnings
    assert notes[0] == "The reference is made of only 1 run: it is itself uncertain."
    assert "19 reference runs have exactly the outputs of another" in notes[1]


@pytest.mark.parametrize(("classes", "kind"), [(2, None), (3, None), (3, "top-two")])
def test_runs_without_a_margin_are_named_and_out(classes, kind):
    logits = np.random.default_rng(0).normal(size=(12, 80, classes))
    plain = rs.trimming(np.delete(logits, 3, axis=0), margin=kind, replicates=3)
    logits[3, [5, 6]] = np.inf
    found = rs.trimming(logits, margin=kind, replicates=3)
    assert [(item.run, item.reason.split(" on ")[1]) for item in found.excluded] == [("run 3", "2 of 80 examples")]
    assert np.array_equal(found.levels, plain.levels)


def test_masks_are_outputs_and_positive_infinities_are_not():
    """A logit of minus infinity beside a finite one is a mask; an ensemble is infinite where a member is."""
    logits = np.random.default_rng(0).normal(size=(12, 80, 2))
    finite = rs.trimming(logits[:6], logits[6:], reference="ensemble", resample=None)
    logits[0, 0, 0] = -np.inf
    found = rs.representative_size(logits, sizes=[1, 6], replicates=80)
    assert not found.excluded
    assert np.isfinite(found.distances).all()
    again = rs.trimming(logits[:6], logits[6:], reference="ensemble", resample=None)
    assert np.array_equal(again.levels[:, 1:], finite.levels[:, 1:])
    with pytest.raises(InputError, match="infinite outputs"):
        rs.trimming(logits, replicates=2, mode="published")
    logits[1, 0, 1] = np.inf
    assert [item.run for item in rs.representative_size(logits, sizes=[1, 5], replicates=80).excluded] == ["run 1"]


def test_other_classes_are_refused():
    rng = np.random.default_rng(0)
    for call in (rs.trimming, rs.same):
        with pytest.raises(InputError, match=r"3 .*10"):
            call(rng.normal(size=(9, 50, 3)), rng.normal(size=(9, 50, 10)), margin="top-two")


def test_result_carries_its_settings():
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(size=(6, 90, 3)), rng.integers(3, size=90)
    found = rs.trimming(logits, margin="pairwise", labels=labels, classes=(0, 2), clip=(-1, 1), seed=7, replicates=2)
    assert (found.settings.classes, found.settings.clip, found.settings.seed) == ((0, 2), (-1, 1), 7)


def test_one_logit_with_labels():
    gaps, labels = made_gaps(), np.arange(made_gaps().shape[1]) % 2
    plain = rs.trimming(gaps, replicates=3).levels
    for outputs in (gaps, gaps[..., None]):
        assert np.array_equal(rs.trimming(outputs, labels=labels, replicates=3).levels, plain)
    two = np.stack([np.zeros_like(gaps), gaps], -1)
    one, both = (trimming_scores(each, labels, resamples=20) for each in (gaps[..., None], two))
    assert one.values == pytest.approx(both.values, abs=1e-12)
    assert trimmed_examples(gaps[..., None], labels=labels).labels is not None
    same = rs.same(gaps[..., None], gaps[..., None] + 1, labels=labels, permutations=99)
    assert same.old.accuracy == pytest.approx(((gaps > 0) == labels).mean())
    with pytest.raises(InputError, match="out of range"):
        rs.trimming(gaps[..., None], labels=labels + 1)


@pytest.mark.parametrize("epsilon", [0, 1, 2, -1])
def test_the_significance_is_checked_before_classes_share_it(epsilon):
    logits = np.random.default_rng(0).normal(size=(8, 60, 10))
    calls = (
        lambda: rs.trimming(logits, epsilon=epsilon, replicates=2),
        lambda: rs.same(logits, logits, epsilon=epsilon, threshold="dkw"),
        lambda: rs.representative_size(logits, epsilon=epsilon, replicates=2),
    )
    for call in calls:
        with pytest.raises(InputError, match=f"epsilon {epsilon}. Expected a number between 0 and 1"):
            call()


@pytest.mark.parametrize("settings", [{}, {"resample": "split"}, {"reference": "sampled"}, {"reference": "ensemble"}])
def test_compiled_loops_give_the_same_levels(monkeypatch, settings):
    pytest.importorskip("numba")
    rng = np.random.default_rng(4)
    logits = np.round(rng.normal(size=(8, 60, 3)) + rng.normal(size=(8, 1, 3)), 1)  # with ties, and runs that differ
    found = []
    for least in (0, 10**12):
        monkeypatch.setattr(resampling, "COMPILE_FROM", least)
        found.append(rs.trimming(logits, replicates=20, **settings).levels)
    np.testing.assert_array_equal(*found)
    assert (found[0] > 0).any()


def test_scalars_of_all_classes_are_made_once_and_not_for_each_class(monkeypatch):
    """A thousand classes took a thousand times those of one: the report's section did not end."""
    from runspread._reading import scalars

    made = []
    kept = scalars.margins
    monkeypatch.setattr(scalars, "margins", lambda *a, **o: (made.append(1), kept(*a, **o))[1])
    outputs = np.random.default_rng(0).normal(size=(6, 30, 40)).astype("f4")
    found = rs.trimming(outputs, replicates=2)
    assert len(made) <= 3 * len(outputs)
    monkeypatch.setattr(scalars, "_KEPT", 0)
    again = rs.trimming(outputs, replicates=2)
    assert np.array_equal(found.class_levels, again.class_levels)
    assert len(made) > 40 * len(outputs)
