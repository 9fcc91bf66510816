"""Corruptions against Pillow, SciPy and closed forms; the benchmark; detection of inputs from elsewhere."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn import metrics

import runspread as rs
from runspread.errors import InputError
from runspread.methods.ensembles import corrupt, corruption_benchmark, corruption_names, ood_detection
from runspread.methods.ensembles.corruptions import geometry


def pictures(n=6, side=32, channels=3, seed=0):
    """Smooth random images with edges, uint8."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((n, channels, side, side)), (0, 0, 3, 3))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    smooth[:, :, side // 4 : side // 2, side // 3 :] *= 0.4
    return (smooth * 255).astype(np.uint8)


IMAGES = pictures()


@pytest.mark.parametrize("name", corruption_names())
@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 28)])
def test_every_corruption(name, channels, side):
    images = pictures(4, side, channels)
    for severity in (1, 5):
        found = corrupt(images, name, severity)
        assert found.dtype == np.uint8
        assert found.shape == images.shape
        assert not np.array_equal(found, images)
        np.testing.assert_array_equal(found, corrupt(images, name, severity))
        assert np.corrcoef(found.ravel(), images.ravel())[0, 1] > 0.2  # corrupted, not replaced


def test_there_are_fifteen():
    assert len(set(corruption_names())) == 15


MONOTONE = sorted(set(corruption_names()) - {"elastic_transform", "frost", "glass_blur", "pixelate"})


@pytest.mark.parametrize("name", MONOTONE)
def test_higher_severity_is_further_away(name):
    images = pictures(30)
    distance = [np.abs(corrupt(images, name, s).astype(float) - images).mean() for s in range(1, 6)]
    assert all(b > 0.8 * a for a, b in itertools.pairwise(distance))
    assert distance[4] > 1.2 * distance[0]


def test_seed_and_randomness():
    first = corrupt(IMAGES, "fog", 3, seed=1)
    assert not np.array_equal(first, corrupt(IMAGES, "fog", 3, seed=2))
    twins = np.repeat(IMAGES[:1], 2, axis=0)
    for name in ("snow", "frost", "fog", "elastic_transform", "glass_blur", "motion_blur"):
        one, two = corrupt(twins, name, 4)
        assert not np.array_equal(one, two)  # each image has its own draw


def test_noise_has_its_moments():
    grey = np.full((40, 3, 32, 32), 0.5)
    noisy = corrupt(grey, "gaussian_noise", 5) / 255
    assert noisy.std() == pytest.approx(0.10, rel=0.02)
    shot = corrupt(grey, "shot_noise", 5) / 255
    assert shot.std() == pytest.approx(np.sqrt(0.5 / 50), rel=0.03)  # Poisson with 25 photons
    salted = corrupt(grey, "impulse_noise", 5)
    assert (salted == 0).mean() == pytest.approx(0.035, rel=0.05)
    assert (salted == 255).mean() == pytest.approx(0.035, rel=0.05)


def test_contrast_and_brightness_by_hand():
    x = IMAGES.astype(np.float32) / 255
    mean = x.mean((2, 3), keepdims=True)
    expected = ((x - mean) * 0.4 + mean) * 255
    np.testing.assert_allclose(corrupt(IMAGES, "contrast", 3), np.floor(expected), atol=1)
    found = corrupt(IMAGES, "brightness", 4)
    for row, column in [(0, 0), (9, 15), (31, 31)]:
        h, s, v = colorsys.rgb_to_hsv(*x[0, :, row, column].tolist())
        rgb = np.array(colorsys.hsv_to_rgb(h, s, min(v + 0.2, 1.0))) * 255
        np.testing.assert_allclose(found[0, :, row, column], rgb, atol=1.01)
    assert (corrupt(np.zeros((1, 3, 4, 4)), "brightness", 1) == int(0.05 * 255)).all()


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_pixelate_is_pillow_box(severity):
    size = int(32 * (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1])
    found = corrupt(IMAGES, "pixelate", severity)
    for one, image in zip(found, IMAGES, strict=True):
        small = Image.fromarray(image.transpose(1, 2, 0)).resize((size, size), Image.Resampling.BOX)
        expected = np.asarray(small.resize((32, 32), Image.Resampling.BOX)).transpose(2, 0, 1)
        assert np.abs(one.astype(int) - expected).max() <= 2  # Pillow rounds twice to whole numbers


