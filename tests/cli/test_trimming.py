"""``runspread trimming`` and ``runspread same``."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.methods.trimming import trimmed_examples, trimming_scores
from tests.factories import make_study


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The old runs, new runs of the same code, and new runs whose outputs are a tenth as large."""
    folder = tmp_path_factory.mktemp("same")
    old, new, changed = (folder / name for name in ("old", "new", "changed"))
    make_study(old, runs=8, examples=200, classes=2, seed=0)
    labels = rs.open_study(old).predictions("test").labels
    truth = np.eye(2)[labels]
    for path, scale, seed in ((new, 1.0, 1), (changed, 0.1, 2)):
        study, rng = rs.create_study(path, splits={"test": labels}), np.random.default_rng(seed)
        for number in range(8):
            with study.record(seeds=number, hyperparameters={"lr": 0.1}) as run:
                run.predictions("test", scale * (2 * truth + rng.normal(size=truth.shape)))
    return old, new, changed


def test_trimming(studies):
    result = invoke("trimming", studies[0], "--replicates", 5)
    assert result.exit_code == 0
    assert "8 runs" in result.output
    levels = rs.trimming(rs.open_study(studies[0]), replicates=5)
    found = json.loads(invoke("trimming", studies[0], "--replicates", 5, "--json").output)
    assert found["mean"] == levels.mean.tolist()
    assert found["run_ids"] == list(rs.open_study(studies[0]).runs.ids)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("many") / "study", runs=30, examples=60, classes=2)


def listed(output, study):
    """The runs that are named in a table, in its order."""
    ids = {name: id for id, name in study.run_names.items()}
    found = [line.strip().split("   ")[0] for line in output.splitlines()]
    return [ids[name] for name in found if name in ids]


@pytest.mark.parametrize(("words", "first", "last"), [((), 10, 10), (("--runs", 5), 3, 2), (("--runs", 1), 1, 0)])
def test_of_many_runs_the_least_and_the_most_typical_are_listed(many, words, first, last):
    by_level = rs.trimming(many, replicates=4).table()["run"]
    output = invoke("trimming", many.path, "--replicates", 4, *words).output
    assert listed(output, many) == by_level[:first] + by_level[30 - last :]
    assert f"... and {30 - first - last} more{' between the two ends' if last else ''} (--runs -1 lists all)" in output


def test_all_runs_or_none_can_be_listed(many):
    by_level = rs.trimming(many, replicates=4).table()["run"]
    everything = invoke("trimming", many.path, "--replicates", 4, "--runs", -1).output
    assert listed(everything, many) == by_level
    assert "more" not in everything.splitlines()[-1]
    assert listed(invoke("trimming", many.path, "--replicates", 4, "--runs", 0).output, many) == []
    assert len(json.loads(invoke("trimming", many.path, "--replicates", 4, "--json").output)["mean"]) == 30


def test_sizes_follow_the_levels(many):
    needed = rs.representative_size(many, replicates=4, epsilon=0.05)
    words = ("trimming", many.path, "--replicates", 4, "--epsilon", 0.05, "--sizes")
    output = " ".join(invoke(*words).output.split())
    assert needed.sentence() in output
    assert output.index("30 runs") < output.index(needed.sentence())
    found = json.loads(invoke(*words, "--json").output)
    assert found["representative_size"]["sizes"] == needed.sizes.tolist()
    assert found["mean"] == rs.trimming(many, replicates=4, epsilon=0.05).mean.tolist()


def test_trimming_options(studies):
    words = ("--against", studies[2], "--resample", "none", "--threshold", "0.2", "--reference", "ensemble", "--json")
    found = json.loads(invoke("trimming", studies[0], *words).output)
    assert found["delta"] == [0.2, 0.0]
    assert (found["resample"], found["reference"], found["n"]) == (None, "ensemble", 200)
    assert invoke("trimming", studies[0], "--reference", "mixtures").exit_code == 2


def test_same_answers_with_its_exit_status(studies):
    old, new, changed = studies
    yes = invoke("same", old, new, "--alpha", 0.05)
    assert yes.exit_code == 0
    assert "No difference is shown between 8 new and 8 old runs" in yes.output
    no = invoke("same", old, changed, "--alpha", 0.05)
    assert no.exit_code == 1
    assert "The outputs of 8 new and 8 old runs differ" in " ".join(no.output.split())
    assert json.loads(invoke("same", old, changed, "--json").output)["same"] is False


