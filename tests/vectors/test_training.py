"""The training floor against the vectors of the ensembles specification."""

from __future__ import annotations

import numpy as np
import pytest

from .loading import Vectors

torch = pytest.importorskip("torch")

from runspread._training.losses import loss_of_one, loss_of_stack  # noqa: E402
from runspread._training.optimizers import Segment, StackOptimizer  # noqa: E402
from runspread._training.schedules import schedule_factors  # noqa: E402
from runspread._training.search import Distribution  # noqa: E402

VECTORS = Vectors("ensembles")
MOMENTUM = 0.9  # fixed by the specification
DROPS, BASE, FACTOR = (60, 120, 160), 0.1, 0.2


@pytest.mark.parametrize(
    ("key", "kind", "nesterov"),
    [("sgd", "sgd", False), ("nesterov", "sgd", True), ("adam", "adam", False), ("adamw", "adamw", False)],
)
def test_optimiser(key, kind, nesterov):
    start = torch.from_numpy(VECTORS["opt_p0"])
    runs, size = start.shape
    values = start.flatten().clone()
    gradients = torch.zeros_like(values)
    lr, decay = (torch.from_numpy(VECTORS[name])[:, None] for name in ("opt_lr", "opt_wd"))
    decoupled = kind == "adamw"
    none = torch.zeros_like(decay)
    segment = Segment(0, size, lr, decay if decoupled else none, none if decoupled else decay)
    options = {"nesterov": nesterov, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    momentum = torch.full_like(lr, MOMENTUM)
    optimizer = StackOptimizer(kind, values, gradients, runs, [segment], momentum=momentum, options=options)
    for gradient in VECTORS["opt_grads"]:
        gradients.copy_(torch.from_numpy(gradient).flatten())
        optimizer.step(1.0)
    np.testing.assert_allclose(values.view(runs, size).numpy(), VECTORS[f"opt_{key}"], rtol=1e-10, atol=1e-12)


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
