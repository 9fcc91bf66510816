"""The alternating optimisation: what is updated when, reproducibility, logs and alarms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import runspread as rs
from runspread.errors import InputError, TrainingError
from runspread.methods.ensembles import diversity
from runspread.nn._log import tuning_alarms
from runspread.nn._settings import CheckedSettings
from runspread.nn._training import FACTOR_NAMES, _optimizer, _squares

from .networks import mlp

K = 3


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = torch.from_numpy(data.data[order] / 16).float()
    y = torch.from_numpy(data.target[order]).long()
    return (x[:600], y[:600]), (x[600:1200], y[600:1200]), (x[1200:], y[1200:])


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return mlp(64, 32, 10, dropout=0.1)


def hyper(seed: int = 0, **options):
    generator = torch.Generator().manual_seed(seed)
    return rs.nn.hyper_batch_ensemble(network(seed), K, generator=generator, factors=("signs", 0.5), **options)


def nll(ensemble, split) -> float:
    return rs.ensemble_scores(ensemble.predict(split[0]).numpy()[None], split[1].numpy()).nll


def test_batch_ensemble_learns(digits):
    train, _, test = digits
    ensemble = rs.nn.batch_ensemble(network(), K, factors=("signs", 0.5), generator=torch.Generator().manual_seed(0))
    log = rs.nn.train_ensemble(ensemble, *train, epochs=15, batch_size=50, lr=5e-3, schedule="cosine", l2=1e-5)
    assert not ensemble.training
    assert len(log.losses) == 15 * 12
    assert log.losses[-10:].mean() < 0.3 * log.losses[:10].mean()
    members = ensemble(test[0]).softmax(-1).detach().numpy()
    scored = rs.ensemble_scores(members, test[1].numpy())
    assert scored.accuracy > 0.9
    assert scored.nll < scored.gibbs_nll
    assert diversity(members, test[1].numpy()).disagreement > 0
    assert "steps brought the training loss" in log.sentence()


def test_hyper_batch_ensemble_learns_and_tunes(digits):
    train, validation, test = digits
    ensemble = hyper()
    log = rs.nn.train_ensemble(
        ensemble, *train, validation=validation, epochs=15, batch_size=50, lr=5e-3, tuning_rate=0.03
    )
    assert nll(ensemble, test) < 0.4
    assert len(log.tuning_steps) == len(log.losses) // 3
    assert log.mean.shape == (len(log.tuning_steps) + 1, K, 5)
    assert np.abs(np.log(log.mean[-1] / log.mean[0])).max() > 0.1
    assert (log.lower >= log.low * 0.999).all()
    assert (log.upper <= log.high * 1.001).all()
    assert len(log.table()) == K * 5
    np.testing.assert_allclose(log.mean[-1], ensemble.bounds.mean().detach().numpy(), rtol=1e-5)


def test_without_validation_the_bounds_stay(digits):
    ensemble = hyper()
    before = {name: value.clone() for name, value in ensemble.bounds.state_dict().items()}
    log = rs.nn.train_ensemble(ensemble, *digits[0], epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in ensemble.bounds.state_dict().items())
    assert len(log.tuning_steps) == 0


def test_tuning_moves_the_bounds_only(digits):
    train, validation, _ = digits
    with_tuning, without = hyper(), hyper()
    rs.nn.train_ensemble(with_tuning, train[0][:50], train[1][:50], validation=validation, epochs=3, batch_size=50)
    rs.nn.train_ensemble(without, train[0][:50], train[1][:50], epochs=3, batch_size=50)
    # Tuning happens after the third and last step only: it must leave the weights that the steps made.
    for one, other in zip(with_tuning.network.parameters(), without.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(with_tuning.bounds.log_upper, without.bounds.log_upper)


def test_same_seed_same_training_and_the_global_state_is_kept(digits):
    state = torch.get_rng_state()
    ensembles = [hyper() for _ in range(2)]
    torch.set_rng_state(state)
    logs = []
    for ensemble, rest in zip(ensembles, (1, 5), strict=True):
        torch.manual_seed(rest)
        before = torch.get_rng_state()
        logs.append(rs.nn.train_ensemble(ensemble, *digits[0], validation=digits[1], epochs=2, seed=7))
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(logs[0].losses, logs[1].losses)
    np.testing.assert_array_equal(logs[0].mean, logs[1].mean)


ADAMW = {"optimizer": "adamw", "lr": 0.1, "weight_decay": 0.01, "factor_rate": 0.5}


@torch.no_grad()
def test_factors_have_their_own_rate_and_no_l2():
    ensemble = rs.nn.batch_ensemble(network(), K)
    slow, fast = _optimizer(ensemble, CheckedSettings(**ADAMW)).param_groups
    assert (slow["base"], fast["base"]) == (0.1, 0.05)
    assert (slow["weight_decay"], fast["weight_decay"]) == (0.01, 0.0)
    assert len(fast["params"]) == 2 * len(ensemble.layers)
    before = float(_squares(ensemble, 1.0))
    for name, parameter in ensemble.network.named_parameters():
        if name.rpartition(".")[2] in FACTOR_NAMES:
            parameter.mul_(3)
    assert float(_squares(ensemble, 1.0)) == before
    kernels = sum(float(layer.weight.square().sum()) for layer in ensemble.layers.values())
    biases = sum(float(layer.bias.square().sum(1).mean()) for layer in ensemble.layers.values())
    assert before == pytest.approx(kernels + biases)
    one = float(_squares(ensemble, {"layers.2": 2.0}))
    last = ensemble.layers["layers.2"]
    assert one == pytest.approx(2 * float(last.weight.square().sum() + last.bias.square().sum(1).mean()))


def test_alarm_when_all_members_sit_at_the_end(digits):
    ensemble = hyper()
    with torch.no_grad():
        ensemble.bounds.log_lower[:, 0] = ensemble.bounds.log_high[0] - 1e-3
        ensemble.bounds.log_upper[:, 0] = ensemble.bounds.log_high[0]
    log = rs.nn.train_ensemble(ensemble, *digits[0], validation=digits[1], epochs=1)
    assert any("upper end" in text and ensemble.hyperparameters[0].name in text for text in log.warnings)
    assert "Alarms" in log.sentence()


def test_alarm_when_all_members_coincide(digits):
    log = rs.nn.train_ensemble(hyper(start="full"), *digits[0], validation=digits[1], epochs=1)
    assert any("same hyperparameters" in text for text in log.warnings)


def test_smoothing_by_row():
    logits = torch.randn(K, 5, 4, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0])
    rates = torch.rand(K, 5, dtype=torch.float64)
    rows = [
        nn.functional.cross_entropy(logits[k, i][None], labels[i][None], label_smoothing=float(rates[k, i]))
        for k in range(K)
        for i in range(5)
    ]
    torch.testing.assert_close(rs.nn.smoothed_cross_entropy(logits, labels, rates), torch.stack(rows).mean())


def test_a_diverged_training_says_so(digits):
    ensemble = rs.nn.batch_ensemble(network(), K)
    with pytest.raises(TrainingError, match="at step"):
        rs.nn.train_ensemble(ensemble, *digits[0], epochs=5, optimizer="sgd", lr=1e6)


def test_wrong_arguments(digits):
    (x, y), _, _ = digits
    with pytest.raises(InputError, match="10 labels"):
        rs.nn.train_ensemble(hyper(), x, y[:10])
    with pytest.raises(InputError, match="l2 hyperparameter"):
        rs.nn.train_ensemble(hyper(), x, y, l2=0.1)
    with pytest.raises(InputError, match="optimizer"):
        rs.nn.train_ensemble(hyper(), x, y, optimizer="lion")


def test_batches_are_augmented_by_example_and_epoch(digits):
    x, y = digits[0][0][:90], digits[0][1][:90]
    seen: list[tuple[int, int]] = []

    def augment(inputs, rows, epoch):
        torch.testing.assert_close(inputs, x[rows])
        seen.extend((epoch, int(row)) for row in rows)
        return torch.zeros_like(inputs)

    ensemble = rs.nn.batch_ensemble(network(), K)
    log = rs.nn.train_ensemble(ensemble, x, y, steps=5, batch_size=30, augment=augment, lr=1e-2)
    assert len(log.losses) == 5
    assert sorted(row for epoch, row in seen if epoch == 0) == list(range(90))
    assert len({row for epoch, row in seen if epoch == 1}) == 60
    first = next(iter(ensemble.layers.values()))
    assert torch.equal(first.weight.grad, torch.zeros_like(first.weight))  # it trains on what was returned: zeros


def test_an_alarm_says_that_the_bounds_run_ahead_of_the_weights(digits):
    train, validation, _ = digits
    log = rs.nn.train_ensemble(
        hyper(), *train, validation=validation, epochs=30, batch_size=50, lr=5e-3, schedule="cosine", tuning_rate=0.1
    )
    assert any("lower tuning_rate" in text for text in log.warnings)
    assert "lower tuning_rate" in log.sentence()
    falling = np.linspace(2, 0.1, 200)
    assert tuning_alarms(falling) == []
    assert tuning_alarms(falling[::-1][:40]) == []  # too few to tell
    assert tuning_alarms(np.r_[falling, np.full(40, 0.5)]) != []


def plain_batch(**options):
    generator = torch.Generator().manual_seed(0)
    return rs.nn.batch_ensemble(network(), K, factors=("signs", 0.5), generator=generator, **options)


def losses(digits, **options):
    return rs.nn.train_ensemble(plain_batch(), *digits[0], **{"steps": 12, "batch_size": 70, **options}).losses


@pytest.mark.parametrize(
    ("base", "option"),
    [
        ({}, {"drop_last": True}),
        ({}, {"beta1": 0.5}),
        ({}, {"beta2": 0.5}),
        ({}, {"eps": 1e-2}),
        ({}, {"label_smoothing": 0.2}),
        ({"optimizer": "sgd", "lr": 0.05}, {"nesterov": False}),
        ({"optimizer": "adamw", "weight_decay": 10.0}, {"decay": "weights"}),
        ({"l2": 0.01}, {"decay": "weights"}),
    ],
)
def test_every_option_has_its_effect(digits, base, option):
    before = losses(digits, **base)
    assert not np.array_equal(losses(digits, **base, **option), before)
    np.testing.assert_array_equal(losses(digits, **base), before)


def test_what_is_the_default_changes_nothing(digits):
    said = {"drop_last": False, "nesterov": True, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decay": "all"}
    np.testing.assert_array_equal(losses(digits, **said, label_smoothing=0.0, shared_l2=0.0), losses(digits))


@torch.no_grad()
def test_decay_of_weights_leaves_out_biases_and_batch_normalisation():
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))
    ensemble = rs.nn.batch_ensemble(nn.Sequential(*layers), K)
    slow, _, free = _optimizer(ensemble, CheckedSettings(**ADAMW, decay="weights")).param_groups
    kernels = [layer.weight for layer in ensemble.layers.values()]
    assert {id(p) for p in slow["params"]} == {id(p) for p in kernels}
    assert free["weight_decay"] == 0.0
    assert len(free["params"]) == 4
    for layer in ensemble.layers.values():
        layer.bias.fill_(1.0)
    assert float(_squares(ensemble, 1.0, kernels_only=True)) == pytest.approx(
        sum(float(k.square().sum()) for k in kernels)
    )


@pytest.mark.parametrize("convert", [rs.nn.batch_ensemble, rs.nn.hyper_batch_ensemble])
def test_shared_parameters_have_their_own_penalty(convert):
    torch.manual_seed(0)
    x, y = torch.randn(20, 1, 6, 6), torch.randint(0, 3, (20,))
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    found = {}
    for coefficient in (0.0, 0.5):
        ensemble = convert(nn.Sequential(*layers), K, generator=torch.Generator().manual_seed(0))
        options = {"steps": 20, "batch_size": 20, "lr": 0.05, "shared_l2": coefficient}
        log = rs.nn.train_ensemble(ensemble, x, y, **options)
        found[coefficient] = log.losses[0], float(ensemble.network[1].weight.detach().square().sum())
    assert found[0.5][0] - found[0.0][0] == pytest.approx(0.5 * 4, rel=1e-5)  # four scales of 1, four shifts of 0
    assert found[0.5][1] < found[0.0][1]


def test_smoothing_of_the_recipe_is_that_of_torch(digits):
    (x, y), _, _ = digits
    ensemble = plain_batch().eval()
    outputs = ensemble(x[:9])
    expected = [nn.functional.cross_entropy(member, y[:9], label_smoothing=0.3) for member in outputs]
    found = rs.nn.smoothed_cross_entropy(outputs, y[:9], torch.tensor(0.3))
    torch.testing.assert_close(found, torch.stack(expected).mean())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("tuning_every", 0),
        ("steps", 0),
        ("epochs", -1),
        ("tuning_rate", -1.0),
        ("tuning_rate", float("nan")),
        ("lr", "fast"),
        ("label_smoothing", 2.0),
        ("decay", "some"),
    ],
)
def test_numbers_out_of_range_are_refused(digits, name, value):
    with pytest.raises(InputError, match=name):
        rs.nn.train_ensemble(hyper(), *digits[0], validation=digits[1], **{name: value})


def test_data_that_do_not_fit_are_refused(digits):
    (x, y), _, _ = digits
    with pytest.raises(InputError, match="0 labels"):
        rs.nn.train_ensemble(hyper(), x, y, validation=(x[:0], y[:0]))
    with pytest.raises(InputError, match="no more than there are"):
        rs.nn.train_ensemble(hyper(), x, y, batch_size=601, drop_last=True)
    space = (rs.nn.Hyperparameter("smoothing", 1e-3, 0.2, "label_smoothing"),)
    with pytest.raises(InputError, match="tunes it"):
        rs.nn.train_ensemble(hyper(hyperparameters=space), x, y, label_smoothing=0.1)


def test_bounds_that_hardly_move_are_told(digits):
    log = rs.nn.train_ensemble(hyper(), *digits[0], validation=digits[1], steps=9, batch_size=50)
    assert any("hardly moved" in text and "3 tuning steps" in text for text in log.warnings)
    moved = rs.nn.train_ensemble(
        hyper(), *digits[0], validation=digits[1], steps=60, batch_size=50, tuning_rate=0.03, lr=5e-3
    )
    assert not any("hardly moved" in text for text in moved.warnings)


def test_progress_is_told_step_by_step(digits):
    seen = []
    rs.nn.train_ensemble(plain_batch(), *digits[0], steps=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_published_start_has_a_width():
    narrow, wide = (hyper(start="published", width=width).bounds for width in (0.2, 1.0))
    spans = [(bounds.log_upper.exp() - bounds.log_lower.exp())[:, 0] for bounds in (narrow, wide)]
    torch.testing.assert_close(spans[0], torch.full((K,), 0.4), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(spans[1], torch.full((K,), 2.0), rtol=1e-3, atol=1e-3)
