"""The gate's numbers against the vectors: permutations, wealth, tolerance factors and noise; cases from the file."""

from __future__ import annotations

import numpy as np
import pytest

from runspread.methods.gate import certificate_looks, confirmation_levels, noise, permutation_p, tolerance_factor
from runspread.methods.gate.looks import smallest_p
from runspread.methods.trimming.exchanges import arrangements

from .loading import Vectors

vectors = Vectors("evals")
ALPHA = 0.05  # of the sequences of confirmations, as the specification of the gate says


def cases(key: str) -> list[str]:
    return sorted(name.partition("__")[0] for name in vectors if name.endswith(f"__exp__{key}"))


def tolerance(case: str, key: str) -> float:
    name = f"{case}__tol__{key}"
    return float(vectors[name]) if name in vectors else 1e-9


@pytest.mark.parametrize("case", cases("p_less"))
def test_permutation(case):
    start, end = vectors[f"{case}__start"], vectors[f"{case}__end"]
    assert permutation_p(start, end) == pytest.approx(float(vectors[f"{case}__exp__p_less"]), rel=1e-9)
    if f"{case}__exp__arrangements" in vectors:
        count = int(vectors[f"{case}__exp__arrangements"])
        assert count == round(1 / smallest_p(len(start)))
        assert vectors[f"{case}__exp__p_smallest_one_sided"] == pytest.approx(smallest_p(len(start)), rel=1e-9)
        two_sided = 1 / arrangements(len(start), len(end))
        assert vectors[f"{case}__exp__p_smallest_same_distribution"] == pytest.approx(two_sided, rel=1e-9)


@pytest.mark.parametrize("case", [case for case in cases("level") if f"{case}__certified" in vectors])
def test_wealth(case):
    levels = confirmation_levels([bool(one) for one in vectors[f"{case}__certified"]], ALPHA)
    np.testing.assert_allclose(levels, vectors[f"{case}__exp__level"], rtol=1e-9)


@pytest.mark.parametrize("case", cases("factor"))
def test_tolerance_factors(case):
    found = [
        tolerance_factor(int(n), int(m), float(rate))
        for (n, m), rate in zip(vectors[f"{case}__baseline_new_runs"], vectors[f"{case}__false_red"], strict=True)
    ]
    np.testing.assert_allclose(found, vectors[f"{case}__exp__factor"], rtol=tolerance(case, "factor"))


@pytest.mark.parametrize("case", cases("pooled_sd"))
def test_noise(case):
    values, arms = vectors[f"{case}__values"], vectors[f"{case}__arm"]
    found = noise({str(arm): values[arms == arm].tolist() for arm in np.unique(arms)})
    assert found.noise_sd == pytest.approx(float(vectors[f"{case}__exp__pooled_sd"]), rel=1e-9)
    assert found.spread_p == pytest.approx(float(vectors[f"{case}__exp__levene_p"]), rel=tolerance(case, "levene_p"))


def test_every_expected_key_of_these_cases_was_compared():
    own = {case for key in ("p_less", "factor", "pooled_sd") for case in cases(key)}
    own |= {case for case in cases("level") if f"{case}__certified" in vectors}
    assert {key for key in vectors.unread() if "__exp__" in key and key.partition("__")[0] in own} == set()


def test_the_first_look_of_five_runs_can_reach_its_level():
    assert certificate_looks(0.05)[0].level >= smallest_p(5)
