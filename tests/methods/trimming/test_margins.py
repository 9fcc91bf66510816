"""Scalar outputs of classifiers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from runspread.errors import InputError
from runspread.methods.trimming import clip_gaps, logit_gap, margins

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(3, 20, 5)) * 4
LABELS = RNG.integers(5, size=20)


def test_logit_gap():
    binary = LOGITS[..., :2]
    assert np.array_equal(logit_gap(binary), binary[..., 1] - binary[..., 0])
    assert np.array_equal(logit_gap(LOGITS[..., :1]), LOGITS[..., 0])
    assert np.array_equal(margins(binary, "gap"), logit_gap(binary))


def test_share_below_zero_is_the_share_of_class_zero():
    binary = LOGITS[0, :, :2]
    assert (logit_gap(binary) < 0).mean() == (binary.argmax(-1) == 0).mean()


def test_one_vs_rest_is_the_log_odds():
    found = margins(LOGITS)
    for k in range(5):
        rest = logsumexp(np.delete(LOGITS, k, axis=-1), axis=-1)
        np.testing.assert_allclose(found[..., k], LOGITS[..., k] - rest, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-3, 50, 1e4])
def test_one_vs_rest_is_stable(scale):
    found = margins(LOGITS * scale)
    assert np.isfinite(found).all()
    best = found.max(-1)
    top = np.partition(LOGITS * scale, -2, axis=-1)
    assert (best <= top[..., -1] - top[..., -2] + 1e-9).all()
    assert (best >= top[..., -1] - top[..., -2] - math.log(4) - 1e-9).all()


def test_two_classes_reduce_to_the_gap():
    binary = LOGITS[..., :2]
    one_vs_rest = margins(binary)
    assert np.array_equal(one_vs_rest[..., 1], logit_gap(binary))
    assert np.array_equal(one_vs_rest[..., 0], -logit_gap(binary))
    assert np.array_equal(margins(binary, "top-two"), np.abs(logit_gap(binary)))
    labels = np.arange(20) % 2
    signed = np.where(labels == 1, logit_gap(binary), -logit_gap(binary))
    assert np.array_equal(margins(binary, "true-class", labels=labels), signed)
    assert np.array_equal(margins(binary, "pairwise", labels=labels, classes=(0, 1)), logit_gap(binary))


def test_true_class_margin_is_negative_on_errors():
    found = margins(LOGITS, "true-class", labels=LABELS)
    assert np.array_equal(found < 0, LOGITS.argmax(-1) != LABELS)


def test_pairwise_keeps_the_examples_of_two_classes():
    found = margins(LOGITS, "pairwise", labels=LABELS, classes=(3, 1))
    chosen = np.isin(LABELS, [1, 3])
    assert np.array_equal(found, LOGITS[:, chosen, 1] - LOGITS[:, chosen, 3])


def test_infinite_logits():
    assert logit_gap([[-math.inf, 1.0]]).tolist() == [math.inf]
    with pytest.raises(InputError, match="two infinite logits"):
        logit_gap([[math.inf, math.inf]])
    with pytest.raises(InputError, match="infinite logits"):
        margins([[-math.inf, 1.0]])
    assert np.isfinite(margins([[-math.inf, 1.0, 2.0]])[..., 1:]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"logits": LOGITS, "kind": "gap"}, "5 classes"),
        ({"logits": LOGITS[..., :1]}, "one class"),
        ({"logits": LOGITS, "kind": "one-vs-all"}, "Did you mean 'one-vs-rest'"),
        ({"logits": LOGITS, "kind": "true-class"}, "needs labels"),
        ({"logits": LOGITS, "kind": "true-class", "labels": LABELS[1:]}, "19 labels for 20"),
        ({"logits": LOGITS, "kind": "true-class", "labels": LABELS + 1}, "out of range"),
        ({"logits": LOGITS, "kind": "pairwise", "labels": LABELS}, "classes is None"),
        ({"logits": LOGITS, "kind": "pairwise", "labels": LABELS, "classes": (0, 7)}, "two of 0 to 4"),
        ({"logits": LOGITS, "kind": "pairwise", "labels": LABELS, "classes": (1, 1)}, "no examples to compare"),
        ({"logits": LOGITS * math.nan}, "NaN"),
        ({"logits": [1.0, 2.0]}, "shape"),
        ({"logits": np.empty((0, 3))}, "not empty"),
    ],
)
def test_impossible_margins_are_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        margins(**arguments)


def test_clipping():
    gaps = np.array([[3.0, -20.0, 15.0, 1.0]])
    assert clip_gaps(gaps).tolist() == [[3, -15, 15, 1]]
    assert clip_gaps(gaps, kind="published").tolist() == [[0, 1, 3, 0]]
    with pytest.raises(InputError, match="a lower and a higher"):
        clip_gaps(gaps, (1, 1))
