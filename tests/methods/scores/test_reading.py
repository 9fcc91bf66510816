"""Tables of scores: columns, cells, units, directions, and which rows are one run."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from runspread._reading.scores.table import read_scores
from runspread._reading.scores.words import found_direction, spoken
from runspread.errors import InputError
from tests.conftest import SHARED

MESSY = SHARED / "real" / "scores" / "messy.csv"
messy = pytest.mark.skipif(not MESSY.is_file(), reason="the real scores (../shared/real) are not here")
ROWS = [
    {"method": method, "seed": seed, "score": value}
    for method, values in (("old", [0.80, 0.82, 0.81]), ("new", [0.84, 0.85, 0.83]))
    for seed, value in enumerate(values)
]


def write_csv(path, text):
    path.write_text(text)
    return path


def test_a_table_reads_alike_from_every_form(tmp_path):
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n")
    names = ("a.csv", "a.tsv", "a.parquet", "a.jsonl")
    for source in (frame, ROWS, frame.to_dict("list"), *(tmp_path / name for name in names)):
        table = read_scores(source)
        assert table.arms == ("old", "new")
        assert table.cell("new").values.tolist() == [0.84, 0.85, 0.83]
        assert table.cell("new").seeds == (0, 1, 2)


def test_a_line_that_is_no_json_object_is_named(tmp_path):
    with pytest.raises(InputError, match=r"line 2, .* Expected one JSON object per line"):
        read_scores(write_csv(tmp_path / "a.jsonl", '{"method": "a", "score": 1}\n[1]\n'))


@messy
def test_the_messy_table():
    table = read_scores(MESSY, by="method", metric="val_loss", where={"task": "mnist"})
    base, new = table.cell("base"), table.cell("new")
    assert (len(base), base.n_diverged, base.seeds) == (4, 1, (0, 1, 2, 4))
    assert (len(new), new.n_diverged, new.n_missing, new.seeds) == (4, 1, 1, (0, 1, 4, 5))
    assert table.duplicates == 1
    assert [(item.run, item.reason) for item in table.excluded] == [
        ("base seed 3", "diverged"),
        ("new seed 2", "diverged"),
        ("new seed 3", "no value"),
    ]
    assert len(base) + len(new) + len(table.excluded) + table.duplicates == 12
    assert read_scores(MESSY, metric="accuracy").units["accuracy"] == "percent"


@messy
def test_one_run_with_two_values_is_an_error_with_a_remedy_that_works():
    with pytest.raises(InputError, match=r"new seed 2 on cifar is there twice, with 0.91 and 0.88 .* repeats='mean'"):
        read_scores(MESSY, metric="val_loss")
    table = read_scores(MESSY, metric="val_loss", where={"task": "cifar"}, repeats="mean")
    assert table.cell("new").values.tolist() == pytest.approx([0.90, 0.89, 0.895])
    assert read_scores(MESSY, metric="val_loss", where={"task": "cifar"}, repeats="last").cell("new").values[2] == 0.88


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"method": ["a"], "model": ["b"], "score": [1.0]}, "2 columns may be the arm: method, model"),
        ({"method": ["a"], "score": [1.0], "result": [1.0]}, "2 columns may be the value: score, result"),
        ({"who": ["a"], "score": [1.0]}, "none of the columns who, score is known to name arms.* by="),
        ({"method": ["a"], "loss": [1.0]}, "none of the columns method, loss is known to hold values.* metric="),
        (
            {"method": ["a", "a"], "score": ["1,5", "2,5"]},
            "row 1 has '1,5' in column 'score'. Expected a number. Write 1.5",
        ),
        ({"method": ["a", "a"], "score": ["91%", "0.9"]}, "mixed units"),
        ({"method": ["a"], "score": [None]}, "no run has a finite value"),
    ],
)
def test_what_cannot_be_read_is_named(columns, message):
    with pytest.raises(InputError, match=message):
        read_scores(columns)


def test_fractions_beside_percents_are_refused_and_directions_asked_for():
    with pytest.raises(InputError, match=r"accuracy has mixed units: a lies between 0 and 1, b above 1\.5"):
        read_scores({"a": [0.9, 0.91], "b": [91.0, 92.0]}, metric="accuracy")
    with pytest.raises(InputError, match="is higher or lower better"):
        read_scores({"a": [1.0], "b": [2.0]}).lower_is_better()
    assert read_scores({"a": [1.0], "b": [2.0]}, lower_is_better=True).lower_is_better()
    with pytest.raises(InputError, match="better than anything"):
        read_scores({"a": [1.0, math.inf], "b": [2.0]}, metric="accuracy")


@pytest.mark.parametrize(
    ("metric", "lower"),
    [("val_loss", True), ("top1", False), ("eval/acc", False), ("F1", False), ("error_accuracy", None), ("step", None)],
)
def test_directions_by_name(metric, lower):
    assert found_direction(metric) is lower


def test_a_metric_in_words():
    assert spoken("val_loss") == "validation loss"
    assert spoken("") == "score"


def test_steps():
    rows = [{"method": "a", "seed": s, "step": t, "loss": 1 / t + s} for s in (1, 2) for t in (1, 2, 4)]
    rows.append({"method": "a", "seed": 1, "step": 5, "loss": 0.9})
    last = read_scores(rows, metric="loss")
    assert last.cell("a").values.tolist() == [0.9, 2.25]
    assert any("end at different steps, 4 to 5" in warning for warning in last.warnings)
    assert read_scores(rows, metric="loss", at=2).cell("a").values.tolist() == [1.5, 2.5]
    best = read_scores(rows, metric="loss", at="best")
    assert any("optimistic" in warning for warning in best.warnings)
    at_five = read_scores(rows, metric="loss", at=5)
    assert [(item.run, item.reason) for item in at_five.excluded] == [("a seed 2", "no step 5")]


def test_diverged_runs_can_be_the_worst_a_number_or_an_error():
    source = {"a": [1.0, math.nan], "b": [2.0, 3.0]}
    assert read_scores(source, metric="loss", diverged="worst").cell("a").values.tolist() == [1.0, math.inf]
    assert read_scores(source, metric="loss", diverged=7.0).cell("a").values.tolist() == [1.0, 7.0]
    with pytest.raises(InputError, match="diverged"):
        read_scores(source, metric="loss", diverged="raise")
    assert read_scores({"a": [math.nan], "b": [2.0]}, metric="loss").arms == ("a", "b")


def test_settings_that_vary_and_runs_that_look_twice_are_warned_of():
    rng = np.random.default_rng(0)
    values = rng.normal(size=8).tolist()
    rows = [{"method": "a", "seed": k, "lr": 0.1 * (1 + k % 2), "score": v} for k, v in enumerate([*values, values[3]])]
    warnings = " ".join(read_scores(rows).warnings)
    assert "Runs of a differ in lr (0.1 and 0.2): their spread is not of seeds alone." in warnings
    assert "a seed 3 and a seed 8 have the same value to all digits" in warnings
    rounded = [{"method": "a", "seed": k, "score": v} for k, v in enumerate([1.0, 1.1, 1.1, 1.2, 1.0, 0.9])]
    assert not read_scores(rounded).warnings


def test_of_many_arms_with_equal_runs_some_are_named():
    values = np.random.default_rng(0).normal(size=(40, 4)).tolist()
    arms = {f"arm {k}": [*own, own[0]] for k, own in enumerate(values)}
    warnings = read_scores(arms).warnings
    assert len(warnings) == 6
    assert warnings[-1] == (
        "Runs of 35 other arms have the same value to all digits too; of 40 arms about 1 do so by chance."
    )


def test_seeds_are_compared_as_numbers_and_errors_of_an_evaluation_are_no_runs():
    rows = [{"model": "a", "seed": s, "acc": 0.5 + s / 100, "stderr": 0.01} for s in (1.0, 2.0)]
    table = read_scores(rows, metric="acc")
    assert table.cell("a").seeds == (1, 2)
    frame = [{"model": "a", "seed": s, "score": 0.5 + s / 100, "stderr": 0.01} for s in (1.0, 2.0)]
    assert any("stderr is ignored" in warning for warning in read_scores(frame).warnings)
    twins = read_scores([{"model": name, "score": 1.0} for name in ("Base", "base")])
    assert any("kept apart" in warning for warning in twins.warnings)


def test_texts_of_json_lines_may_hold_any_character(tmp_path):
    """U+2028 and U+0085 end a line for splitlines, and none of JSON: such a file was refused as no JSON."""
    rows = [{"method": "a", "seed": seed, "loss": seed / 9, "note": "x\u2028y\x85z"} for seed in range(3)]
    path = tmp_path / "scores.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert len(read_scores(path, metric="loss").cell("a")) == 3


def test_a_last_bit_makes_no_run_of_printed_values_suspicious():
    """Two values a rounding apart made that the step of the table, by which equal values could be no chance."""
    values = [0.91, 0.92, 0.92, 0.93, 0.93, 0.94, np.nextafter(0.94, 1)]
    assert read_scores({"a": values}, metric="loss").warnings == ()
