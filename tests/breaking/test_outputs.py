"""Promise 11, and accuracy: that of what is stored is that of what was given, or the study says why not."""

from __future__ import annotations

import numpy as np
import pytest

import runspread as rs
from runspread.errors import RunspreadError

SCALES = (1e-30, 1e-8, 1e-4, 1.0, 30.0, 2e3, 6.6e4, 1e8, 1e30, 1e38)
OFFSETS = (0.0, 1.0, 2e3, 6e4, 1e7)


def odd_logits(seed):
    """Logits of odd scales and offsets, with ties, saturation, masks, infinities and NaN now and then."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 6))
    array = rng.normal(size=(40, classes)) * rng.choice(SCALES) + rng.choice(OFFSETS)
    kind = rng.integers(12)
    if kind == 0:
        array = np.round(array)  # ties
    elif kind == 1:
        array = 1 / (1 + np.exp(-np.clip(array, -700, 700)))  # saturated sigmoids
    elif kind == 2:
        array[rng.random(array.shape) < 0.2] = -np.inf  # masks
        array[:, 0] = np.where(np.isinf(array).all(1), 0, array[:, 0])
    elif kind == 3:
        array[3, 1] = np.inf
    elif kind == 4:
        array[5] = np.nan
    elif kind == 5:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32).astype(np.float64)
    return array, rng.integers(classes, size=40)


def usable(array):
    return not np.isnan(array).any() and not np.isposinf(array).any() and np.isfinite(array).any(1).all()


def check_outputs(folder, seeds):
    refused = excluded = 0
    for seed in seeds:
        array, labels = odd_logits(seed)
        study = rs.create_study(folder / str(seed), splits={"test": labels})
        try:
            with study.record(seeds=seed) as run:
                run.predictions("test", array, kind="logits")
        except RunspreadError as error:  # the study says why not, and keeps the run as a failed one
            named = "NaN" in str(error) and bool(np.isnan(array).any())
            refused += 1 if named else 1000
            continue
        (kept,) = rs.open_study(study.path).runs
        if not usable(array):
            assert kept.accuracy == {}, seed  # excluded: named by the reader, and never a normal run
            excluded += 1
            continue
        expected = float(np.mean(array.argmax(1) == labels))
        assert kept.accuracy == {"test": expected}, seed
        stored = rs.open_study(study.path).predictions("test").to_array()[0]
        assert float(np.mean(stored.argmax(1) == labels)) == expected, seed
    return refused, excluded


def test_some_logits_of_odd_scales_keep_their_accuracy(tmp_path):
    refused, excluded = check_outputs(tmp_path, range(40))
    assert 0 < refused < 40
    assert excluded > 0


@pytest.mark.slow
def test_a_thousand_logits_of_odd_scales_keep_their_accuracy(tmp_path, tally):
    refused, excluded = check_outputs(tmp_path, range(1000))
    assert refused + excluded < 200
    tally("logits of odd scales whose accuracy after recording is that before, or that are named", 1000, 0)


def test_infinite_outputs_are_excluded_and_named(tmp_path):
    labels = np.arange(40) % 4
    study = rs.create_study(tmp_path / "s", splits={"test": labels})
    for seed in range(4):
        array = np.random.default_rng(seed).normal(size=(40, 4))
        if seed == 3:
            array[2, 1] = np.inf
        with study.record(seeds=seed) as run:
            run.predictions("test", array)
    found = rs.variance(study)
    assert [item.run for item in found.excluded] == [study.runs.ids[3]]
    assert study.runs[3].accuracy == {}


def test_the_offset_and_the_scale_of_a_study_that_lost_accuracy(tmp_path):
    """Half precision made 0.675 into 0.620 (offset 2,000) and 0.2545 (scale 1e-8)."""
    rng = np.random.default_rng(1)
    labels = rng.integers(4, size=200)
    clean = rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[labels]
    right = float(np.mean(clean.argmax(1) == labels))
    for number, array in enumerate((clean + 2000, clean * 1e-8, clean + 60_000, clean * 1e6)):
        study = rs.create_study(tmp_path / str(number), splits={"test": labels})
        with study.record(seeds=0) as run:
            run.predictions("test", array)
        assert study.runs[0].accuracy == {"test": right}


def test_numbers_whose_squares_are_none_are_refused_in_words():
    """They ended in errors of SciPy and LAPACK."""
    for verb in (rs.summary, lambda runs: rs.compare(runs, [0.1, 0.2], metric="loss")):
        with pytest.raises(rs.errors.InputError, match="whose square is no number"):
            verb([2.5e307, 5e307, 7.5e307])
    with pytest.raises(rs.errors.InputError, match="whose squares are no numbers"):
        rs.spectra({"w": np.random.default_rng(0).normal(size=(60, 60)) * 1e300})
