"""Chances of several tries, and plans: against enumeration and simulation."""

from __future__ import annotations

import itertools
import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.evaluations import Spreads, pass_at_k, plan_evals
from runspread.methods.evaluations.budget import power_of

RNG = np.random.default_rng(0)
ANSWERS = (RNG.random((3, 40, 6)) < np.linspace(0.1, 0.9, 40)[:, None]).astype(float)
KNOWN = Spreads(seed=0.0004, item=0.05, inter=0.01, decode=0.1)


@pytest.mark.parametrize("every", [False, True])
def test_tries_of_a_checkpoint_are_all_choices_of_samples(every):
    found = pass_at_k({"A": ANSWERS}, [2, 3], every=every)
    for one in found.models:
        choices = [ANSWERS[..., list(some)] for some in itertools.combinations(range(6), one.k)]
        right = [array.min(axis=2) if every else array.max(axis=2) for array in choices]
        assert one.value == pytest.approx(np.mean(right), rel=1e-12)
        assert one.lo < one.value < one.hi


@pytest.mark.parametrize("every", [False, True])
def test_tries_across_trainings_are_all_choices_of_trainings(every):
    found = pass_at_k({"A": ANSWERS}, 2, every=every, across="seeds").models[0]
    p = ANSWERS.mean(axis=2) if every else 1 - ANSWERS.mean(axis=2)
    pairs = [p[a] * p[b] for a, b in itertools.combinations(range(3), 2)]
    chance = np.mean(pairs)
    assert found.value == pytest.approx(chance if every else 1 - chance, rel=1e-12)


def test_more_tries_than_samples_are_refused():
    with pytest.raises(InputError, match="40 of 40 items of A with fewer than 7 samples"):
        pass_at_k({"A": ANSWERS}, 7)
    with pytest.raises(InputError, match="with fewer than 4 trainings"):
        pass_at_k({"A": ANSWERS}, 4, across="seeds")
    with pytest.raises(InputError, match="not all 0 or 1"):
        pass_at_k({"A": ANSWERS / 2}, 1)


def test_items_with_too_few_samples_are_counted():
    rows = [{"model": "A", "item": i, "score": k % 2} for i in range(50) for k in range(2 if i == 0 else 5)]
    one = pass_at_k(rows, 3).models[0]
    assert (one.n_items, one.n_left_out) == (49, 1)


def test_two_models_are_paired():
    other = np.clip(ANSWERS + (RNG.random(ANSWERS.shape) < 0.2), 0, 1)
    gap = pass_at_k({"A": ANSWERS, "B": other}, 2).differences[0]
    assert (gap.old, gap.new, gap.k) == ("A", "B", 2)
    assert gap.lo < gap.diff < gap.hi


def test_tries_that_do_not_differ_leave_an_interval_as_models_do():
    """No spread is no certainty: two items more, as for the difference of two models."""
    gap = pass_at_k({"A": np.zeros(12), "B": np.ones(12)}, 1).differences[0]
    model = rs.evaluations({"A": np.zeros(12), "B": np.ones(12)}).differences[0]
    assert (gap.diff, gap.hi) == (1.0, 1.0)
    assert gap.lo == pytest.approx(model.lo)
    assert 0.3 < gap.lo < 1
    same = pass_at_k({"A": np.ones(12), "B": np.ones(12)}, 1).differences[0]
    assert (same.diff, same.p) == (0.0, 1.0)
    assert -1 < same.lo < 0 < same.hi < 1


def test_tries_of_models_without_common_items_are_refused():
    rows = [{"model": name, "item": f"{name}{i}", "score": i % 2} for name in "AB" for i in range(4)]
    with pytest.raises(InputError, match="B and A have no item in common"):
        pass_at_k(rows, 1)


@pytest.mark.parametrize(("k", "match"), [(0, "k is out of range"), (1.5, "1.5"), ([], "no number of tries")])
def test_numbers_of_tries(k, match):
    with pytest.raises(InputError, match=match):
        pass_at_k({"A": ANSWERS}, k)
    assert pass_at_k({"A": ANSWERS}, np.int64(2)).models[0].k == 2


def test_a_plan_names_designs_with_their_cost_and_power():
    plan = plan_evals(gap=0.05, spreads=KNOWN, cost={"training": 50, "sample": 0.01})
    costs = [one.cost for one in plan.designs]
    assert costs == sorted(costs)
    best = plan.designs[0]
    assert best.cost == pytest.approx(2 * best.seeds * 50 + 2 * best.seeds * best.items * best.samples * 0.01)
    assert all(one.power >= 0.8 for one in plan.designs)
    fewer = power_of(KNOWN, 0.05, 0.05, best.seeds, best.items - 1, best.samples)
    assert fewer < 0.8
    assert plan.sentence().startswith("To decide a gap of 5 points in 80 of 100 cases: ")
    mpl.use("agg")
    plt.close(plan.plot().figure)


