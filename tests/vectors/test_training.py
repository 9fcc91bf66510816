"""The training floor against the vectors of the ensembles specification."""

from __future__ import annotations

import numpy as np
import pytest

from .loading import Vectors

torch = pytest.importorskip("torch")

from runspread.nn._schedules import schedule_factors  # noqa: E402
from runspread.training.losses import loss_of_one, loss_of_stack  # noqa: E402
from runspread.training.optimizers import Segment, StackOptimizer  # noqa: E402
from runspread.training.search import Distribution  # noqa: E402

VECTORS = Vectors("ensembles")
MOMENTUM = 0.9  # fixed by the specification
DROPS, BASE, FACTOR = (60, 120, 160), 0.1, 0.2


OPTIMISERS = pytest.mark.parametrize(
    ("key", "kind", "nesterov"),
    [("sgd", "sgd", False), ("nesterov", "sgd", True), ("adam", "adam", False), ("adamw", "adamw", False)],
)


def optimised(kind, nesterov, start, gradients, lr, decay):
    """Return what `start` [runs, parameters] becomes; `lr` and `decay` are [runs, 1], or [] where runs share them."""
    values = start.flatten().clone()
    latest = torch.zeros_like(values)
    decoupled = kind == "adamw"
    none = torch.zeros_like(decay)
    segment = Segment(0, start.shape[1], lr, decay if decoupled else none, none if decoupled else decay)
    options = {"nesterov": nesterov, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    momentum = torch.full_like(lr, MOMENTUM)
    optimizer = StackOptimizer(kind, values, latest, len(start), [segment], momentum=momentum, options=options)
    for gradient in gradients:
        latest.copy_(gradient.flatten())
        optimizer.step(1.0)
    return values.view(start.shape).numpy()


@OPTIMISERS
def test_optimiser_with_coefficients_of_every_run(key, kind, nesterov):
    lr, decay = (torch.from_numpy(VECTORS[name])[:, None] for name in ("opt_lr", "opt_wd"))
    start, gradients = (torch.from_numpy(VECTORS[name]) for name in ("opt_p0", "opt_grads"))
    found = optimised(kind, nesterov, start, gradients, lr, decay)
    np.testing.assert_allclose(found, VECTORS[f"opt_{key}"], rtol=1e-10, atol=1e-12)


@OPTIMISERS
def test_optimiser_with_coefficients_that_runs_share(key, kind, nesterov):
    start, gradients = (torch.from_numpy(VECTORS[name]) for name in ("opt_p0", "opt_grads"))
    for run, expected in enumerate(VECTORS[f"opt_{key}"]):
        lr, decay = (torch.tensor(VECTORS[name][run]) for name in ("opt_lr", "opt_wd"))
        twice = start[[run, run]], gradients[:, [run, run]]
        found = optimised(kind, nesterov, *twice, lr, decay)
        np.testing.assert_allclose(found, [expected, expected], rtol=1e-10, atol=1e-12)


def test_label_smoothing():
    logits, labels, smoothing = (torch.from_numpy(VECTORS[f"ls_{name}"]) for name in ("logits", "labels", "eps"))
    found = loss_of_stack("cross_entropy", logits.transpose(1, 2), labels, smoothing)
    np.testing.assert_allclose(found.loss.numpy(), VECTORS["ls_ce"], rtol=1e-10)
    for run, expected in enumerate(VECTORS["ls_ce"]):
        one = logits[run].clone().requires_grad_()
        loss = loss_of_one("cross_entropy", one, labels[run], smoothing[run])
        assert loss.item() == pytest.approx(expected, rel=1e-10)
        loss.backward()
        np.testing.assert_allclose(found.gradient[run].T.numpy(), one.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_schedule():
    steps, per_epoch = VECTORS["sched_steps"], int(VECTORS["sched_steps_per_epoch"])
    factors = schedule_factors("drops", int(steps.max()) + 1, per_epoch, warmup=1, drops=DROPS, factor=FACTOR)
    np.testing.assert_allclose(BASE * factors[steps], VECTORS["sched_lr"], rtol=1e-10, atol=1e-15)


def test_log_uniform_search():
    spaces = [
        Distribution("loguniform", (float(low), float(high)))
        for low, high in zip(VECTORS["search_lo"], VECTORS["search_hi"], strict=True)
    ]
    found = [[space.at(float(u)) for space, u in zip(spaces, row, strict=True)] for row in VECTORS["search_u"]]
    np.testing.assert_allclose(found, VECTORS["search_vals"], rtol=1e-10)


def test_every_key_of_these_groups_is_read():
    groups = ("opt_", "ls_", "sched_", "search_")
    assert not {key for key in VECTORS.unread() if key.startswith(groups)}
