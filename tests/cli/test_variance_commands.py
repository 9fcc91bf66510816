"""The commands on variance, comparison, plans, audit and sources."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.methods.variance import plan_runs
from tests.factories import make_study


@pytest.fixture
def invoke():
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def study_of(path, runs=12, scale=2.0, seed=0, examples=400, seeds=lambda number: number):
    rng = np.random.default_rng(99)
    labels = rng.integers(4, size=examples)
    study = rs.create_study(path, splits={"test": labels})
    noise = np.random.default_rng(seed)
    for number in range(runs):
        with study.record(seeds=seeds(number), id=f"run-{number}") as run:
            run.predictions("test", scale * np.eye(4)[labels] + noise.normal(size=(examples, 4)))
    return study


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    return study_of(folder / "old"), study_of(folder / "new", scale=3.0, seed=1)


def test_compare_is_a_gate(invoke, studies, tmp_path):
    old, new = (study.path for study in studies)
    alike = study_of(tmp_path / "alike", seed=2).path
    better = invoke("compare", old, new)
    assert better.exit_code == 0
    assert better.output.startswith("Yes, new is better than old on the distribution: new minus old is +")
    worse = invoke("compare", new, old)
    assert worse.exit_code == 1
    assert worse.output.startswith("No, old is worse than new")
    assert worse.output.endswith("Verdict: worse on the distribution (exit status 1)\n")
    same = invoke("compare", old, alike)
    assert same.exit_code == 3
    assert "Undecided" in same.output
    assert json.loads(invoke("compare", old, new, "--json").stdout)["delta"] < 0
    assert invoke("compare", old, new, "--on", "test-set").exit_code == 0


def test_compare_by_a_margin_in_points(invoke, studies, tmp_path):
    """The margin is in percentage points; exit status 0 shown, 1 the opposite, 3 undecided, 2 cannot be asked."""
    old, new = (study.path for study in studies)  # new is better by some 13 points
    for words, status, verdict in (
        (("--not-worse", 0.5), 0, "better"),
        (("--equivalent", 0.5), 1, "better"),
        (("--equivalent", 40), 0, "equivalent"),
    ):
        found = invoke("compare", old, new, *words)
        assert (found.exit_code, f"Verdict: {verdict} on the distribution" in found.output) == (status, True), words
    assert invoke("compare", new, old, "--not-worse", 0.5).exit_code == 1
    alike = study_of(tmp_path / "alike", seed=2).path
    assert invoke("compare", old, alike, "--not-worse", 0.01).exit_code == 3
    assert invoke("compare", old, alike, "--not-worse", 10).exit_code == 0
    facts = json.loads(invoke("compare", new, old, "--not-worse", 0.5, "--json").stdout)
    assert (facts["margin"], facts["asked"], facts["shown"]) == (0.005, "not worse", False)
    assert facts["diff"] < 0 < facts["delta"]
    for wrong in (("--not-worse", 0), ("--equivalent", 100), ("--not-worse", 1, "--equivalent", 1)):
        assert invoke("compare", old, new, *wrong).exit_code == 2
    assert "worse than new by more than 0.5 points" in invoke("compare", new, old, "--not-worse", 0.5).output


def test_compare_one_model_with_one(invoke, tmp_path):
    """It used to be undecided whatever the data."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "labels.npy", np.zeros(1000, int))
    for name, accuracy, runs in (("old", 0.7, 1), ("new", 0.9, 1), ("many", 0.7, 10)):
        np.save(tmp_path / f"{name}.npy", (rng.random((runs, 1000)) > accuracy).astype(int))
    labels = ("--labels", tmp_path / "labels.npy")
    for old in ("old", "many"):
        paths = tmp_path / f"{old}.npy", tmp_path / "new.npy"
        assert invoke("compare", *paths, *labels).exit_code == 3
        asked = invoke("compare", *paths, *labels, "--on", "models")
        assert (asked.exit_code, asked.output.startswith("Yes, for these ")) == (0, True)
        assert invoke("compare", *paths[::-1], *labels, "--on", "models").exit_code == 1


