"""Forty small networks learn sparse parity: the paper's own setting (Hu et al. 2023), in NumPy, all runs side by side.

Inputs are uniform in {-1, 1}^40, the label is the product of the first three; one hidden layer of 128 ReLU units, hinge
loss, SGD with learning rate 0.1 and weight decay 0.01, batches of 32 out of 1000 examples; metrics every second epoch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runspread.methods.dynamics.metrics_of_weights import WEIGHT_METRICS, weight_metrics

CACHE = Path(__file__).parent / ".cache"
INPUTS, BITS, HIDDEN, TRAIN, TEST, BATCH = 40, 3, 128, 1000, 100, 32


def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
    x = rng.choice([-1.0, 1.0], size=(TRAIN + TEST, INPUTS)).astype(np.float32)
    bounds = np.sqrt(6 / (INPUTS + HIDDEN)), np.sqrt(6 / (HIDDEN + 1))
    return {
        "x": x,
        "y": np.prod(x[:, :BITS], axis=1),
        "w1": rng.uniform(-bounds[0], bounds[0], (INPUTS, HIDDEN)).astype(np.float32),
        "w2": rng.uniform(-bounds[1], bounds[1], (HIDDEN, 1)).astype(np.float32),
    }


def train(runs: int, epochs: int, every: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return metrics [runs, checkpoints, 14] and test accuracy [runs, checkpoints]."""
    rngs = [np.random.default_rng([seed, run]) for run in range(runs)]
    drawn = [draw(rng) for rng in rngs]
    x, y, w1, w2 = (np.stack([d[name] for d in drawn]) for name in ("x", "y", "w1", "w2"))
    b1, b2 = np.zeros((runs, 1, HIDDEN), np.float32), np.zeros((runs, 1, 1), np.float32)
    metrics, accuracy = [], []
    rows = np.arange(runs)[:, None]
    for epoch in range(1, epochs + 1):
        order = np.stack([rng.permutation(TRAIN) for rng in rngs])
        for first in range(0, TRAIN, BATCH):
            batch = order[:, first : first + BATCH]
            xb, yb = x[rows, batch], y[rows, batch][..., None]
            hidden = np.maximum(xb @ w1 + b1, 0)
            out = -(yb * ((1 - yb * (hidden @ w2 + b2)) > 0)) / batch.shape[1]
            back = (out @ np.swapaxes(w2, 1, 2)) * (hidden > 0)
            steps = (np.swapaxes(xb, 1, 2) @ back, back.sum(1, keepdims=True))
            steps += (np.swapaxes(hidden, 1, 2) @ out, out.sum(1, keepdims=True))
            for parameter, gradient in zip((w1, b1, w2, b2), steps, strict=True):
                parameter -= 0.1 * (gradient + 0.01 * parameter)
        if epoch % every == 0:
            test = np.maximum(x[:, TRAIN:] @ w1 + b1, 0) @ w2 + b2
            accuracy.append((np.sign(test[..., 0]) == y[:, TRAIN:]).mean(axis=1))
            weights = {"W1": np.swapaxes(w1, 1, 2), "b1": b1[:, 0], "W2": np.swapaxes(w2, 1, 2), "b2": b2[:, 0]}
            measured = weight_metrics(weights, stacked=True)
            metrics.append(np.stack([measured[name] for name in WEIGHT_METRICS], axis=1))
    return np.stack(metrics, axis=1), np.stack(accuracy, axis=1)


def parity_runs(runs: int = 40, epochs: int = 1000, every: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Train, or read what an earlier call has trained."""
    path = CACHE / f"parity-{runs}-{epochs}-{every}.npz"
    if not path.is_file():
        CACHE.mkdir(exist_ok=True)
        print(f"training {runs} parity networks for {epochs} epochs (once) ...", flush=True)
        metrics, accuracy = train(runs, epochs, every)
        np.savez(path, metrics=metrics, accuracy=accuracy)
    with np.load(path) as saved:
        return saved["metrics"], saved["accuracy"]
