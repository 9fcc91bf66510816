from __future__ import annotations

import dataclasses
import json
import pickle
from typing import ClassVar

import numpy as np
import pytest

import runspread as rs
from runspread._relabelling import relabelled
from runspread._results import Part, keys_of
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


def rows_of(latex):
    lines = latex.splitlines()
    return lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]


def test_table_in_latex_puts_even_intervals_behind_a_plus_minus():
    columns = {"arm": ["a_1", "b&{c}"], "mean": [0.5, -2.0], "low": [0.4, -2.25], "high": [0.6, -1.75]}
    text = Table(columns, title="50 % of $x$").to_latex(label="tab:x")
    assert rows_of(text) == [r"a\_1 & $0.5 \pm 0.1$ \\", r"b\&\{c\} & $-2 \pm 0.25$ \\"]
    assert r"\caption{50 \% of \$x\$. $\pm$ is half the width of the interval of mean.}" in text
    assert r"\label{tab:x}" in text
    assert r"\toprule" in text


def test_table_in_latex_writes_uneven_intervals_out():
    columns = {"spread": ["real", "none"], "sd": [0.0, 1.0], "low": [0.0, None], "high": [0.34, None]}
    table = Table(columns, formats=dict.fromkeys(("sd", "low", "high"), ".2f"))
    assert rows_of(table.to_latex()) == [r"real & 0.00 [0.00, 0.34] \\", r"none & 1.00 \\"]
    assert "In brackets: the interval of sd." in table.to_latex()
    assert r"\caption{Mine.}" in table.to_latex(caption="Mine.")


def test_every_result_is_a_table_for_a_paper_and_says_what_its_intervals_are():
    found = rs.variance(correct=np.random.default_rng(0).integers(2, size=(6, 40)))
    assert "the 95\\% confidence interval of sd" in found.to_latex()
    assert found.to_markdown().startswith("| spread | sd |")
    assert list(found.to_pandas().columns) == list(found.table().columns)
    assert found.bibtex().startswith("@inproceedings{jordan2024variance,")


def test_unequal_columns_are_refused():
    with pytest.raises(InputError, match="different lengths"):
        Table({"a": [1], "b": [1, 2]})


def test_errors_say_found_expected_and_next():
    error = InputError("a", "b", "Do c.")
    assert str(error) == "a. Expected b. Do c."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("name", [name for name in rs.__all__ if name.endswith("Error")])
def test_error_tree(name):
    error = getattr(rs, name)("found", "expected", "hint")
    assert isinstance(error, rs.RunspreadError)
    assert str(error) == "found. Expected expected. hint"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Intervals(Part):
    """Group in which one key differs from its field."""

    keys: ClassVar = {"low": "ci_low"}

    low: float
    high: float
    replicates: np.ndarray
    inner: Result | None = None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Grouped(Result):
    """A result with a group of fields."""

    keys: ClassVar = {"confidence_level": "level"}
    replicate_fields = ("replicates", "values")

    confidence_level: float
    intervals: Intervals
    worst: str = ""

    def table(self):
        return Table({"low": [self.intervals.low]})

    def sentence(self):
        return "One interval."


@pytest.fixture
def grouped(result):
    intervals = Intervals(low=0.25, high=0.5, replicates=np.arange(2), inner=result)
    return Grouped(confidence_level=0.95, intervals=intervals, worst="0123456789abcdef")


def test_groups_of_fields_are_flat_in_dictionaries(grouped, result):
    plain = grouped.to_dict()
    assert "intervals" not in plain
    assert (plain["level"], plain["ci_low"], plain["high"], plain["replicates"]) == (0.95, 0.25, 0.5, [0, 1])
    assert plain["inner"] == result.to_dict() or np.isnan(plain["inner"]["values"][1])
    assert json.loads(grouped.to_json(replicates=True))["replicates"] == [0, 1]


def test_replicates_in_groups_are_left_out_of_json(grouped):
    found = json.loads(grouped.to_json())
    assert found["high"] == 0.5
    assert "replicates" not in found
    assert found["inner"]["values"] == [1.0, None, "inf"]  # a result inside leaves out its own replicates only


def test_results_are_made_of_flat_numbers():
    numbers = {"ci_low": 1.0, "high": 2.0, "replicates": np.zeros(1), "level": 0.9}
    made = Grouped.from_numbers(numbers, worst="a", warnings=("b",))
    assert (made.intervals.low, made.intervals.high, made.intervals.inner, made.confidence_level) == (1, 2, None, 0.9)
    assert (made.worst, made.warnings) == ("a", ("b",))
    with pytest.raises(TypeError, match="no field for hgih"):
        Grouped.from_numbers(numbers | {"hgih": 1.0})
    with pytest.raises(TypeError, match="high"):
        Grouped.from_numbers({"ci_low": 1.0, "replicates": np.zeros(1)}, confidence_level=0.9)


def test_runs_in_groups_get_their_names(grouped):
    @dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
    class Named(Part):
        best: str

    @dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
    class WithNames(Grouped):
        named: Named

    fields = {field.name: getattr(grouped, field.name) for field in dataclasses.fields(grouped)}
    found = relabelled(WithNames(**fields, named=Named(best="0123456789abcdef")), {"0123456789abcdef": "lr=0.1"})
    assert (found.worst, found.named.best, found.to_dict()["best"]) == ("lr=0.1",) * 3


def _result_classes():
    waiting = [Result]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("runspread."):
            yield cls


def test_no_two_fields_of_a_result_share_a_key():
    families = [getattr(rs.methods, name) for name in rs.methods.__all__]
    loaded = [getattr(family, name) for family in families for name in getattr(family, "__all__", ())]
    assert loaded
    for cls in _result_classes():
        keys = list(keys_of(cls))
        assert len(set(keys)) == len(keys), cls
