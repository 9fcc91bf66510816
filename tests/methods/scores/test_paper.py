"""LaTeX tables of scores: what is bold, how numbers are rounded, what the caption claims."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.scores import compare_scores, compare_tasks, rank_scores, run_scores
from runspread.methods.scores.paper import escaped

ARMS = {"a": [90.1, 90.3, 90.2], "b_2": [91.9, 92.1, 92.2], "c": [92.0, 92.3, 91.9]}


def body(text: str) -> dict[str, list[str]]:
    """Cells by arm."""
    lines = text.split("\\midrule\n")[1].split("\\bottomrule")[0].strip().splitlines()
    cells = [line.removesuffix(r" \\").split(" & ") for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_a_ranking_as_a_table():
    text = rank_scores(ARMS, metric="test_acc").to_latex(label="tab:x")
    assert body(text) == {
        "a": [r"90.20 $\pm$ 0.25"],
        r"b\_2": [r"\textbf{92.07 $\pm$ 0.38}"],
        "c": [r"\textbf{92.07 $\pm$ 0.52}"],
    }
    assert (
        r"\caption{Mean $\pm$ half-width of the 95\% confidence interval over 3 runs. Bold: not distinguishable from "
        r"the best at 95\% (multiple comparisons with the best).}" in text
    )
    assert r"test\_acc (\%) $\uparrow$" in text
    assert r"\label{tab:x}" in text
    for start in ("table", "tabular"):
        assert text.count(rf"\begin{{{start}}}") == text.count(rf"\end{{{start}}}") == 1


def test_what_the_plus_minus_is_is_said():
    found = rank_scores(ARMS, metric="acc")
    sd, se = found.to_latex(pm="sd"), found.to_latex(pm="se")
    assert body(sd)["a"] == [r"90.20 $\pm$ 0.10"]
    assert body(se)["a"] == [r"90.200 $\pm$ 0.058"]
    assert r"Mean $\pm$ standard deviation over 3 runs" in sd
    assert r"Mean $\pm$ standard error of the mean over 3 runs" in se
    with pytest.raises(InputError, match="pm"):
        found.to_latex(pm="ci")
    assert r"\caption{Mine}" in found.to_latex(caption="Mine")


def test_nothing_is_bold_where_no_arm_can_be_ruled_out_or_the_direction_is_unknown():
    none = rank_scores({"a": [1.0, 2.0, 3.0], "b": [1.5, 2.5, 3.5]}, metric="return").to_latex()
    assert "textbf" not in none
    assert r"No arm can be ruled out as the best at 95\%: none is bold." in none
    unknown = run_scores({"a": [1.0, 1.1], "b": [9.0, 9.1]}, metric="thing").to_latex()
    assert "textbf" not in unknown
    assert "Bold" not in unknown
    assert "arrow" not in unknown


def test_tasks_in_columns_with_holes_and_diverged_runs():
    rng = np.random.default_rng(0)
    rows = [
        {"method": m, "task": t, "seed": s, "val_loss": 2.0 - 0.5 * (m == "new") + 0.01 * rng.normal()}
        for m in ("old", "new")
        for t in ("x&y", "z")
        for s in range(3)
        if (m, t) != ("old", "z")
    ]
    rows[0]["val_loss"] = math.nan
    text = run_scores(rows, metric="val_loss").to_latex()
    assert r" & \multicolumn{2}{c}{val\_loss $\downarrow$} \\" in text
    assert r" & x\&y & z \\" in text
    cells = body(text)
    assert cells["old"][0].endswith(r"$^{\dagger}$")
    assert cells["old"][1] == "--"
    assert cells["new"][0].startswith(r"\textbf{")
    assert cells["new"][1].startswith("1.5")
    assert r"$^{\dagger}$Diverged and excluded: 1 of 3 runs of old (x\&y)." in text
    stand_in = run_scores(rows, metric="val_loss", diverged=9.0).to_latex()
    assert "Diverged and counted as 9: 1 of 3 runs of old" in stand_in
    tasks = compare_tasks([{**row, "val_loss": row["val_loss"]} for row in _two_tasks()], metric="val_loss")
    assert set(body(tasks.to_latex())) == {"old", "new"}


def _two_tasks():
    rng = np.random.default_rng(1)
    return [
        {"method": m, "task": t, "seed": s, "val_loss": 2.0 + 0.01 * rng.normal()}
        for m in ("old", "new")
        for t in "ab"
        for s in range(3)
    ]


def test_siunitx_columns_have_room_for_what_they_hold():
    values = {"a": [-1.25, -1.20, -1.30], "b": [10.0, 11.0, 12.0], "one": [3.0]}
    text = rank_scores(values, metric="return").to_latex(siunitx=True)
    assert "S[table-format=-2.2(3), separate-uncertainty, detect-weight" in text
    cells = body(text)
    assert cells["a"] == [r"-1.25 \pm 0.12"]
    assert cells["b"] == [r"\bfseries 11.00 \pm 2.48"]
    assert cells["one"][0].endswith("3.00")
    assert "One run alone has no interval" in text
    assert r"{return $\uparrow$}" in text


def test_two_arms_are_bold_by_the_test_of_their_verdict():
    found = compare_scores([0.412, 0.398, 0.405, 0.401], [0.391, 0.380, 0.388, 0.395], metric="val_loss")
    cells = body(found.to_latex())
    assert cells["new"][0].startswith(r"\textbf{0.3885")
    assert not cells["old"][0].startswith(r"\textbf")


def test_constant_runs_and_names():
    text = rank_scores({"a": [0.5, 0.5], "b": [0.25, 0.25]}, metric="acc").to_latex()
    assert body(text)["a"] == [r"0.50 $\pm$ 0.00"]
    assert escaped(r"a_b&c%d#e$f{g}h~i^j\k") == (
        r"a\_b\&c\%d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k"
    )
    assert r"$-$1.00" in rank_scores({"a": [-1.0, -1.0], "b": [0.25, 0.25]}, metric="return").to_latex()


# ---------------------------------------------------------------------- whether TeX could read it

HOSTILE = ("a_b", "50% & more", "{x", "$y$ ~^\\", "#1\n\n2", "naïve")


def columns_of(spec: str) -> int:
    """Return the number of columns of a tabular's format, the options of S columns apart."""
    return len(re.findall("[lcrS]", re.sub(r"\[[^]]*\]", "", spec)))


