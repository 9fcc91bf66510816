"""Section 13 of the dynamics specification: every case of the vectors."""

from __future__ import annotations

import numpy as np
import pytest

import runspread as rs
from runspread._methods.dynamics.weight_metrics import WEIGHT_METRICS

from .loading import Vectors

V = Vectors("dynamics")
METRIC_CASES = [str(case) for case in V["cases_metrics"]]


def keys_of(case: str) -> list[str]:
    return [key.partition("/")[2] for key in V if key.startswith(f"{case}/")]


@pytest.mark.parametrize("case", METRIC_CASES)
def test_weight_metrics(case):
    expected = [key for key in keys_of(case) if key.startswith("metrics_")]
    weights = {key: V[f"{case}/{key}"] for key in keys_of(case) if key not in expected and key != "columns"}
    estimators = {"metrics_bessel": "unbiased", "metrics_population": "population"}
    assert set(expected) == set(estimators)
    assert tuple(V[f"{case}/columns"]) == WEIGHT_METRICS
    for key in expected:
        got = rs.weight_metrics(weights, variance=estimators[key])
        np.testing.assert_allclose(list(got.values()), V[f"{case}/{key}"], rtol=1e-9, atol=1e-15)