def test_what_no_design_can_do_is_said():
    plan = plan_evals(gap=0.02, spreads=KNOWN._replace(seed=0.01), items_max=500)
    assert plan.designs == ()
    assert "No design shows a gap of 2 points" in plan.sentence()
    some = plan_evals(gap=0.03, spreads=KNOWN._replace(seed=0.0003))
    least = math.ceil(2 * 0.0003 / (0.03 / 2.801585) ** 2)
    assert some.fewest_seeds == least
    assert f"fewer than {least} trainings" in some.sentence()


def test_a_pilot_is_planned_for_at_its_upper_bound():
    pilot = {"A": ANSWERS, "B": np.roll(ANSWERS, 3, axis=1)}
    plan = plan_evals(pilot, 0.1)
    assert plan.known.spreads.seed >= plan.known.estimated.seed
    assert "as 3 trainings leave it" in plan.sentence()
    single = plan_evals({name: array[:1] for name, array in pilot.items()}, 0.1)
    assert single.on == "models"
    assert single.designs[0].seeds == 1
    with pytest.raises(InputError, match="one training run"):
        plan_evals({name: array[:1] for name, array in pilot.items()}, 0.1, on="distribution")
    with pytest.raises(InputError, match="neither a pilot nor spreads"):
        plan_evals(gap=0.1)
    with pytest.raises(InputError, match="gap is None"):
        plan_evals(pilot)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"power": 80}, r"power=80.*alpha < power < 1"),
        ({"alpha": 5}, "alpha=5"),
        ({"items_max": 0}, "items_max is 0"),
        ({"items_max": 99.5}, "items_max is 99.5"),
        ({"cost": {"sample": -1.0}}, "the cost of sample is -1"),
        ({"cost": {"sample": "1"}}, "the cost of sample is 1. Expected a number"),
        ({"cost": {"prompt": 1.0}}, "unknown cost keyword 'prompt'"),
        ({"spreads": KNOWN._replace(item=-0.1)}, "the spread of item is -0.1"),
        ({"on": "checkpoints"}, "unknown on 'checkpoints'"),
    ],
)
def test_plans_refuse_what_no_plan_can_be_made_of(settings, match):
    with pytest.raises(InputError, match=match):
        plan_evals(gap=0.05, **{"spreads": KNOWN, **settings})


def test_what_more_money_buys_leaves_out_what_is_not_bought():
    """Checkpoints that are trained cost no training; a benchmark has no more items than it has."""
    cost = {"item": 1.0, "sample": 0.1}
    free = plan_evals(gap=0.05, spreads=KNOWN, on="models", cost=cost)
    dear = plan_evals(gap=0.05, spreads=KNOWN, on="models", cost={"training": 1000.0, **cost})
    assert free.next_best == dear.next_best == "More money is best spent on questions, then on samples."
    best = free.designs[0]
    full = plan_evals(gap=0.05, spreads=KNOWN, on="models", cost=cost, items_max=best.items)
    assert full.designs[0].items == best.items
    assert full.next_best == "More money is best spent on samples."
    still = plan_evals(gap=0.05, spreads=KNOWN._replace(decode=0.0), on="models", cost=cost)
    assert still.next_best == "More money is best spent on questions."


def test_names_that_are_called_so_are_public():
    assert {"pass_at_k", "plan_evals", "read_evals"} <= set(rs.methods.evaluations.__all__)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "items", "samples", "lost"), [(2, 20, 1, 0.0), (3, 30, 5, 0.0), (3, 30, 5, 0.3)])
def test_components_are_right_on_average(seeds, items, samples, lost):
    """Within four standard errors of the truth, also where cells are missing."""
    from runspread.methods.evaluations.cells import cells_of
    from runspread.methods.evaluations.spread import Levels, factors_of

    rng = np.random.default_rng(seeds + items)
    truth = {"seed": 0.05, "item": 0.5, "item.seed": 0.1 + 0.3 * (samples == 1)}
    found = []
    for _ in range(400):
        cells = rng.normal(0, truth["seed"] ** 0.5, (seeds, 1)) + rng.normal(0, truth["item"] ** 0.5, items)
        cells = cells + rng.normal(0, 0.1**0.5, (seeds, items))
        scores = cells[..., None] + rng.normal(0, 0.3**0.5, (seeds, items, samples))
        s, i, k = (axis.ravel() for axis in np.indices(scores.shape))
        keep = (rng.random((seeds, items)) >= lost)[s, i]
        one = cells_of(s[keep], np.zeros_like(s[keep]), i[keep], scores[s, i, k][keep])
        found.append(Levels(factors_of(one, None)).spread(one.mean, one.noise, one.decode).parts)
    for name, value in truth.items():
        values = np.array([parts[name] for parts in found])
        assert abs(values.mean() - value) < 4 * values.std() / len(values) ** 0.5
