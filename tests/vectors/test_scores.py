"""One number per run against the vectors: every case, size and parameter comes from the file."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runspread._results import flat_fields
from runspread.methods.scores import (
    aggregates,
    arms,
    effect,
    forms,
    modes,
    one_arm,
    pairing,
    prior,
    ranks,
    tasks,
    winner,
)
from runspread.methods.variance.pilot import Arm as PilotArm
from runspread.methods.variance.pilot import Spread
from runspread.methods.variance.power import runs_for_welch, welch_power

from .loading import Vectors

vectors = Vectors("scores")
CASES = sorted({key.partition("__")[0] for key in vectors if not key.startswith("tol__")})
EXPECTED = {
    case: [key.split("__exp__")[1] for key in sorted(vectors) if key.startswith(f"{case}__exp__")] for case in CASES
}
EXACT, QUANTILE, ABSOLUTE = (float(vectors[f"tol__{name}"]) for name in ("exact", "quantile", "absolute"))
THROUGH_QUANTILES = (
    "p_",
    "p",
    "lo",
    "hi",
    "d_",
    "beat_",
    "df",
    "gap",
    "dip",
    "hl",
    "prior_",
    "friedman",
    "iman",
    "nem",
)
RELATIVE = {"p_pairs_tukey": 1e-5}


def has(case: str, *names: str) -> bool:
    return all(f"{case}__{name}" in vectors for name in names)


def given(case: str, name: str):
    value = vectors[f"{case}__{name}"]
    return value.item() if value.ndim == 0 else value


def several(case: str) -> list[np.ndarray]:
    return [vectors[f"{case}__x{at}"] for at in range(int(given(case, "k")))]


def tolerance(name: str) -> float:
    quantile = name.startswith(THROUGH_QUANTILES) or name.endswith(("_lo", "_hi", "_tost"))
    return RELATIVE.get(name, QUANTILE if quantile else EXACT)


def check(case: str, found: dict) -> None:
    for name in EXPECTED[case]:
        expected, actual = vectors[f"{case}__exp__{name}"], np.asarray(found[name])
        assert actual.shape == expected.shape, (case, name)
        if expected.dtype.kind in "ib":
            np.testing.assert_array_equal(actual, expected, err_msg=f"{case} {name}")
        else:
            np.testing.assert_allclose(
                actual.astype(float), expected, rtol=tolerance(name), atol=ABSOLUTE, err_msg=f"{case} {name}"
            )


def flat(*parts) -> dict:
    return {name: value for part in parts for name, value in flat_fields(part)}


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "x", "target")])
def test_one_arm(case):
    x, level, lower = given(case, "x"), given(case, "level"), bool(given(case, "lower"))
    found = flat(
        one_arm.moments(x),
        one_arm.arm_intervals(x, level),
        one_arm.against_target(x, given(case, "target"), level, lower=lower),
        modes.shape(x),
    )
    check(case, found | {"best_of": one_arm.best_of(x, lower=lower), "outliers": one_arm.outliers(x)})


TWO = [c for c in CASES if has(c, "a", "b", "margin")]
CODES = {"undecided": 0, "better": 1, "worse": -1, "equivalent": 2, "not worse": 3}


@pytest.mark.parametrize("case", TWO)
def test_two_arms(case):
    a, b, level, lower = given(case, "a"), given(case, "b"), given(case, "level"), bool(given(case, "lower"))
    old, new, margin = forms.Arm.of(a), forms.Arm.of(b), given(case, "margin")
    one = forms.difference(old, new)
    asked = {
        f"verdict{'_' * bool(what)}{what.replace(' ', '_')}": CODES[
            forms.judged(one, margin, level, what, lower=lower).verdict
        ]
        for what in ("", "not worse", "equivalent")
    }
    found = flat(
        forms.both_forms(old, new),
        ranks.ranks(a, b, level, lower=lower),
        effect.effect(old, new, level),
        forms.judged(one, margin, level, "not worse", lower=lower),
    )
    low, high = one.interval(level)
    check(case, found | asked | {"diff": one.value, "p": one.p(), "lo": low, "hi": high})


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "seed_a")])
def test_pairs(case):
    found = pairing.pairing(
        given(case, "a"),
        given(case, "b"),
        given(case, "seed_a").tolist(),
        given(case, "seed_b").tolist(),
        given(case, "level"),
    )
    check(case, flat(found))


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "x0", "baseline")])
def test_k_arms(case):
    values, level, lower = several(case), given(case, "level"), bool(given(case, "lower"))
    found = flat(
        arms.all_pairs(values),
        arms.versus_baseline(values, int(given(case, "baseline")), level),
        arms.heterogeneity(values),
        winner.winner(values, level, lower=lower),
    )
    found |= {"mean": [x.mean() for x in values], "maybe_best": arms.maybe_best(values, level, lower=lower)}
    check(case, found)


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "x0", "taus")])
def test_tasks(case):
    cells = [list(x.T) for x in several(case)]
    profile, profile_mean = aggregates.profiles(cells, given(case, "taus"))
    found = flat(
        aggregates.task_aggregates(cells, given(case, "gamma")),
        tasks.task_pairs(cells),
        tasks.task_ranks(tasks.cell_means(cells)),
    )
    check(case, found | {"profile": profile, "profile_mean": profile_mean})


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "gap", "n_a")])
def test_power(case):
    names = ("gap", "sd_a", "sd_b", "n_a", "n_b", "alpha")
    rows = zip(*(given(case, name).tolist() for name in names), strict=True)
    found = [welch_power(gap, s**2, z**2, int(n), int(m), alpha) for gap, s, z, n, m, alpha in rows]
    expected, room = given(case, "exp__power"), given(case, "exp__power_abs_tolerance")
    assert np.all(np.abs(found - expected) <= room)


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "gap", "sd", "alpha") and not has(c, "n_pilot")])
def test_runs(case):
    sd, alpha, power = (given(case, name) for name in ("sd", "alpha", "power"))
    check(case, {"runs": [runs_for_welch(gap, sd**2, sd**2, alpha, power) for gap in given(case, "gap").tolist()]})


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "n_pilot")])
def test_plans_from_a_pilot(case):
    alpha, power = given(case, "alpha"), given(case, "power")
    rows = zip(*(given(case, name).tolist() for name in ("gap", "sd", "n_pilot")), strict=True)
    found: dict[str, list[float]] = {name: [] for name in EXPECTED[case]}
    for gap, sd, runs in rows:
        spread = Spread(PilotArm(sd**2, runs - 1))
        assert len(spread.draws) == int(given(case, "nodes"))
        upper = spread.quantile(0.8)
        found["sd_upper"].append(math.sqrt(upper[0]))
        found["runs_plugin"].append(runs_for_welch(gap, *spread.variances, alpha, power))
        found["runs_assurance"].append(int(spread.runs(gap, alpha, power)))
        found["runs_upper"].append(runs_for_welch(gap, *upper, alpha, power))
    check(case, found)


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "group_sd")])
def test_prior(case):
    known = prior.fit_prior(given(case, "group_sd"), given(case, "group_df"))
    a, b = forms.Arm.of(given(case, "a")), forms.Arm.of(given(case, "b"))
    form = prior.moderated_form(known, a, b)
    one = forms.difference(a, b, known=form)
    low, high = one.interval(given(case, "level"))
    sd, df = prior.moderated(known, a, b)
    found = {"prior_sd": known.sd, "prior_df": known.df, "sd": sd, "se": form.se, "df": df}
    check(case, found | {"p": one.p(), "lo": low, "hi": high})


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "levels")])
def test_table_of_the_test_for_two_groups(case):
    rows = [modes.tabled_quantiles(int(n)) for n in given(case, "n")]
    np.testing.assert_allclose(rows[0][0], given(case, "levels"))
    for at, name in ((1, "gap"), (2, "dip")):  # tabled to four and five decimals
        np.testing.assert_allclose([row[at] for row in rows], given(case, f"exp__{name}"), atol=6e-5)


def test_every_expected_key_was_compared():
    assert {key for key in vectors.unread() if "__exp__" in key} == set()
