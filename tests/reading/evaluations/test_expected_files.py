"""Real and made files of harnesses beside the checkout: every value of ``expected.json``."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

import runspread as rs
from runspread.methods.evaluations import Answers, read_evals
from tests.conftest import SHARED

FOLDER = SHARED / "evals"
if not FOLDER.is_dir():
    pytest.skip("the evaluation files are not beside the checkout", allow_module_level=True)
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
ZSTANDARD = any(importlib.util.find_spec(name) for name in ("zstandard", "pyarrow", "compression"))
EXACT = 1e-12


def means(answers: Answers) -> dict[str, tuple[int, int, float]]:
    """Items, answers and mean of each model."""
    found = rs.evaluations(answers).models
    return {one.model: (one.counts.n_items, one.counts.n_answers, one.mean) for one in found}


@pytest.fixture(autouse=True)
def files_stay_as_they_are():
    def sums() -> dict[Path, str]:
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.rglob("*") if path.is_file()}

    before = sums()
    yield
    assert sums() == before


@pytest.mark.parametrize("name", ["humaneval_counts.csv", "gpqa_epochs.csv"])
def test_tables(name):
    found = means(read_evals(FOLDER / name))
    wanted = EXPECTED[name]["models"]
    assert found.keys() == wanted.keys()
    for model, values in wanted.items():
        items, samples, mean = found[model]
        assert (items, samples) == (values["items"], values["samples"])
        assert mean == pytest.approx(values["accuracy"], abs=EXACT)


def test_swe_bench():
    lists = FOLDER / "swebench" / "evaluation"
    found = means(read_evals(lists, items=FOLDER / "swebench" / "items.txt"))
    for model, values in EXPECTED["swebench"]["models"].items():
        items, _, mean = found[model]
        assert items == values["items_100"]
        assert round(mean * items) == values["resolved_100"]
        resolved = json.loads((lists / "verified" / model / "results" / "results.json").read_text())["resolved"]
        assert len(resolved) == values["resolved_all"]


def test_a_list_of_what_was_resolved_has_no_denominator():
    with pytest.raises(rs.RunspreadError, match="not what was tried"):
        read_evals(FOLDER / "swebench" / "evaluation")


def test_a_run_report_brings_what_was_submitted():
    report = FOLDER / "swebench" / "report.run.json"
    written = json.loads(report.read_text())
    found = read_evals(report)
    assert means(found) == {"report": (100, 100, pytest.approx(written["resolved_instances"] / 100, abs=EXACT))}
    assert any("100 of 500 instances were submitted" in note for note in found.notes)
    assert len(found.clusters) == 12


@pytest.mark.parametrize("name", EXPECTED["inspect_real"]["logs"])
def test_real_logs_of_inspect(name):
    wanted = EXPECTED["inspect_real"]["logs"][name]
    answers = read_evals(FOLDER / "inspect_real" / name)
    assert answers.models == (wanted["model"],)
    assert answers.tasks == (wanted["task"],)
    assert len(answers.items) == wanted["items"]
    if not wanted["scores"]:
        assert any(problem.reason == "no scorer ran" for problem in answers.problems)
        return
    assert answers.metric == "match"
    one = rs.evaluations(answers).models[0]
    assert one.mean == pytest.approx(wanted["scores"]["match"]["accuracy"], abs=EXACT)
    assert one.variances.se_unclustered == pytest.approx(wanted["scores"]["match"]["stderr"], abs=EXACT)


@pytest.mark.skipif(not ZSTANDARD, reason="no package that reads Zstandard")
@pytest.mark.parametrize(("metric", "key"), [("match", "accuracy_match"), ("closeness", "mean_closeness")])
@pytest.mark.parametrize("name", EXPECTED["inspect_made"]["logs"])
def test_logs_with_zstandard_members(name, metric, key):
    wanted = EXPECTED["inspect_made"]["logs"][name]
    answers = read_evals(FOLDER / "inspect_made" / name, by="arm", seed="training_seed", metric=metric)
    assert answers.models == (wanted["arm"],)
    assert answers.seeds == (str(wanted["training_seed"]),)
    one = rs.evaluations(answers, on="models").models[0]
    assert (one.counts.n_items, one.counts.n_answers) == (wanted["items"], wanted["items"] * wanted["epochs"])
    assert one.mean == pytest.approx(wanted[key], abs=EXACT)
    assert answers.problems == ()


@pytest.mark.skipif(not ZSTANDARD, reason="no package that reads Zstandard")
def test_trainings_and_clusters_of_logs_by_their_keys():
    found = rs.evaluations(FOLDER / "inspect_made", by="metadata.arm", seed="training_seed", clusters="passage")
    assert [one.counts.n_seeds for one in found.models] == [3, 3]
    assert found.question.clusters == "passage"
    assert found.models[0].counts.n_clusters == 6
    unnamed = rs.evaluations(FOLDER / "inspect_made", by="arm")
    assert [one.counts.n_seeds for one in unnamed.models] == [1, 1]
    assert any("taken for one checkpoint's" in note for note in unnamed.warnings)


def test_lm_evaluation_harness():
    for folder, run in EXPECTED["lm_eval"]["runs"].items():
        for task, values in run["results"].items():
            for metric in ("acc", "acc_norm"):
                answers = read_evals(FOLDER / "lm_eval" / folder, metric=metric)
                one = rs.evaluations(answers).models[0]
                assert answers.tasks == (task,)
                assert one.model == run["model"]
                assert one.counts.n_items == run["n_samples"][task]["effective"]
                assert one.mean == pytest.approx(values[f"{metric},none"], abs=EXACT)
                assert one.variances.se_unclustered == pytest.approx(values[f"{metric}_stderr,none"], abs=EXACT)
        assert any("may have made up" in note for note in answers.notes)
        assert answers.seeds == ("",)


def test_helm():
    answers = read_evals(FOLDER / "helm")
    found = means(answers)
    for model, values in EXPECTED["helm"]["models"].items():
        assert found[model] == (20, 40, pytest.approx(values["exact_match"], abs=EXACT))
    assert len(answers.prompts) == values["trials"]
    left = sum(one["perturbed_rows_left_out"] for one in EXPECTED["helm"]["models"].values())
    assert any(f"Excluded: {left} perturbed instances." in note for note in answers.notes)


def test_tests_of_programs():
    for metric in ("base", "plus"):
        answers = read_evals(FOLDER / "evalplus", metric=metric)
        items, samples = EXPECTED["evalplus"]["items"], EXPECTED["evalplus"]["samples"]
        assert means(answers) == {
            "made": (items, items * samples, pytest.approx(EXPECTED["evalplus"][metric], abs=EXACT))
        }
    wanted = EXPECTED["humaneval"]
    found = means(read_evals(FOLDER / "humaneval"))
    assert list(found.values()) == [
        (wanted["items"], wanted["items"] * wanted["samples"], pytest.approx(wanted["passed"], abs=EXACT))
    ]


def test_what_the_specification_says_of_real_files():
    programs = rs.evaluations(FOLDER / "humaneval_counts.csv")
    ends = [tuple(round(100 * value, 1) for value in (one.mean, one.lo, one.hi)) for one in programs.models]
    assert ends == [(51.1, 41.0, 61.1), (82.4, 73.5, 88.8), (86.7, 78.8, 92.0)]
    shares = [round(100 * one.components[-1].share) for one in programs.sources.models]
    assert shares == [16, 18, 26]
    flips = [round(100 * rate.value, 1) for rate in programs.consistency.flip_within]
    assert flips == [7.8, 5.4, 6.1]
    gap = programs.differences[-1]
    assert [round(100 * value, 1) for value in (gap.diff, gap.lo, gap.hi)] == [4.3, -2.5, 11.0]
    assert gap.verdict == "undecided"
    gap = rs.evaluations(FOLDER / "gpqa_epochs.csv").differences[0]
    assert [round(100 * value, 1) for value in (gap.diff, gap.lo, gap.hi)] == [-10.1, -17.8, -2.4]
    how = {"items": FOLDER / "swebench" / "items.txt"}
    repositories = rs.evaluations(FOLDER / "swebench" / "evaluation", **how).differences[0]
    items = rs.evaluations(FOLDER / "swebench" / "evaluation", clusters="item", **how).differences[0]
    assert (items.discordant.n01, items.discordant.n10) == (6, 6)
    assert [round(100 * value, 1) for value in (items.lo, items.hi)] == [-6.9, 6.9]
    assert [round(100 * value, 1) for value in (repositories.lo, repositories.hi)] == [-4.2, 4.2]
    assert round(repositories.df, 1) == 4.8


@pytest.mark.skipif(not ZSTANDARD, reason="no package that reads Zstandard")
@pytest.mark.parametrize("metric", ["match", "closeness"])
def test_errors_that_inspect_prints_are_ours_without_clusters(metric):
    """Equal where they mean the same: independent questions, one checkpoint, answers to a question averaged."""
    for path in sorted((FOLDER / "inspect_made").glob("*.json")):
        scores = json.loads(path.read_text())["results"]["scores"]
        printed = next(one["metrics"]["stderr"]["value"] for one in scores if one["name"] == metric)
        found = rs.evaluations(path, metric=metric, clusters="passage").models[0].variances
        assert found.se_unclustered == pytest.approx(printed, rel=1e-9)
        assert found.var_items**0.5 != pytest.approx(printed, rel=1e-3)
