"""``runspread evaluations``: what it prints, and its exit statuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from runspread._cli import cli


@pytest.fixture
def table(tmp_path):
    """Two models, three trainings, 80 items in 16 passages; the new one is better."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=80)
    path = tmp_path / "answers.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "seed", "item", "sample", "passage", "score"])
        for model, gap in (("old", 0.0), ("new", 1.5)):
            for seed in range(3):
                chance = 1 / (1 + np.exp(-(level + gap + 0.1 * rng.normal())))
                for item, p in enumerate(chance):
                    for sample in range(3):
                        writer.writerow(
                            [model, f"{model}{seed}", f"q{item}", sample, f"p{item % 16}", int(rng.random() < p)]
                        )
    return path


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["evaluations", *map(str, words)])
    return done.exit_code, done.output


def test_the_answer_and_its_parts(table):
    status, text = run(table)
    assert status == 0
    for part in ("new is", "better than old", "of the variance", "The verdict hangs on"):
        assert part in text
    status, text = run(table, "--cluster", "passage", "--baseline", "old", "--json")
    read = json.loads(text)
    assert (status, read["on"], read["clusters"]) == (0, "distribution", "passage")
    assert read["differences"][0]["n_items"] == 80


def test_statuses(table):
    assert run(table, "--baseline", "old", "--not-worse", 1)[0] == 0
    assert run(table, "--baseline", "new", "--not-worse", 1)[0] == 1
    assert run(table, "--baseline", "new")[0] == 1
    assert run(table, "--on", "models", "--equivalent", 1)[0] == 1
    assert run(table, "--samples-are", "runs", "--seed", "nowhere")[0] != 0
    status, text = run(table, "--baseline", "odd")
    assert status == 2
    assert "unknown model 'odd'" in text


def test_undecided_is_three_only_where_a_margin_was_asked(tmp_path):
    rows = ["model,item,score"] + [f"{m},{i},{(i + k) % 2}" for k, m in enumerate("ab") for i in range(30)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(rows))
    assert run(path)[0] == 0
    assert run(path, "--not-worse", 1)[0] == 3


def test_tries_plans_and_latex(table):
    status, text = run(table, "--pass-at", "1,3")
    assert status == 0
    assert "one of 3 tries is right" in text
    assert run(table, "--pass-at", "1,x")[0] == 2
    status, text = run(table, "--gap", 15, "--cost-training", 100, "--cost-sample", 0.01)
    assert status == 0
    assert "To decide a gap of 15 points" in text
    status, text = run(table, "--latex")
    assert r"\toprule" in text
    assert run(table, "--latex", "--gap", 5)[0] == 2


def test_problems_are_listed_and_errors_where_strict(table):
    (table.parent / "broken.eval").write_bytes(b"no zip")
    status, text = run(table.parent)
    assert status == 0
    assert "broken.eval" in text
    assert run(table.parent, "--strict")[0] == 2


def test_a_page_with_all_of_it(table):
    page = table.parent / "page.html"
    assert run(table, "--cluster", "passage", "--report", page)[0] == 0
    text = page.read_text()
    for part in (
        "Which model is better",
        "Where the spread comes from",
        "How often answers differ",
        "questions decide",
    ):
        assert part in text
    assert run(table, "--gap", 5, "--report", page)[0] == 2


def test_a_picture(table):
    assert run(table, "--plot", table.parent / "x.png")[0] == 0
    assert (table.parent / "x.png").stat().st_size > 1000
