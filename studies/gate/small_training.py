"""A small training with seeds: a perceptron 196-32-10 on 1,000 images of MNIST, with options that help or harm.

In NumPy, some hundredths of a second per run, so that thousands of fresh runs can say what is true.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

import runspread as rs


@dataclass(frozen=True)
class Images:
    """Images [examples, 196] with labels, to train and to test on."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @classmethod
    def load(cls, data: str, train: int = 1000, test: int = 2000) -> Images:
        """Read the first examples of both splits, averaged to 14 x 14 pixels."""
        recipe = rs.recipe("mnist-mlp-small", data=data)
        parts = [rs.training.load_split(recipe, split) for split in ("train", "test")]
        (x, y), (x_test, y_test) = parts
        small = [array.reshape(len(array), -1)[:n] / 255.0 for array, n in ((x, train), (x_test, test))]
        return cls(small[0], y[:train], small[1], y_test[:test])


@dataclass(frozen=True)
class Options:
    """How to train; the defaults are the recipe.

    Attributes
    ----------
    wrong_labels : float
        Share of training labels that are off by one.
    share : float
        Of the training examples.
    decay_until : float
        Share of training at which the linearly decaying rate is 0; 0: no decay.
    test_scale : float
        Factor of the test inputs.
    """

    width: int = 32
    lr: float = 0.1
    momentum: float = 0.9
    epochs: int = 4
    batch: int = 50
    l2: float = 5e-4
    init: float = 1.0
    dropout: float = 0.0
    dropout_at_test: bool = False
    zero_gradients: bool = True
    freeze_first: bool = False
    shuffle: bool = True
    decay_until: float = 1.0
    wrong_labels: float = 0.0
    share: float = 1.0
    test_scale: float = 1.0

    def but(self, **changes: object) -> Options:
        """Return other options."""
        return replace(self, **changes)


def train(images: Images, options: Options, seed: int) -> tuple[float, float, np.ndarray]:
    """Return test loss, test accuracy and predicted classes [examples] of one run."""
    rng = np.random.default_rng(seed)
    x, y = images.x, images.y.copy()
    wrong = rng.random(len(y)) < options.wrong_labels
    y[wrong] = (y[wrong] + 1) % 10
    kept = round(options.share * len(y))
    x, y = x[:kept], y[:kept]
    sizes = (x.shape[1], options.width, 10)
    weights = [options.init * rng.normal(size=pair) * np.sqrt(2 / pair[0]) for pair in pairwise(sizes)]
    biases = [np.zeros(size) for size in sizes[1:]]
    speed = [np.zeros_like(array) for array in (*weights, *biases)]
    held = [np.zeros_like(array) for array in (*weights, *biases)]
    steps, step = options.epochs * -(-len(y) // options.batch), 0
    for _ in range(options.epochs):
        order = rng.permutation(len(y)) if options.shuffle else np.arange(len(y))
        for at in range(0, len(y), options.batch):
            rows = order[at : at + options.batch]
            gradients = _gradients(x[rows], y[rows], weights, biases, options, rng)
            if not options.zero_gradients:
                held = gradients = [old + new for old, new in zip(held, gradients, strict=True)]
            left = 1 - step / steps / options.decay_until if options.decay_until else 1.0
            rate = options.lr * max(left, 0.0)
            step += 1
            for k, (array, gradient) in enumerate(zip((*weights, *biases), gradients, strict=True)):
                if options.freeze_first and k in (0, 2):
                    continue
                decay = options.l2 * array if k < 2 else 0.0
                speed[k] = options.momentum * speed[k] - rate * (gradient + decay)
                array += speed[k]
    return _tested(images, weights, biases, options, rng)


def _gradients(
    x: np.ndarray, y: np.ndarray, weights: list, biases: list, options: Options, rng: np.random.Generator
) -> list[np.ndarray]:
    hidden = np.maximum(x @ weights[0] + biases[0], 0)
    mask = (rng.random(hidden.shape) >= options.dropout) / (1 - options.dropout) if options.dropout else 1.0
    hidden = hidden * mask
    errors = _softmax(hidden @ weights[1] + biases[1])
    errors[np.arange(len(y)), y] -= 1
    errors /= len(y)
    back = (errors @ weights[1].T) * (hidden > 0) * mask
    return [x.T @ back, hidden.T @ errors, back.sum(0), errors.sum(0)]


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(np.clip(logits - logits.max(1, keepdims=True), -700, 0))
    return shifted / shifted.sum(1, keepdims=True)


def _tested(
    images: Images, weights: list, biases: list, options: Options, rng: np.random.Generator
) -> tuple[float, float, np.ndarray]:
    hidden = np.maximum(options.test_scale * images.x_test @ weights[0] + biases[0], 0)
    if options.dropout_at_test:
        hidden = hidden * (rng.random(hidden.shape) >= 0.5) * 2
    chances = _softmax(hidden @ weights[1] + biases[1])
    right = chances[np.arange(len(images.y_test)), images.y_test]
    predicted = chances.argmax(1)
    return float(-np.log(np.maximum(right, 1e-12)).mean()), float((predicted == images.y_test).mean()), predicted
