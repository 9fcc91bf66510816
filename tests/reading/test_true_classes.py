"""Log-probabilities of true classes, read run by run on all cores: those that each run alone has, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from runspread._reading import probabilities
from runspread._reading.probabilities import read_members


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["logits", "log-probabilities", "probabilities"])
def test_true_classes_are_those_of_each_member(monkeypatch, dtype, kind):
    monkeypatch.setattr(probabilities, "_BLOCK", 30)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(7, 41, 4))
    exponentials = np.exp(logits)
    shares = exponentials / exponentials.sum(-1, keepdims=True)
    values = {"logits": logits, "log-probabilities": np.log(shares), "probabilities": shares}[kind].astype(dtype)
    if kind != "probabilities":
        values[1, 3, 0] = -np.inf  # a mask
        values[2, 5, 1] = np.nan
        values[4, 6, 2] = np.inf
    labels = rng.integers(0, 4, 41)
    for ignored in (None, 2):
        members = read_members(values, labels, kind=kind, ignore_index=ignored)
        expected = [(member.index, member.true_class(members.labels)) for member in members]
        found = list(read_members(values, labels, kind=kind, ignore_index=ignored).true_classes())
        assert [index for index, _ in found] == [index for index, _ in expected]
        assert len(found) == (7 if kind == "probabilities" else 5)
        for (_, one), (_, other) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