def test_compare_takes_clusters(invoke, studies, tmp_path):
    old, new = (study.path for study in studies)
    np.save(tmp_path / "groups.npy", np.arange(400) // 10)
    (tmp_path / "groups.csv").write_text("group\n" + "\n".join(f"g{index // 10}" for index in range(400)) + "\n")
    found = [
        json.loads(invoke("compare", old, new, "--clusters", tmp_path / name, "--json").stdout)
        for name in ("groups.npy", "groups.csv:group")
    ]
    assert found[0] == found[1]
    assert found[0]["n_clusters"] == 40
    assert "in 40 clusters" in invoke("compare", old, new, "--clusters", tmp_path / "groups.npy").output
    assert invoke("compare", old, new, "--clusters", tmp_path / "nowhere.npy").exit_code == 2


def test_compare_in_pairs(invoke, studies, tmp_path):
    old, new = (study.path for study in studies)
    found = invoke("compare", old, new, "--paired")
    assert found.exit_code == 0
    assert "over 12 pairs of runs with the same seeds" in found.output
    assert json.loads(invoke("compare", old, new, "--paired", "--json").stdout)["n_pairs"] == 12
    np.save(tmp_path / "runs.npy", np.zeros((3, 400), int))
    np.save(tmp_path / "labels.npy", np.zeros(400, int))
    files = invoke(
        "compare", tmp_path / "runs.npy", tmp_path / "runs.npy", "--labels", tmp_path / "labels.npy", "--paired"
    )
    assert files.exit_code == 2
    assert "without seeds" in files.stderr


def test_compare_answers_where_a_file_of_weights_is_damaged(invoke, tmp_path):
    """`variance` did and `compare` refused, though neither has a use for weights."""
    for name, scale in (("old", 1.0), ("new", 3.0)):
        study, rng = rs.create_study(tmp_path / name, splits={"test": np.arange(300) % 3}), np.random.default_rng(7)
        for seed in range(4):
            with study.record(seeds=seed) as run:
                run.predictions("test", scale * np.eye(3)[np.arange(300) % 3] + rng.normal(size=(300, 3)))
                run.weights({"layer": rng.normal(size=(20, 20))})
    file = sorted((tmp_path / "old").glob("shards/*/weights.safetensors"))[0]
    file.write_bytes(file.read_bytes()[:40])
    assert invoke("variance", tmp_path / "old").exit_code == 0
    found = invoke("compare", tmp_path / "old", tmp_path / "new")
    assert found.exit_code == 0
    assert "A part of what 1 run recorded is corrupt" in " ".join(found.output.split())


def test_the_statuses_of_compare_are_those_of_the_help(invoke):
    assert "exit status 1: worse is shown, 3: undecided" in " ".join(invoke("--help").output.split())


def test_compare_says_why_it_cannot(invoke, studies, tmp_path):
    other = make_study(tmp_path / "other")
    result = invoke("compare", studies[0].path, other.path)
    assert result.exit_code == 2
    assert "the same examples" in result.stderr


def test_plan(invoke, studies, tmp_path):
    old, new = (study.path for study in studies)
    a_priori = invoke("plan", "--error", 5, "--examples", 10_000, "--gap", 0.1)
    assert a_priori.exit_code == 0
    assert "A gap of 0.10 percentage points needs" in a_priori.output
    assert "for calibrated runs with independent errors" in " ".join(a_priori.output.split())
    from_study = json.loads(invoke("plan", old, "--gap", 1, "--json").stdout)
    assert from_study["runs_fixed_t"] == plan_runs(0.01, studies[0]).runs_fixed_t
    both = json.loads(invoke("plan", old, "--against", new, "--gap", 1, "--json").stdout)
    assert both["runs_dist"] is not None
    assert "runs of each show a gap" in invoke("plan", old, "--runs", 20).output
    np.save(tmp_path / "groups.npy", np.arange(400) // 10)
    options = ("--clusters", tmp_path / "groups.npy", "--gap", 1, "--examples", 4000)
    clustered = json.loads(invoke("plan", old, *options, "--json").stdout)
    groups = np.arange(400) // 10
    assert clustered["runs_needed"] == plan_runs(0.01, studies[0], n_examples=4000, clusters=groups).runs_needed
    wrong = invoke("plan", "--error", 5, "--examples", 100, "--gap", 1, "--clusters", "groups.npy")
    assert (wrong.exit_code, "Drop --clusters" in " ".join(wrong.stderr.split())) == (2, True)


@pytest.mark.parametrize(
    "words", [["--gap", 1], ["--error", 5, "--gap", 1], ["--error", 5, "--examples", 10], ["--gap", 1, "--runs", 2]]
)
def test_plan_refuses(invoke, words):
    result = invoke("plan", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_audit(invoke, studies, tmp_path):
    clean = invoke("audit", studies[0].path)
    assert clean.exit_code == 0
    assert "No sign of dependent seeds in 12 runs" in clean.output
    repeated = study_of(tmp_path / "repeated", seeds=lambda number: number % 6)
    flawed = invoke("audit", repeated.path)
    assert flawed.exit_code == 1
    assert "repeated seeds" in flawed.output


def test_sources(invoke, tmp_path):
    def seeds(number):
        if number < 6:
            return number + 10
        role = ("init", "order", "augment")[(number - 6) // 5]
        return {"init": 0, "order": 0, "augment": 0} | {role: 100 + number}

    study = study_of(tmp_path / "study", runs=21, seeds=seeds)
    result = invoke("sources", study.path)
    assert result.exit_code == 0
    assert "init alone" in result.output
    assert json.loads(invoke("sources", study.path, "--json").stdout)["names"] == ["all", "init", "order", "augment"]


def test_sources_of_a_study_without_design(invoke, studies):
    result = invoke("sources", studies[0].path)
    assert result.exit_code == 2
    assert "complete crossing" in result.stderr


def test_sources_of_several_studies(invoke, tmp_path):
    all_vary = study_of(tmp_path / "all", runs=6)
    init = study_of(tmp_path / "init", runs=5, seed=1, seeds=lambda number: {"init": number, "order": 0, "augment": 0})
    inferred = json.loads(invoke("sources", init.path, all_vary.path, "--json").stdout)
    assert inferred["names"] == ["all", "init"]
    named = invoke("sources", f"all={all_vary.path}", f"order={init.path}")
    assert named.exit_code == 0
    assert "order alone" in named.output
    twice = invoke("sources", all_vary.path, all_vary.path)
    assert twice.exit_code == 2
    assert "two studies belong to group 'all'" in twice.stderr


def test_files_of_outputs(invoke, studies, tmp_path):
    reader = studies[0].predictions()
    outputs = reader.to_array()
    outputs[1, 0, 0] = np.nan
    np.save(tmp_path / "logits.npy", outputs)
    np.save(tmp_path / "copies.npy", np.concatenate([outputs[2:4], outputs[2:3]]))
    np.save(tmp_path / "labels.npy", reader.labels)
    labels = ("--labels", tmp_path / "labels.npy")
    dropped = json.loads(
        invoke(
            "variance", tmp_path / "logits.npy", *labels, "--nan", "exclude", "--confidence-level", 0.9, "--json"
        ).stdout
    )
    assert (dropped["n_runs"], dropped["level"]) == (11, 0.9)
    planned = invoke("plan", tmp_path / "copies.npy", *labels, "--gap", 1)
    assert planned.exit_code == 0
    assert "from 2 runs" in planned.output  # a copy is no run
    audited = invoke("audit", tmp_path / "copies.npy")
    assert audited.exit_code == 1
    assert "copied runs" in audited.output


def test_options_that_would_be_ignored(invoke, studies):
    old = studies[0].path
    more = invoke("plan", old, "--gap", 1, "--examples", 100_000)
    assert more.exit_code == 0
    assert "on 100000 examples" in more.output
    assert invoke("plan", "--error", 5, "--examples", 100, "--gap", 1, "--against", "nowhere").exit_code == 2
    assert invoke("plan", old, "--against", old, "--gap", 1, "--examples", 100).exit_code == 2
    misspelt = invoke("audit", old, "--split", "tset")
    assert misspelt.exit_code == 2
    assert "split 'test'" in misspelt.stderr


@pytest.mark.parametrize("gap", [0, -1, 100, 150])
def test_a_gap_is_in_points(invoke, studies, gap):
    result = invoke("plan", studies[0].path, "--gap", gap)
    assert (result.exit_code, "percentage points between 0 and 100" in result.output) == (2, True)


def test_a_file_that_is_missing_is_no_study(invoke, tmp_path):
    result = invoke("variance", tmp_path / "nosuch.npy")
    assert (result.exit_code, "does not exist" in result.output, "study" in result.output) == (2, True, False)


@pytest.fixture(scope="module")
def clustered_study(tmp_path_factory):
    """A study whose runs share their errors inside clusters, with the clusters in files of each kind."""
    folder = tmp_path_factory.mktemp("clustered")
    rng = np.random.default_rng(1)
    clusters, labels = np.arange(400) // 10, rng.integers(4, size=400)
    study = rs.create_study(folder / "study", splits={"test": labels})
    for number in range(12):
        margin = 1 + 1.5 * rng.normal(size=40)[clusters]
        with study.record(seeds=number) as run:
            run.predictions("test", np.eye(4)[labels] * margin[:, None] + rng.normal(size=(400, 4)) / 2)
    np.save(folder / "clusters.npy", clusters)
    (folder / "examples.csv").write_text("patient\n" + "\n".join(f"p{c}" for c in clusters) + "\n")
    return folder, clusters


@pytest.mark.parametrize("name", ["clusters.npy", "examples.csv:patient"])
def test_variance_takes_clusters(invoke, clustered_study, name):
    folder, clusters = clustered_study
    found = invoke("variance", folder / "study", "--clusters", folder / name)
    expected = rs.variance(rs.open_study(folder / "study"), clusters=clusters)
    assert found.exit_code == 0
    assert "in 40 clusters" in found.output.replace("\n", " ")
    keys = json.loads(invoke("variance", folder / "study", "--clusters", folder / name, "--json").stdout)
    assert keys["ci_pop_hi_cluster"] == pytest.approx(expected.intervals.var_pop_high)
    assert keys["sd_pop"] == pytest.approx(list(expected.intervals.sd_pop))


def test_clusters_that_are_not_there(invoke, clustered_study):
    folder, _ = clustered_study
    found = invoke("variance", folder / "study", "--clusters", "patient")
    assert found.exit_code == 2
    assert "'patient' is not a file" in found.output


def test_clusters_beside_the_outputs(invoke, clustered_study, tmp_path):
    from safetensors.numpy import save_file

    folder, clusters = clustered_study
    outputs = np.concatenate(list(rs.open_study(folder / "study").predictions("test").chunks()))
    labels = rs.open_study(folder / "study").predictions("test").labels
    save_file({"logits": outputs, "labels": labels, "patient": clusters}, tmp_path / "runs.safetensors")
    found = invoke("variance", tmp_path / "runs.safetensors", "--clusters", "patient", "--json")
    expected = invoke("variance", folder / "study", "--clusters", folder / "clusters.npy", "--json")
    assert json.loads(found.stdout)["sd_pop"] == json.loads(expected.stdout)["sd_pop"]


def test_the_report_takes_clusters(invoke, clustered_study, tmp_path):
    folder, clusters = clustered_study
    found = invoke("report", folder / "study", "--clusters", folder / "clusters.npy", "-o", tmp_path / "report.html")
    assert found.exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert rs.variance(rs.open_study(folder / "study"), clusters=clusters).sentence() in page
    assert "from independent clusters" in page


def test_variance_of_samples_and_for_any_distribution(invoke, tmp_path):
    rng = np.random.default_rng(2)
    labels = rng.integers(3, size=60)
    np.save(tmp_path / "answers.npy", np.where(rng.random((40, 60)) < 0.7, labels, (labels + 1) % 3))
    np.save(tmp_path / "labels.npy", labels)
    words = ("variance", tmp_path / "answers.npy", "--labels", tmp_path / "labels.npy")
    assert "40 samples of one model per example" in invoke(*words, "--samples-are", "samples").output
    free = " ".join(invoke(*words, "--distribution", "any", "--confidence-level", 0.9).output.split())
    assert "90% CI" in free
    assert "not assuming normality" in free
    assert "With 40 runs, up to 5.6% of trainings may do worse" in free


def test_compare_refuses_the_same_runs_on_both_sides(invoke, studies):
    """`compare s s --equivalent 7` said yes."""
    old, _ = (study.path for study in studies)
    found = invoke("compare", old, old, "--equivalent", 7)
    assert found.exit_code == 2
    assert "12 runs of B, of which A has every one" in found.stderr
    assert "Pass other runs as the new configuration" in found.stderr


def test_compare_takes_samples(invoke, tmp_path):
    rng = np.random.default_rng(3)
    np.save(tmp_path / "labels.npy", np.zeros(300, int))
    for name, error in (("old", 0.4), ("new", 0.2)):
        np.save(tmp_path / f"{name}.npy", (rng.random((6, 300)) < error).astype(int))
    words = ("compare", tmp_path / "old.npy", tmp_path / "new.npy", "--labels", tmp_path / "labels.npy")
    found = invoke(*words, "--samples-are", "samples", "--on", "models")
    assert found.exit_code == 0
    assert "6 samples each, 300 examples" in " ".join(found.output.split())
    assert invoke(*words, "--samples-are", "samples").exit_code == 3