@pytest.mark.parametrize("factor", [1.03, 1.2, 1.75, 2.25])
def test_zoom_is_scipy_zoom(factor):
    x = IMAGES.astype(np.float32) / 255
    crop = int(np.ceil(32 / factor))
    top = (32 - crop) // 2
    window = x[0, 0, top : top + crop, top : top + crop]
    larger = ndimage.zoom(window, factor, order=1)
    trim = (len(larger) - 32) // 2
    np.testing.assert_allclose(geometry.zoom_in(x, factor)[0, 0], larger[trim : trim + 32, trim : trim + 32], atol=1e-5)


def test_sampling_is_scipy_map_coordinates():
    x = IMAGES.astype(np.float32) / 255
    rng = np.random.default_rng(0)
    rows, columns = rng.uniform(-5, 36, (2, len(x), 32, 32))
    expected = ndimage.map_coordinates(x[2, 1], [rows[2], columns[2]], order=1, mode="mirror")
    np.testing.assert_allclose(geometry.sample(x, rows, columns)[2, 1], expected, atol=1e-5)


def test_motion_blur_along_a_row_is_a_one_sided_filter():
    x = np.zeros((1, 1, 9, 21), np.float32)
    x[0, 0, 4, 15] = 1
    found = geometry.motion_blur(x, 3, 1.5, np.zeros(1))
    weights = np.exp(-(np.arange(7) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(found[0, 0, 4, 9:16], (weights / weights.sum())[::-1], atol=1e-3)
    assert np.count_nonzero(found.sum(3)) == 1


def test_plasma_spans_its_range():
    clouds = geometry.plasma(5, 32, 2.0, np.random.default_rng(0))
    np.testing.assert_allclose(clouds.min((1, 2)), 0)
    np.testing.assert_allclose(clouds.max((1, 2)), 1)
    assert clouds[0].std() > 0.05


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (IMAGES[0], "shape"),
        (IMAGES[:0], "shape"),
        (IMAGES.astype(float), "0 to 1"),
        (IMAGES[:, :2], "shape"),
    ],
)
def test_wrong_images(images, text):
    with pytest.raises(InputError, match=text):
        corrupt(images, "fog", 1)


def test_wrong_names():
    with pytest.raises(InputError, match="'snow'"):
        corrupt(IMAGES, "snwo", 1)
    with pytest.raises(InputError, match="severity"):
        corrupt(IMAGES, "snow", 6)


def by_brightness(images):
    """Three classes by mean brightness: a predictor that brightness misleads and noise does not."""
    level = images.mean((1, 2, 3)) / 255
    return -((level[:, None] - np.array([0.3, 0.5, 0.7])) ** 2) * 100


def test_benchmark():
    images = np.clip(pictures(30) * np.linspace(0.5, 1.5, 30)[:, None, None, None], 0, 255).astype(np.uint8)
    labels = by_brightness(images).argmax(1)
    names = ("gaussian_noise", "brightness")
    found = corruption_benchmark(
        {"by brightness": by_brightness, "uniform": lambda x: np.full((len(x), 3), 1 / 3)},
        images,
        labels,
        corruptions=names,
    )
    assert found.corrupted["nll"].shape == (2, 2, 5)
    assert found.clean["accuracy"][0] == 1
    expected = rs.ensemble_scores(by_brightness(corrupt(images, "brightness", 4))[None], labels)
    assert found.corrupted["nll"][0, 1, 3] == expected.nll
    assert found.corrupted["accuracy"][0, 0, 0] > found.corrupted["accuracy"][0, 1, 4]
    np.testing.assert_allclose(found.corrupted["nll"][1], np.log(3))
    assert found.mean("nll")[0] == pytest.approx(found.corrupted["nll"][0].mean())
    assert len(found.table()) == 12
    assert "not the mCE" in found.sentence()


