from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods import Excluded, Result, Table


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Example(Result):
    """A result with every kind of field."""

    values: np.ndarray
    level: float

    def table(self):
        return Table({"value": self.values})

    def sentence(self):
        return "Of 3 <runs>, one is infinite."


@pytest.fixture
def result():
    return Example(values=np.array([1.0, np.nan, np.inf]), level=np.float64(0.5), excluded=(Excluded("a", "diverged"),))


def test_json_is_strict(result):
    decoded = json.loads(result.to_json(), parse_constant=pytest.fail)
    assert decoded["values"] == [1.0, None, "inf"]
    assert decoded["excluded"] == [{"run": "a", "reason": "diverged"}]


def test_results_are_frozen(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.level = 1.0


def test_notebook_html_escapes(result):
    html = result._repr_html_()
    assert "&lt;runs&gt;" in html
    assert "<runs>" not in html


def test_table_shows_itself():
    table = Table({"run": ["a", "b"], "accuracy": [0.5, None]}, formats={"accuracy": ".1%"}, title="Scores")
    assert [line.split() for line in str(table).splitlines() if line.strip()][1:] != []
    assert "50.0%" in str(table)
    assert "–" in str(table)
    assert table.to_pandas().shape == (2, 2)


def test_table_in_markdown():
    table = Table({"run": ["a|b", "c"], "accuracy": [0.5, None]}, formats={"accuracy": ".1%"}, title="Scores")
    assert table.to_markdown().splitlines() == [
        "| run | accuracy |",
        "| --- | ---: |",
        r"| a\|b | 50.0% |",
        "| c | – |",
    ]


def test_unequal_columns_are_refused():
    with pytest.raises(InputError, match="different lengths"):
        Table({"a": [1], "b": [1, 2]})


def test_errors_say_found_expected_and_next():
    error = InputError("a", "b", "Do c.")
    assert str(error) == "a; expected b. Do c."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("name", [name for name in rs.__all__ if name.endswith("Error")])
def test_error_tree(name):
    error = getattr(rs, name)("found", "expected", "hint")
    assert isinstance(error, rs.RunspreadError)
    assert str(error) == "found; expected expected. hint"
