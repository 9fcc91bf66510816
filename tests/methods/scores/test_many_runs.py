"""Many runs and many rows: what is done by whole arrays says the same as what is done one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runspread._reading.scores.rows import first_of, keys_of, numbered
from runspread._reading.scores.table import read_scores
from runspread._reading.tables import as_table
from runspread.errors import InputError
from runspread.methods.scores import modes, one_arm, ranks

RNG = np.random.default_rng(0)
SHAPES = {
    "normal": RNG.normal(size=700),
    "rounded": np.round(RNG.normal(size=700), 1),
    "even": np.arange(700.0),
    "two groups": np.concatenate([RNG.normal(size=300), RNG.normal(8, 1, 400)]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_dip_of_many_runs(name, monkeypatch):
    one_by_one = modes.dip_statistic(SHAPES[name])
    monkeypatch.setattr(modes, "_MANY", 1)
    assert modes.dip_statistic(SHAPES[name]) == pytest.approx(one_by_one, abs=1e-13)


def test_the_best_of_many_runs(monkeypatch):
    x = RNG.normal(size=1900)
    slowly = {lower: one_arm.best_of(x, lower=lower) for lower in (False, True)}
    monkeypatch.setattr(one_arm, "_ALL_SIZES", 100)
    monkeypatch.setattr(one_arm, "_MOST_WORK", 100 * 1900)
    for lower, expected in slowly.items():
        found = one_arm.best_of(x, lower=lower)
        assert len(found) == 100
        np.testing.assert_allclose(found, expected[:100], atol=1e-10)


def test_outliers_of_many_runs(monkeypatch):
    samples = [np.random.default_rng(seed).standard_t(3, size=400) for seed in range(6)]
    slowly = [one_arm.outliers(x).tolist() for x in samples]
    assert sum(map(len, slowly)) > 6
    monkeypatch.setattr(one_arm, "_ALL_SIZES", 100)
    assert [one_arm.outliers(x).tolist() for x in samples] == slowly


@pytest.mark.parametrize("decimals", [1, 12])
def test_differences_of_many_runs_by_their_order(decimals, monkeypatch):
    monkeypatch.setattr(ranks, "_MOST_LEFT", 20)
    for _ in range(20):
        a, b = (np.sort(np.round(RNG.normal(size=n), decimals)) for n in RNG.integers(2, 40, 2))
        ordered = np.sort(np.subtract.outer(b, a).ravel())
        for k in range(0, len(ordered), 7):
            assert ranks._Differences(a, b).kth(k) == pytest.approx(ordered[k], abs=1e-12)


def test_arrangements_are_not_counted_where_that_alone_takes_long():
    for n_a, n_b in ((2, 20), (7, 7), (8, 8), (1, 15_000), (9, 9), (3, 60)):
        assert ranks.too_many_arrangements(n_a, n_b) == (math.comb(n_a + n_b, n_a) > ranks.MOST_ARRANGEMENTS)
    assert ranks.too_many_arrangements(500_000, 500_000)


def test_numbers_in_the_order_of_their_first_appearance():
    for codes in (RNG.integers(0, 9, 50), RNG.integers(0, 10**9, 50), np.arange(50)[::-1].copy()):
        seen = list(dict.fromkeys(codes.tolist()))
        found = numbered(codes)
        assert found.tolist() == [seen.index(code) for code in codes.tolist()]
        assert first_of(found).tolist() == [codes.tolist().index(code) for code in seen]
    assert keys_of([True, 1, "1", [1]], lambda cell: cell).keys == ["True", "1", "[1]"]
    assert keys_of([True, 1, 0], str).keys == ["True", "1", "0"]


def test_columns_of_text_become_numbers_cell_by_cell(tmp_path):
    text = "a,b,c,d\n" + "".join(f"{k},{k}.5,{k if k % 2 else f'{k}.0'},{'' if k % 3 else 'x'}\n" for k in range(1500))
    (tmp_path / "t.csv").write_text(text + "\n")
    table = as_table(tmp_path / "t.csv")
    assert table["a"] == list(range(1500))
    assert table["b"] == [k + 0.5 for k in range(1500)]
    assert all(type(cell) is (int if k % 2 else float) for k, cell in enumerate(table["c"]))
    assert table["d"][:3] == ["x", None, None]
    (tmp_path / "t.csv").write_text(text + "1,2\n")
    with pytest.raises(InputError, match=r"row 1501 of .* has 2 cells. Expected 4"):
        as_table(tmp_path / "t.csv")


def test_many_rows_are_read_as_few_are():
    arms = ["old", "new"]
    rows = {
        "method": [arms[k % 2] for k in range(4000)],
        "seed": [k // 2 for k in range(4000)],
        "score": RNG.normal(size=4000).tolist(),
    }
    table = read_scores(rows)
    assert table.cell("new").values.tolist() == rows["score"][1::2]
    assert table.cell("old").seeds == tuple(range(2000))
    assert table.cell("old").names[7] == "old seed 7"
    again = {name: column + column[:3] for name, column in rows.items()}
    assert read_scores(again).duplicates == 3
    again["score"][-1] += 1
    with pytest.raises(InputError, match=r"old seed 1 is there twice, .* \(rows 3 and 4003\)"):
        read_scores(again)
