"""The study of ensembles: its claims hold and miss where they should, and one repeat runs through."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import runspread as rs

pytest.importorskip("torch")
pytest.importorskip("sklearn")
FOLDER = Path(__file__).parents[2] / "studies" / "ensembles"
sys.path.insert(0, str(FOLDER))
analysis, ensembles, tasks = (importlib.import_module(name) for name in ("analysis", "ensembles", "tasks"))
sys.path.remove(str(FOLDER))
ORDER = ("hyper", "hyper-deep", "deep", "top-K", "hyper-batch", "batch", "hyper-batch, bounds frozen", "single")
IDENTITIES = {"gibbs gap": 0.01, "brier identity": 1e-16}
TASKS = {task.name: task for task in tasks.TASKS}


def facts(order, rng, forced=("hyper-deep", "fixed-init hyper")) -> dict:
    """Return what a repeat might have measured: NLL rises along `order` by 3 % a place."""
    ranked = [f"{kind}, K={size}" for size in tasks.SIZES for kind in order]
    places = {name: order.index(name.rpartition(", K=")[0]) for name in ranked}
    places |= {f"{kind}{analysis.FORCED}, K=3": place for place, kind in enumerate(forced)}
    rows = {}
    for name, place in places.items():
        nll = 1 + 0.03 * place + 0.002 * rng.random()
        rows[name] = {
            "nll": nll,
            "accuracy": 1 - nll / 10,
            "brier": nll / 2,
            "gibbs gap": 0.01,
            "brier identity": 1e-16,
        }
    return {"rows": rows}


def verdicts(order, **options) -> dict[str, bool | None]:
    rng = np.random.default_rng(0)
    measured = {TASKS[name]: [facts(order, rng, **options) for _ in range(6)] for name in ("digits", "mnist")}
    return {claim.name[0]: claim.holds for claim in analysis.claims(measured)}


def test_claims_hold_where_the_order_is_as_expected():
    assert verdicts(ORDER) == dict.fromkeys("1234567", True)


def test_claims_miss_where_it_is_not():
    assert verdicts(ORDER[::-1], forced=("fixed-init hyper", "hyper-deep")) == {
        **dict.fromkeys("134567", False),
        "2": True,
    }


def test_paired_differences_leave_out_what_was_not_measured():
    rng = np.random.default_rng(0)
    repeats = [facts(ORDER, rng) for _ in range(4)]
    del repeats[2]["rows"]["deep, K=3"]
    paired = analysis.Paired.of(repeats, "deep, K=3", "single, K=3")
    assert (len(paired), paired.better) == (3, 3)
    assert paired.p < 0.05


def test_one_repeat_runs_through_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(ensembles, "KAPPA", 5)
    digits = TASKS["digits"]
    tiny = dataclasses.replace(digits, fields={**digits.fields, "epochs": 1}, batch_repeats=0)
    found = ensembles.measure(tiny, 1, tmp_path, {})
    assert found["runs"] == len(rs.open_study(tmp_path / "digits" / "repeat-1" / "study").runs)
    for size in tasks.SIZES:
        alone, deep = found["rows"][f"single, K={size}"], found["rows"][f"deep, K={size}"]
        assert alone["nll"] == pytest.approx(deep["gibbs"], abs=1e-12)
        assert deep["members"] == size
    assert found["rows"]["same-budget hyper, K=5"]["trained"] == 25
    assert all(row["brier identity"] < 1e-12 for row in found["rows"].values())
    assert len(found["sizes"]["curves"]["deep"]) == 5
    again = ensembles.measure(tiny, 1, tmp_path, {})
    assert again["rows"] == found["rows"]
