"""The verbs that take outputs and scores take answers of evaluations too, and take no table of scores for one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._reading.evaluations.telling import holds_answers
from runspread.errors import InputError
from runspread.methods.evaluations import EvaluationPlan, Evaluations, read_evals

RNG = np.random.default_rng(0)
ROWS = [
    {"model": name, "seed": f"{name}{s}", "item": i, "score": float(RNG.random() < 0.3 + 0.1 * k + 0.5 * (i % 2))}
    for k, name in enumerate("abc")
    for s in range(3)
    for i in range(60)
]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in ROWS))
    return file


def test_what_holds_answers(path, tmp_path):
    assert holds_answers(ROWS)
    assert holds_answers(path)
    assert holds_answers(str(tmp_path))
    assert holds_answers(read_evals(path))
    for scores in ([0.1, 0.2], {"a": [1.0, 2.0]}, {"model": ["a"], "seed": [1], "accuracy": [0.5]}, RNG.random((3, 4))):
        assert not holds_answers(scores)
    (tmp_path / "scores.csv").write_text("model,seed,accuracy\na,1,0.5\n")
    assert not holds_answers(tmp_path / "scores.csv")
    assert not holds_answers(tmp_path / "nowhere.csv")


def test_verbs_answer_by_item(path):
    two = [row for row in ROWS if row["model"] != "c"]
    for source in (two, read_evals(path)):
        found = rs.compare(source, baseline="a")
        assert isinstance(found, Evaluations)
        assert found.differences[0].p == rs.evaluations(source, baseline="a").differences[0].p
    ranked = rs.rank(path)
    assert isinstance(ranked, Evaluations)
    assert ranked.may_be_best == rs.evaluations(path).may_be_best
    plan = rs.plan(path, gap=0.2)
    assert isinstance(plan, EvaluationPlan)
    assert plan.designs


def test_keywords_without_effect_are_refused(path):
    with pytest.raises(InputError, match=r"paired=.* has no effect on answers of evaluations"):
        rs.compare(path, paired=True)
    with pytest.raises(InputError, match="runs= has no effect"):
        rs.plan(path, gap=0.1, runs=3)


def test_commands(path):
    def run(*words: object) -> tuple[int, str]:
        done = CliRunner().invoke(cli, list(map(str, words)))
        return done.exit_code, done.output

    status, text = run("compare", path, "--baseline", "a")
    assert "Against a" in text
    assert status in (0, 1, 3)
    assert "leads with" in run("rank", path)[1]
    status, text = run("plan", path, "--gap", 20, "--cost-training", 100, "--cost-sample", 0.01)
    assert (status, "To decide a gap of 20 points" in text) == (0, True)
    assert run("plan", path, "--gap", 20, "--runs", 3)[0] == 2
    assert run("plan", "--gap", 1, "--error", 5, "--examples", 1000, "--cost-sample", 3)[0] == 2