def test_same_that_cannot_answer_is_exit_status_2(studies, tmp_path):
    other = make_study(tmp_path / "other", examples=90, classes=2).path
    assert invoke("same", studies[0], other).exit_code == 2
    assert invoke("same", studies[0], studies[1], "--permutations", 20).exit_code == 2
    assert invoke("same", studies[0], studies[1], "--threshold", "0.9").exit_code == 0
    for permutations in (-1, 0):
        assert invoke("same", studies[0], studies[1], "--permutations", permutations).exit_code == 2
    (tmp_path / "empty.npy").touch()
    done = invoke("same", studies[0], tmp_path / "empty.npy")
    assert done.exit_code == 2
    assert "empty.npy cannot be read" in done.stderr


def test_files_of_outputs_give_the_answers_of_the_study(studies, tmp_path):
    old, new = (tmp_path / name for name in ("old.npy", "new.npy"))
    for path, folder in ((old, studies[0]), (new, studies[1])):
        np.save(path, rs.open_study(folder).predictions("test").to_array())
    words = ("--resample", "split", "--replicates", 5, "--json")
    found, expected = (json.loads(invoke("trimming", source, *words).output) for source in (old, studies[0]))
    assert found["levels"] == expected["levels"]
    found, expected = (json.loads(invoke("same", *pair, "--json").output) for pair in ((old, new), studies[:2]))
    assert found["level"] == expected["level"]
    assert invoke("same", old, studies[1], "--labels", "none.npy").exit_code == 2


def test_mode_published_has_its_threshold_and_shows_the_grid(studies):
    found = json.loads(invoke("trimming", studies[2], "--mode", "published", "--replicates", 5, "--json").output)
    assert found["threshold"] == "published"
    expected = rs.trimming(rs.open_study(studies[2]), mode="published", replicates=5)
    assert found["delta"] == list(expected.delta)
    shown = invoke("trimming", studies[2], "--mode", "published", "--replicates", 5).output
    assert "published mean" in shown
    assert f"published {np.median(expected.grid_mean):.3f};" in " ".join(shown.split())
    assert "published mean" not in invoke("trimming", studies[2], "--replicates", 5).output


@pytest.mark.parametrize("words", [("--mode", "published"), ("--reference", "ensemble"), ("--against", "OTHER")])
def test_sizes_refuse_what_they_have_no_use_for(studies, words):
    done = invoke("trimming", studies[0], "--sizes", *(studies[1] if word == "OTHER" else word for word in words))
    assert done.exit_code == 2
    assert f"--sizes cannot be combined with {words[0]}" in done.stderr


def test_resampling_goes_to_the_sizes_too(studies):
    words = ("--sizes", "--replicates", 3, "--json")
    for given, levels, sizes in (((), "bootstrap", "split"), (("--resample", "none"), None, None)):
        found = json.loads(invoke("trimming", studies[0], *words, *given).output)
        assert (found["resample"], found["representative_size"]["resample"]) == (levels, sizes)


def test_margins_and_seeds_can_be_chosen(studies, tmp_path):
    study = rs.open_study(studies[0])
    words = ("--margin", "pairwise", "--classes", "1,0", "--clip=-2,2", "--random-seed", 3, "--json")
    found = json.loads(invoke("trimming", studies[0], "--replicates", 3, *words).output)
    expected = rs.trimming(study, margin="pairwise", classes=(1, 0), clip=(-2, 2), seed=3, replicates=3)
    assert found["levels"] == expected.levels.tolist()
    assert (found["margin"], found["classes"], found["clip"], found["seed"]) == ("pairwise", [1, 0], [-2.0, 2.0], 3)
    found = json.loads(invoke("same", studies[0], studies[1], *words).output)
    assert (found["margin"], found["classes"], found["clip"], found["seed"]) == ("pairwise", [1, 0], [-2.0, 2.0], 3)
    assert invoke("trimming", studies[0], "--clip", "2").exit_code == 2
    file, labels = tmp_path / "old.npy", tmp_path / "labels.npy"
    np.save(file, study.predictions("test").to_array())
    np.save(labels, study.predictions("test").labels)
    for words in (("trimming", file, "--against", studies[1], "--replicates", 3), ("same", file, studies[1])):
        assert invoke(*words, "--margin", "true-class", "--labels", labels).exit_code == 0
    assert invoke("same", *studies[:2], "--labels", labels).exit_code == 2


