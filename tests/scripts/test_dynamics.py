"""The script of the study of training dynamics, on a task that takes seconds."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "studies" / "dynamics"


@pytest.fixture
def script(monkeypatch):
    for folder in (FOLDER, FOLDER.parent):
        monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("dynamics_study", FOLDER / "dynamics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dynamics_study", module)
    spec.loader.exec_module(module)
    return module


def test_it_trains_reads_and_judges_and_only_reads_when_called_again(script, tmp_path, monkeypatch, capsys):
    fields = {"hidden": (8,), "epochs": 4, "record": "2 steps"}
    tiny = script.Setting(title="digits", recipe="digits-mlp", fields=fields, threshold=0.3, runs=5)
    monkeypatch.setitem(script.SETTINGS["small"], "digits", tiny)
    monkeypatch.setattr(script, "FIT", {"restarts": 2, "iterations": 5, "covariance": "diag", "states": [1, 2, 3]})
    words = ["dynamics.py", "--only", "digits,mnist", "--work", str(tmp_path)]
    pages = []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", words)
        script.main()
        pages.append(capsys.readouterr())
    assert pages[0].out == pages[1].out
    assert "mnist: excluded, no --mnist" in pages[0].err
    assert "| digits: dissimilarity (tv) | below 0.1 |" in pages[0].out
    saved = json.loads((tmp_path / "small" / "figures-digits-mnist.json").read_text())
    assert [claim["name"] for claim in saved["claims"]] == [
        "digits: map", "digits: p", "digits: dissimilarity (tv)"
    ]  # fmt: skip
    assert saved["results"]["digits"]["map"]["run_ids"]
    assert (tmp_path / "small" / "figures" / "digits-map.png").exists()
    assert len(list((tmp_path / "small" / "digits" / "shards").iterdir())) >= 1


def test_ratio_and_interval(script):
    first, second = np.full(20, 30.0), np.full(30, 10.0)
    assert script._ratio(first, second) == (3.0, 3.0, 3.0)
    assert script.interval(np.full(9, 2.0)) == "2.00 (2.00 to 2.00)"
    low, high = script.interval(np.arange(100.0), digits=1).split("(")[1].rstrip(")").split(" to ")
    assert float(low) < 49.5 < float(high)
    assert 10 < float(high) - float(low) < 13  # 2 * 1.96 * 28.9 / 10 = 11.3


def test_every_setting_has_a_recipe_that_takes_it(script):
    import runspread as rs

    for size in script.SETTINGS.values():
        for setting in size.values():
            made = rs.recipe(setting.recipe, **setting.fields)
            assert setting.outcome.startswith(made.evaluate[0])
