"""``runspread demo`` as a newcomer calls it: all five methods answer, on the terminal and on the page."""

from __future__ import annotations

import html
import re

import pytest
from click.testing import CliRunner

from runspread._cli import cli
from runspread._cli.demo import QUESTIONS

from .conftest import demo

pytest.importorskip("torch")
pytest.importorskip("sklearn")

FINDINGS = {  # what each method finds in the study of 48 runs; numbers may differ between processors
    "Variance of training": r"at least 0\.\d+ are real",
    "Typical runs": r"^([1-9]|[1-3]\d|4[0-7]) of 48 runs are distinguishable",
    "Weight spectra": r"Against \w+, .* inside lr \((reversal|consistent)|distinguish.* of lr",
    "Training dynamics": r"48 runs fork into [2-9] routes.* Detours: state \d",
    "The best ensemble": r"chose [2-5] of 48 candidates",
}


def answers(done) -> dict[str, str]:
    """Return what was printed under each question, by the title of its section."""
    paragraphs = [part.strip().split("\n", 1) for part in done.stdout.split("\n\n")]
    return {title: text for question in paragraphs for title, asked in QUESTIONS.items() if question[0] == asked
            for text in question[1:]}  # fmt: skip


def check_page(folder, done):
    page = html.unescape((folder / "report.html").read_text())
    said = answers(done)
    assert list(said) == list(QUESTIONS)
    assert "Not available" not in done.stdout
    for title in QUESTIONS:
        assert title in page
    return page


def test_the_demo_answers_with_all_five_methods_on_the_terminal_and_on_the_page(small_demo):
    check_page(*small_demo)


def advised(done) -> list[list[str]]:
    return [line.partition("#")[0].split()[1:] for line in done.stdout.splitlines() if line.startswith("  runspread ")]


def test_the_three_commands_that_the_demo_advises_have_an_answer(small_demo):
    commands = advised(small_demo[1])
    assert [words[0] for words in commands] == ["compare", "paradox", "plan"]
    for words in commands:
        answer = CliRunner().invoke(cli, words)
        assert answer.exit_code in (0, 3), answer.output
        assert re.search(r"\d", answer.output)


@pytest.mark.slow
def test_each_method_finds_something_in_the_study_of_the_demo(tmp_path):
    done = demo(tmp_path / "study")
    check_page(tmp_path / "study", done)
    for title, found in FINDINGS.items():
        assert re.search(found, answers(done)[title]), (title, answers(done)[title])
    compare, paradox, plan = (CliRunner().invoke(cli, words) for words in advised(done))
    assert compare.exit_code == 0
    assert compare.output.startswith("Yes, lr=0.1 is better than lr=0.02")
    assert "reversal" in paradox.output or "aggregate only" in paradox.output
    assert re.search(r"A gap of 1\.00 percentage points needs \d+ runs", plan.output)