def test_scores_and_examples(studies):
    words = ("--scores", "--examples", "--replicates", 5)
    output = " ".join(invoke("trimming", studies[2], *words).output.split())
    assert "churn with ensemble" in output
    assert "accuracy from" in output
    study = rs.open_study(studies[2])
    levels = rs.trimming(study, replicates=5)
    found = json.loads(invoke("trimming", studies[2], *words, "--json").output)
    assert found["scores"]["values"] == trimming_scores(study, levels=levels).values.tolist()
    assert "levels" not in found["scores"]
    assert found["examples"]["trimmed"] == trimmed_examples(study, levels=levels).trimmed.tolist()


def test_scalar_outputs_from_a_file(tmp_path):
    gaps = np.random.default_rng(0).normal(size=(6, 80))
    np.save(tmp_path / "gaps.npy", gaps)
    found = json.loads(invoke("trimming", tmp_path / "gaps.npy", "--replicates", 3, "--json").output)
    assert found["levels"] == rs.trimming(gaps, replicates=3).levels.tolist()


def test_progress_counts_to_the_end():
    gaps = np.random.default_rng(0).normal(size=(6, 80))
    for method in (rs.trimming, rs.representative_size):
        seen = []
        method(gaps, replicates=4, progress=lambda done, total, seen=seen: seen.append((done, total)))
        total = seen[0][1]
        assert seen == [(done, total) for done in range(1, total + 1)]
    seen = []
    rs.same(gaps, gaps + 1, permutations=99, progress=lambda *now: seen.append(now))
    assert seen[-1] == (99, 99)


def test_scores_are_refused_before_the_work(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "outputs.npy", rng.normal(size=(6, 50, 2)))
    np.save(tmp_path / "few.npy", rng.normal(size=(3, 50, 2)))
    np.save(tmp_path / "labels.npy", np.arange(50) % 2)
    done = invoke("trimming", tmp_path / "outputs.npy", "--scores")
    assert (done.exit_code, "Pass them as --labels FILE" in done.output) == (2, True)
    done = invoke("trimming", tmp_path / "few.npy", "--labels", tmp_path / "labels.npy", "--scores")
    assert (done.exit_code, "--scores needs at least 4 runs, but there are 3" in done.output) == (2, True)


def test_a_level_out_of_range_is_named(studies):
    assert "alpha 1.2. Expected a number from 0" in invoke("same", *studies[:2], "--alpha", 1.2).output


def test_json_has_the_resamplings_on_request_only(tmp_path):
    """D10: 1 MB for 64 runs."""
    np.save(tmp_path / "gaps.npy", np.random.default_rng(0).normal(size=(64, 40, 2)))
    plain = invoke("trimming", tmp_path / "gaps.npy", "--json", "--sizes").output
    assert len(plain) < 30_000
    found = json.loads(plain)
    assert len(found["mean"]) == 64
    assert not {"levels", "grid_levels", "class_levels"} & set(found)
    assert not {"levels", "distances"} & set(found["representative_size"])
    asked = json.loads(invoke("trimming", tmp_path / "gaps.npy", "--json", "--sizes", "--replicates", 3).output)
    assert np.shape(asked["levels"]) == (3, 64)
    assert np.shape(asked["representative_size"]["levels"])[2] == 3


def test_json_of_results_has_the_resamplings_on_request_only():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(8, 40, 3))
    levels = rs.trimming(logits, replicates=5)
    scored = trimming_scores(logits, rng.integers(3, size=40), levels=levels, resamples=9)
    assert "levels" not in json.loads(levels.to_json())
    assert "levels" in json.loads(levels.to_json(replicates=True))
    assert "levels" in levels.to_dict()
    inside = json.loads(scored.to_json())["levels"]
    assert "mean" in inside
    assert "class_levels" not in inside
    assert len(rs.same(logits, logits + 1, epsilon=0.1).to_json()) < 10_000
