from __future__ import annotations

import numpy as np
import pytest

import runspread as rs

from .probit import draw


def test_common_factor_is_found():
    found = rs.independence_test(correct=draw(np.random.default_rng(0), 40, 150, 0.4)[0], resamples=99)
    assert found.p_permutation == found.p_ks == 0.01
    assert found.p_chi2 < 1e-6
    assert "speak against" in found.sentence()
    assert len(found.table()) == 3


def test_independent_errors_are_not():
    found = rs.independence_test(correct=draw(np.random.default_rng(1), 40, 150, 0.0)[0], resamples=99)
    assert min(found.p_permutation, found.p_ks) > 0.05
    plain = rs.variance(correct=draw(np.random.default_rng(1), 40, 150, 0.0)[0])
    assert (found.f_ratio, found.ks_stat) == pytest.approx((plain.f_ratio, plain.ks_stat), rel=1e-12)


def test_many_runs_draw_from_the_law():
    matrix = np.random.default_rng(2).random((5000, 12)) < 0.7
    assert rs.independence_test(correct=matrix, resamples=19).p_ks > 0.05


def test_permutation_by_enumeration():
    """Two runs on two examples, both right once: of the four arrangements two have equal counts."""
    p = rs.independence_test(correct=[[1, 1], [0, 0]], resamples=3999, seed=3).p_permutation
    assert p == pytest.approx(0.5, abs=0.04)


def test_refusals():
    with pytest.raises(rs.InputError, match="one run"):
        rs.independence_test(correct=[[1, 0]])
    with pytest.raises(rs.InputError, match="resamples"):
        rs.independence_test(correct=np.eye(3), resamples=0)