def assert_well_formed(text: str) -> None:
    """Braces and environments close, dollars pair, no special character is bare, each row has its cells."""
    text = "\n".join(line for line in text.split("\n") if not line.startswith("%"))
    bare = re.sub(r"\\[\\{}%&$#_~^]|\\[a-zA-Z]+\*?", lambda found: " " if found[0] != "\\\\" else "\n", text)
    depth = 0
    for mark in re.findall("[{}]", bare):
        depth += 1 if mark == "{" else -1
        assert depth >= 0, text
    assert depth == 0, text
    begun = re.findall(r"\\(begin|end)\{(\w+)\}", text)
    opened: list[str] = []
    for what, name in begun:
        if what == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    assert bare.count("$") % 2 == 0, text
    assert not re.search("[%#]", bare), text
    assert "\n\n" not in text, text  # a paragraph, which ends a cell with an error
    spec = re.search(r"\\begin\{tabular\}\{(.*)\}\n", text)
    assert spec
    wide = columns_of(spec[1])
    rows = [line for line in text.split("\n") if line.endswith(r"\\")]
    for line in rows:
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
        cells = len(re.findall(r"(?<!\\)&", line)) + 1
        assert cells + sum(spans) - len(spans) == wide, line
    assert len(rows) >= 2


def hostile_rows(tasks: tuple[str, ...] = ("",), metrics: tuple[str, ...] = ("accuracy",)) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    return [
        {"method": name, "task": task, "metric": metric, "seed": k, "value": float(80 + rng.normal(at, 0.3))}
        for at, name in enumerate(HOSTILE)
        for task in tasks
        for metric in metrics
        for k in range(4)
    ]


@pytest.mark.parametrize("siunitx", [False, True])
@pytest.mark.parametrize("pm", ["interval", "sd", "se"])
def test_tables_can_be_read_whatever_names_hold(siunitx, pm):
    how = {"siunitx": siunitx, "pm": pm}
    several = hostile_rows(tasks=("t_1", "50%"), metrics=("top1_acc", "val_loss"))
    assert_well_formed(rs.rank(hostile_rows()).to_latex(**how))
    assert_well_formed(rs.rank(hostile_rows(tasks=("t_1", "50%"))).to_latex(**how))
    assert_well_formed(rs.summary(several).to_latex(**how))
    two = [row for row in hostile_rows() if row["method"] in HOSTILE[:2]]
    assert_well_formed(rs.compare(two).to_latex(**how, label="tab:x"))


def test_the_table_of_evaluations_can_be_read():
    rng = np.random.default_rng(0)
    rows = [
        {"item": i, "model": name, "score": int(rng.random() < 0.3 + at / 10), "task": f"b_{i % 2}"}
        for at, name in enumerate(HOSTILE)
        for i in range(40)
    ]
    assert_well_formed(rs.evaluations(rows).to_latex(caption="Models", label="tab:models"))


@pytest.mark.parametrize(
    "broken",
    [
        "\\begin{tabular}{lc}\na & b & c \\\\\nd & e \\\\\n\\end{tabular}\n",
        "\\begin{tabular}{lc}\na & {b \\\\\nd & e \\\\\n\\end{tabular}\n",
        "\\begin{tabular}{lc}\na & 5% \\\\\nd & e \\\\\n\\end{tabular}\n",
        "\\begin{table}\n\\begin{tabular}{lc}\na & b \\\\\nd & e \\\\\n\\end{table}\n\\end{tabular}\n",
    ],
)
def test_the_check_sees_what_is_broken(broken):
    with pytest.raises(AssertionError):
        assert_well_formed(broken)