def test_benchmark_of_wrong_things():
    labels = np.zeros(6, int)
    with pytest.raises(InputError, match="one label per image"):
        corruption_benchmark(by_brightness, IMAGES, labels[:3])
    with pytest.raises(InputError, match="functions"):
        corruption_benchmark({"x": 3}, IMAGES, labels)
    with pytest.raises(InputError, match="at least one"):
        corruption_benchmark(by_brightness, IMAGES, labels, corruptions=())


def confident(seed, n, scale):
    logits = np.random.default_rng(seed).normal(0, scale, (n, 4))
    e = np.exp(logits)
    return np.round(e / e.sum(1, keepdims=True), 2) + 1e-12  # rounded: ties


@pytest.mark.parametrize("confidence", ["max_probability", "negative_entropy"])
def test_outside_detection_against_scikit_learn(confidence):
    inside, outside = confident(0, 211, 3.0), confident(1, 173, 1.5)
    inside, outside = (p / p.sum(1, keepdims=True) for p in (inside, outside))
    found = ood_detection(inside[None], outside[None], confidence=confidence)
    both = np.concatenate([inside, outside])
    value = both.max(1) if confidence == "max_probability" else (both * np.log(both)).sum(1)
    truth = np.arange(len(both)) < 211
    assert found.auroc == pytest.approx(metrics.roc_auc_score(truth, value), abs=1e-12)
    fpr, tpr, _ = metrics.roc_curve(truth, value, drop_intermediate=False)
    assert found.fpr_at_95_tpr == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)
    assert found.auroc_low < found.auroc < found.auroc_high


def test_interval_of_the_auroc_covers():
    hits, rng = 0, np.random.default_rng(0)
    sigmoid = 1 / (1 + np.exp(-rng.normal(0, 1, (400, 2, 60)) - np.array([1.0, 0.0])[:, None]))
    for inside, outside in sigmoid / 2 + 0.5:  # two classes, so the confidence is this value
        found = ood_detection(*(np.stack([p, 1 - p], 1)[None] for p in (inside, outside)))
        hits += found.auroc_low <= 0.7602 <= found.auroc_high  # Phi(1 / sqrt 2)
    assert 0.92 < hits / 400 < 0.98


def test_perfect_separation_has_no_interval():
    sure, unsure = np.tile([0.9, 0.1], (5, 1)), np.tile([0.5, 0.5], (5, 1))
    found = ood_detection(sure[None], unsure[None])
    assert (found.auroc, found.fpr_at_95_tpr) == (1, 0)
    assert np.isnan(found.auroc_low)


def test_outside_detection_of_nothing():
    with pytest.raises(InputError, match="at least two"):
        ood_detection(confident(0, 1, 1.0)[None], confident(0, 5, 1.0)[None], kind="logits")


@pytest.mark.parametrize(("severity", "end"), [(1, 1.06), (2, 1.11), (3, 1.16), (4, 1.21), (5, 1.26)])
def test_zoom_blur_has_the_published_factors(severity, end):
    x = IMAGES.astype(np.float32) / 255
    factors = np.arange(1, end, 0.01)
    mean = (x + sum(geometry.zoom_in(x, factor) for factor in factors)) / (len(factors) + 1)
    found = corrupt(IMAGES, "zoom_blur", severity).astype(int)
    assert np.abs(found - (np.clip(mean, 0, 1) * 255).astype(np.uint8)).max() <= 1
    shorter = (x + sum(geometry.zoom_in(x, factor) for factor in factors[:-1])) / len(factors)
    assert np.abs(found - (np.clip(shorter, 0, 1) * 255).astype(np.uint8)).max() > 1
