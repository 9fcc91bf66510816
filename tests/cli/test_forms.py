"""``--latex`` and ``--markdown``: one place makes them for every command that prints the table of a result."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from runspread._cli import cli
from tests.factories import make_study

BOTH = (
    *("audit", "compare", "dynamics", "ensemble", "evaluations", "hyper-batch", "hyper-deep", "paradox", "plan"),
    *("rank", "recipes", "same", "sources", "spectra", "summary", "trimming", "variance"),
)


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("forms") / "study", runs=8).path


@pytest.mark.parametrize("name", BOTH)
def test_every_command_with_a_table_has_both_forms(name):
    command = cli.get_command(None, name)
    flags = {flag for option in command.params for flag in option.opts}
    assert {"--latex", "--markdown"} <= flags


@pytest.mark.parametrize("name", ["variance", "trimming --replicates 2"])
def test_in_latex_all_but_the_table_is_a_comment(study, name):
    found = invoke(*name.split(), study, "--latex")
    assert found.exit_code == 0, found.output
    before, table, after = found.stdout.partition("\\begin{table}")
    assert table
    assert all(line.startswith("%") for line in before.strip().splitlines())
    assert after.strip().endswith("\\end{table}")


@pytest.mark.parametrize("name", ["variance", "trimming --replicates 2", "recipes"])
def test_markdown_is_a_table_of_all_rows(study, name):
    found = invoke(*name.split(), *([] if name == "recipes" else [study]), "--markdown")
    assert found.exit_code == 0, found.output
    rows = [line for line in found.stdout.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in rows}) == 1
    assert len(rows) > (9 if "trimming" in name else 4)


@pytest.mark.parametrize("flags", [("--latex", "--markdown"), ("--latex", "--json"), ("--markdown", "--json")])
@pytest.mark.parametrize("name", ["variance", "trimming --replicates 2"])
def test_one_form_at_a_time(study, name, flags):
    found = invoke(*name.split(), study, *flags)
    assert found.exit_code == 2
    assert "one of them" in found.output


def test_a_comparison_of_outputs_in_latex(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 4
    for name in ("old", "new"):
        np.save(tmp_path / f"{name}.npy", 2 * np.eye(4)[labels] + rng.normal(size=(6, 100, 4)))
    np.save(tmp_path / "labels.npy", labels)
    words = ("compare", tmp_path / "old.npy", tmp_path / "new.npy", "--labels", tmp_path / "labels.npy", "--latex")
    found = invoke(*words)
    before, table, after = found.stdout.partition("\\begin{table}")
    assert table, found.output
    assert all(line.startswith("%") for line in before.strip().splitlines())
    assert after.partition("\\end{table}")[2].strip().startswith("% Verdict")
    assert invoke(*words, "--markdown").exit_code == 2


def test_of_scores_too(tmp_path):
    table = tmp_path / "scores.csv"
    table.write_text("arm,accuracy\n" + "".join(f"{arm},0.{at}\n" for arm in "ab" for at in (91, 93, 95)))
    for name in ("compare", "rank", "summary"):
        found = invoke(name, table, "--metric", "accuracy", "--by", "arm", "--markdown")
        assert "\n| " in found.output, found.output
        assert invoke(name, table, "--metric", "accuracy", "--by", "arm", "--markdown", "--latex").exit_code == 2
