"""What holds of every comparison of scores, whatever the numbers: swaps, scales, directions, order, formats."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from runspread.methods.scores import compare_scores, rank_scores

RNG = np.random.default_rng(11)
CASES = [
    (RNG.normal(size=n), RNG.normal(gap, 1 + gap, m))
    for n, m, gap in ((3, 3, 0.5), (2, 8, 1.0), (5, 9, 3.0), (4, 1, 2.0))
]
SWAPPED = {"better": "worse", "worse": "better", "undecided": "undecided"}


@pytest.mark.parametrize(("a", "b"), CASES)
def test_swapping_old_and_new(a, b):
    one, other = compare_scores(a, b, metric="return"), compare_scores(b, a, metric="return")
    d, e = one.difference, other.difference
    assert (e.diff, e.lo, e.hi, e.p) == pytest.approx((-d.diff, -d.hi, -d.lo, d.p))
    assert other.verdict() == SWAPPED[one.verdict()]
    assert other.ranks.p_superior == pytest.approx(1 - one.ranks.p_superior)
    assert other.ranks.p_perm == pytest.approx(one.ranks.p_perm, nan_ok=True)


@pytest.mark.parametrize(("a", "b"), CASES)
@pytest.mark.parametrize("scale", [3.7, -0.02])
def test_shift_and_scale(a, b, scale):
    """A negative scale with the direction turned leaves the verdict."""
    one = compare_scores(a, b, metric="return")
    moved = compare_scores(5 + scale * a, 5 + scale * b, metric="thing", lower_is_better=scale < 0)
    assert moved.verdict() == one.verdict()
    assert moved.difference.p == pytest.approx(one.difference.p)
    assert abs(moved.effect.hedges_g) == pytest.approx(abs(one.effect.hedges_g))
    assert moved.ranks.p_superior == pytest.approx(one.ranks.p_superior)


def test_the_order_of_rows_and_another_arm_change_nothing():
    rows = [
        {"method": name, "seed": k, "score": x}
        for name, case in zip("abc", CASES, strict=False)
        for k, x in enumerate(case[1])
    ]
    shuffled = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))]
    few = rank_scores([row for row in rows if row["method"] != "c"], lower_is_better=False)
    many = rank_scores(rows, lower_is_better=False)
    assert many.pairs.p_pairs[0] == pytest.approx(few.pairs.p_pairs[0])
    other = rank_scores(shuffled, lower_is_better=False)
    by_name = [dict(zip(one.names, one.mean.tolist(), strict=True)) for one in (many, other)]
    assert by_name[0] == pytest.approx(by_name[1])
    may = [dict(zip(one.names, one.maybe_best.tolist(), strict=True)) for one in (many, other)]
    assert may[0] == may[1]


def test_every_format_gives_the_same_json(tmp_path):
    a, b = CASES[2]
    frame = pd.DataFrame(
        {"method": ["old"] * len(a) + ["new"] * len(b), "val_loss": np.round(np.concatenate([a, b]), 6)}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in frame.to_dict("records")))
    found = {
        compare_scores(source, metric="val_loss").to_json()
        for source in (frame, tmp_path / "t.csv", tmp_path / "t.parquet", tmp_path / "t.jsonl")
    }
    assert len(found) == 1
