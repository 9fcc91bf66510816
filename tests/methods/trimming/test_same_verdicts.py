"""What `same_model` may say: "no" of models that share nothing, of other answers; and when it cannot tell."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._reading.scalars import Reading, read_scalars
from runspread.errors import InputError
from runspread.methods.trimming.agreement import Agreement

SIZES = [(5, 5), (4, 5), (3, 8), (4, 6), (2, 13), (2, 14), (1, 99), (6, 6), (6, 9), (1, 200)]


def verdict(old, new, **settings):
    """ "yes", "no", or "cannot tell"."""
    try:
        return "yes" if rs.same(old, new, **settings).same else "no"
    except InputError as error:
        return str(error).partition(":")[0]


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(("n_old", "n_new"), SIZES)
@pytest.mark.parametrize("seeds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_models_that_share_nothing_are_never_the_same(n_old, n_new, labelled, seeds):
    """A1: 999 draws contained the observed arrangement, so that the threshold was the distance: "yes" in 22 of 60."""
    said = set()
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        settings = {"labels": rng.integers(2, size=40)} if labelled else {}
        old, new = rng.normal(size=(n_old, 40)), rng.normal(10, 1, size=(n_new, 40))
        said |= {verdict(old, new, seed=seed, **settings), verdict(new, old, seed=seed, **settings)}
    mirrored = 2 if n_old == n_new else 1
    enough = mirrored / math.comb(n_old + n_new, n_old) <= (0.005 if labelled else 0.01)
    assert said == {"no" if enough else "cannot tell"}


def pipeline(rng, runs, labels, accuracy=0.9):
    """Logits of runs that are right on a share of the examples, each run on its own."""
    right = rng.random((runs, len(labels))) < accuracy
    size = 2 + np.abs(rng.normal(size=(runs, len(labels)))) + 0.1 * rng.normal(size=(runs, 1))
    return np.where(right ^ (labels == 0), 1, -1) * size


@pytest.mark.parametrize(("n_old", "n_new"), [(6, 6), (8, 8), (5, 9), (2, 40)])
def test_the_same_outputs_in_another_order_are_not_the_same(n_old, n_new):
    """A2: a training whose accuracy fell from 90 % to chance passed, since marginal distributions are equal."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=500)
    old, new = pipeline(rng, n_old, labels), pipeline(rng, n_new, labels)
    assert rs.same(old, new, labels=labels).same
    found = rs.same(old, new[:, rng.permutation(500)], labels=labels)
    assert (found.same, found.same_distribution, found.same_examples) == (False, True, False)
    assert found.tests.p_examples <= found.tests.epsilon_each == 0.005
    assert found.sentence().startswith(f"The answers of {n_new} new and {n_old} old runs differ example by example")
    assert f"accuracy {found.old.accuracy:.2%} before, {found.new.accuracy:.2%} now" in found.sentence()


def test_answers_that_move_within_a_class_are_seen():
    """No accuracy changes, and labels do not tell."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 250)
    always = np.where(rng.random(500) < 0.85, labels, 1 - labels)  # every run fails on the same examples
    within = np.concatenate([rng.permutation(250), 250 + rng.permutation(250)])
    old, new = (pipeline(rng, 7, always, 0.97) for _ in range(2))
    found = rs.same(old, new[:, within], labels=labels)
    assert abs(found.old.accuracy - found.new.accuracy) < 0.01
    assert found.same_examples is False
    assert found.tests.disagreement[1] > 3 * max(found.tests.disagreement[0], found.tests.disagreement[2])


def test_a_worse_accuracy_beyond_its_noise_is_seen():
    """A fall that is spread thinly over all examples hardly changes how often two runs disagree."""
    rng = np.random.default_rng(2)
    labels = rng.integers(2, size=2000)
    found = rs.same(pipeline(rng, 8, labels, 0.93), pipeline(rng, 8, labels, 0.91), labels=labels)
    assert found.same_distribution
    assert found.same_examples is False


def test_answers_are_compared_by_the_energy_distance():
    """Against the formula, arrangement by arrangement; with whole accuracies equal it decides alone."""
    rng = np.random.default_rng(3)
    old, new = rng.normal(size=(4, 30, 3)), rng.normal(size=(5, 30, 3))
    labels = np.full(30, 2)
    labels[:3] = [0, 1, 2]
    votes = np.concatenate([old, new]).argmax(-1)
    apart = (votes[:, None] != votes).mean(-1)
    accuracy = (votes == labels).mean(1)
    energies, gaps = [], []
    for rows in itertools.combinations(range(9), 4):
        first, second = list(rows), [run for run in range(9) if run not in rows]
        inside = [np.mean([apart[pair] for pair in itertools.combinations(part, 2)]) for part in (first, second)]
        energies.append(apart[np.ix_(first, second)].mean() - sum(inside) / 2)
        gaps.append(abs(accuracy[first].mean() - accuracy[second].mean()))
    scaled = np.maximum(*(np.array(each) / math.sqrt(np.mean(np.square(each))) for each in (energies, gaps)))
    found = rs.same(old, new, labels=labels, epsilon=0.2)
    assert found.tests.p_examples == pytest.approx((scaled >= scaled[0] - 1e-9).mean(), abs=1e-12)
    old_old = np.mean([apart[pair] for pair in itertools.combinations(range(4), 2)])
    assert found.tests.disagreement[:2] == pytest.approx((old_old, apart[:4, 4:].mean()))


def test_single_outputs_without_labels_are_compared_by_their_differences():
    runs = np.array([[0.0, 1.0], [0.5, 1.0], [3.0, 1.0]])
    scalars = read_scalars(runs, None, "test", Reading())
    one, other = Agreement.of(scalars, scalars), np.repeat([False, True], 3)[None]
    old, between, new = one.shares(other)
    assert (old, between, new) == pytest.approx((1.0, 2 / 3, 1.0))  # mean over two examples and three pairs


def test_sums_of_whole_differences_are_exact_as_a_product_of_matrices():
    """They were added one by one: 6,000 runs took minutes."""
    rng = np.random.default_rng(8)
    apart = rng.integers(0, 10**9, size=(40, 40))
    new = rng.permuted(np.tile(np.repeat([False, True], [25, 15]), (50, 1)), axis=1)
    found = Agreement(apart + apart.T, None, 10**9).statistics(new)
    sums = np.einsum("ar,rs,as->a", new.astype(int), apart + apart.T, (~new).astype(int))
    inside = [np.einsum("ar,rs,as->a", part.astype(int), apart + apart.T, part.astype(int)) for part in (~new, new)]
    energy = sums / (25 * 15) - (inside[0] / (25 * 24) + inside[1] / (15 * 14)) / 2
    np.testing.assert_array_equal(found, energy / np.sqrt(np.square(energy).mean()))


def test_with_one_run_on_a_side_only_distributions_are_compared():
    rng = np.random.default_rng(4)
    labels = rng.integers(2, size=60)
    found = rs.same(pipeline(rng, 1, labels), pipeline(rng, 250, labels), labels=labels)
    assert (found.same_examples, found.tests.epsilon_each) == (None, 0.01)
    assert "Not compared by example (one run on a side)" in found.sentence()
    assert math.isnan(found.tests.p_examples)


@pytest.mark.parametrize(
    ("n_old", "n_new", "labelled"),
    [
        *itertools.product((2, 3, 4), (2, 4), (False, True)),
        *((old, new, True) for old, new in ((5, 5), (3, 8), (1, 99))),
        *((old, new, False) for old, new in ((1, 1), (20, 1), (2, 12))),
    ],
)
def test_what_the_refusal_offers_can_be_done(n_old, n_new, labelled):
    rng = np.random.default_rng(5)
    labels = rng.integers(2, size=30)
    settings = {"labels": labels} if labelled else {}
    with pytest.raises(InputError, match="cannot tell") as raised:
        rs.same(pipeline(rng, n_old, labels), pipeline(rng, n_new, labels), **settings)
    message = str(raised.value)
    more = int(re.search(r"(\d+) and \1 runs can show a difference", message)[1])
    assert more == (6 if labelled else 5)
    shown = rs.same(pipeline(rng, more, labels), -pipeline(rng, more, labels) - 9, **settings)
    assert not shown.same
    offer = re.search(r"or these at epsilon ([\d.]+)\.$", message)
    assert (offer is None) == (n_old == n_new == 1)
    if offer:
        answered = rs.same(
            pipeline(rng, n_old, labels), pipeline(rng, n_new, labels) + 50, epsilon=float(offer[1]), **settings
        )
        assert not answered.same
    assert "permutations" not in message  # more of them cannot help


def test_more_permutations_are_offered_where_they_help():
    rng = np.random.default_rng(6)
    old, new = rng.normal(size=(9, 30)), rng.normal(9, 1, size=(9, 30))
    with pytest.raises(InputError, match=r"9 old and 9 new runs with 50 permutations, .* Allow 99 permutations"):
        rs.same(old, new, permutations=50)
    assert not rs.same(old, new, permutations=99).same


def test_a_difference_within_alpha_is_told():
    """p is small, yet nothing beyond alpha is shown: neither "the same" nor "different"."""
    rng = np.random.default_rng(7)
    old, new = (rng.normal(size=(20, 400)) for _ in range(2))
    new[:, :16] += 15
    found = rs.same(old, new, alpha=0.2)
    assert found.same
    assert found.tests.p_value == 0.001
    assert "differ, but more than the allowed fraction is not shown" in found.sentence()


def test_bounds_say_what_they_leave_out():
    rng = np.random.default_rng(8)
    found = rs.same(rng.normal(size=(3, 500)), rng.normal(size=(4, 700)), threshold="dkw")
    assert "other seeds are not considered" in found.sentence()
    assert (found.tests.arrangements, found.same_examples) == (0, None)


def test_the_command_prints_p_and_its_exit_status_is_the_verdict(tmp_path):
    rng = np.random.default_rng(9)
    labels = rng.integers(2, size=200)
    old, new = (pipeline(rng, 6, labels)[..., None] for _ in range(2))
    sets = {"old": old, "new": new, "shuffled": new[:, rng.permutation(200)], "few": new[:5], "labels": labels}
    for name, array in sets.items():
        np.save(tmp_path / f"{name}.npy", array)

    def call(name):
        words = ["same", *(str(tmp_path / f"{each}.npy") for each in ("old", name))]
        return CliRunner().invoke(cli, [*words, "--labels", str(tmp_path / "labels.npy")])

    assert [call(name).exit_code for name in ("new", "shuffled", "few")] == [0, 1, 0]
    assert "p = " in call("new").output
    assert "example by example" in " ".join(call("shuffled").output.split())
    np.save(tmp_path / "few.npy", new[:4])
    np.save(tmp_path / "old.npy", old[:4])
    done = call("few")
    assert done.exit_code == 2
    assert "cannot tell: 4 old and 4 new runs" in done.output
    assert "6 and 6 runs can" in done.output
