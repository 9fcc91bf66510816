"""Files that mean something else than they seem to: each trap of the specification, on lookalikes."""

from __future__ import annotations

import json
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread._reading.evaluations.telling import holds_answers
from runspread.errors import InputError
from runspread.methods.evaluations import read_evals


def lm_line(doc: int, score: float, **more: object) -> str:
    record = {
        "doc_id": doc,
        "doc": {"question": "SECRET " * 50, "passage": f"p{doc % 5}"},
        "resps": [[["-0.1", "False"]]],
        "filter": "none",
        "metrics": ["acc"],
        "doc_hash": f"h{doc}",
        "acc": score,
    }
    return json.dumps(record | more)


def lm_run(folder: Path, lines: list[str], *, name: str = "m", date: str = "2026-01-01T00-00-00", **of) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"samples_t_{date}.jsonl").write_text("\n".join(lines) + "\n")
    results = {"results": {}, "config": {"model": "hf", "model_args": "pretrained=x"}, "model_name": name} | of
    (folder / f"results_{date}.json").write_text(json.dumps(results))
    return folder


def inspect_log(path: Path, scores: list[list[dict[str, object] | None]], **head: object) -> Path:
    """A zip with a sample for each item and epoch."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, epochs in enumerate(scores):
            for epoch, found in enumerate(epochs):
                record = {
                    "id": f"q{item}",
                    "epoch": epoch + 1,
                    "input": "SECRET",
                    "scores": found,
                    "metadata": {"k": "v"},
                }
                archive.writestr(f"samples/q{item}_epoch_{epoch + 1}.json", json.dumps(record))
        header = {"status": "success", "eval": {"task": "t", "model": "m", "metadata": {"seed": 3}}} | head
        archive.writestr("header.json", json.dumps(header))
    return path


def match(value: object) -> dict[str, object]:
    return {"match": {"value": value}}


def test_two_files_of_a_model_are_repeats_unless_a_training_is_named(tmp_path):
    for seed in (1, 2):
        lines = [lm_line(doc, float((doc + seed) % 3 == 0)) for doc in range(30)]
        lm_run(tmp_path / f"seed{seed}", lines, date=f"2026-01-0{seed}T00-00-00")
    repeats = read_evals(tmp_path)
    assert repeats.seeds == ("",)
    assert rs.evaluations(repeats).models[0].counts.n_seeds == 1
    assert any("taken for one checkpoint's" in note for note in repeats.notes)
    named = read_evals(tmp_path, seed=r"seed(\d+)")
    assert named.seeds == ("1", "2")
    assert rs.evaluations(named).question.on == "distribution"
    assert read_evals(tmp_path, seed="DIR").seeds == ("seed1", "seed2")


def test_few_shot_seeds_are_prompts_and_no_trainings(tmp_path):
    for seed in (1, 2):
        config = {"model": "hf", "model_args": "pretrained=x", "fewshot_seed": seed}
        lines = [lm_line(doc, float((doc + seed) % 2)) for doc in range(10)]
        lm_run(tmp_path / str(seed), lines, config=config, **{"n-shot": {"t": 5}}, date=f"2026-01-0{seed}T00-00-00")
    found = read_evals(tmp_path)
    assert found.prompts == ("few-shot seed 1", "few-shot seed 2")
    assert found.seeds == ("",)


def test_filters_are_not_samples(tmp_path):
    lines = [lm_line(doc, score, filter=name) for doc in range(20) for name, score in (("strict", 0.0), ("loose", 1.0))]
    found = read_evals(lm_run(tmp_path, lines))
    assert len(found) == 20
    assert found.score.mean() == 0
    assert any("The filter is strict; there is also loose." in note for note in found.notes)
    assert read_evals(tmp_path, filter="loose").score.mean() == 1
    with pytest.raises(InputError, match=r"no filter 'odd'.*strict, loose"):
        read_evals(tmp_path, filter="odd")


def test_several_metrics_are_one_and_the_others_are_named(tmp_path):
    found = read_evals(lm_run(tmp_path, [lm_line(1, 1.0, metrics=["acc", "f1"], f1=0.25), lm_line(2, 0.0, f1=0.5)]))
    assert (found.metric, len(found)) == ("acc", 2)
    assert any("there is also f1" in note for note in found.notes)
    with pytest.raises(InputError, match=r"no metric 'bleu'.*acc, f1"):
        read_evals(tmp_path, metric="bleu")


def test_pairs_are_by_question_and_not_by_row(tmp_path):
    """The ids of a shuffled set are positions: the hash of the question is what pairs."""
    lines = [lm_line(doc, float(doc % 3 == 0)) for doc in range(30)]
    order = np.random.default_rng(0).permutation(30)
    other = [lm_line(at, float(doc % 3 == 0), doc_hash=f"h{doc}") for at, doc in enumerate(order.tolist())]
    lm_run(tmp_path / "a", lines, name="a")
    lm_run(tmp_path / "b", other, name="b")
    gap = rs.evaluations(tmp_path).differences[0]
    assert (gap.diff, gap.n_items) == (0, 30)
    assert gap.discordant.n01 == gap.discordant.n10 == 0


def test_another_question_under_an_id_is_refused():
    rows = [{"model": m, "item": i, "score": 1.0, "hash": f"{i}{m if i == 3 else ''}"} for m in "ab" for i in range(5)]
    with pytest.raises(InputError, match="item 3 is another question"):
        rs.evaluations(rows)


def test_models_without_a_common_item_are_refused():
    rows = [{"model": m, "item": f"{m}{i}", "score": i % 2} for m in "ab" for i in range(6)]
    with pytest.raises(InputError, match="no item in common"):
        rs.evaluations(rows)


def test_a_model_without_arguments_has_a_random_name(tmp_path):
    config = {"model": "dummy", "model_args": {}}
    for at, name in enumerate(("abcd", "wxyz")):
        lm_run(tmp_path / "mine" / str(at), [lm_line(1, 1.0), lm_line(2, at)], name=name, config=config)
    found = read_evals(tmp_path)
    assert len(found.models) == 2
    assert any("may have made up" in note for note in found.notes)
    assert read_evals(tmp_path, by=r"/(mine)/").models == ("mine",)


def test_equal_files_count_once(tmp_path):
    lines = [lm_line(doc, 1.0) for doc in range(5)]
    lm_run(tmp_path / "a", lines)
    lm_run(tmp_path / "b", lines)
    found = read_evals(tmp_path)
    assert len(found) == 5
    assert any("the same bytes as" in problem.reason for problem in found.problems)


def test_duplicate_rows_count_once_and_different_ones_are_a_problem():
    rows = [{"model": "a", "item": i, "sample": 0, "score": i % 2} for i in range(6)]
    found = rs.evaluations([*rows, rows[2]])
    assert found.models[0].counts.n_answers == 6
    assert any("1 row that repeats another" in note for note in found.warnings)
    torn = rs.evaluations([*rows, {**rows[3], "score": 0}])
    assert torn.models[0].mean == found.models[0].mean
    assert "another score for an answer that is there" in torn.excluded[0].reason


def test_old_files_of_the_harness(tmp_path):
    """No filter, metrics or hashes; or one list instead of lines."""
    records = [{"doc_id": i, "doc": {}, "target": "x", "resps": [], "acc": i % 2} for i in range(8)]
    (tmp_path / "samples_old_2023-01-01T00-00-00.jsonl").write_text(json.dumps(records))
    found = read_evals(tmp_path)
    assert (len(found), found.score.mean(), found.metric) == (8, 0.5, "acc")


def test_numbers_that_do_not_agree_with_the_report_are_a_problem(tmp_path):
    lm_run(tmp_path, [lm_line(1, 1.0), lm_line(2, 0.0)], results={"t": {"acc,none": 0.75}})
    assert any("it reports acc 0.7500" in problem.reason for problem in read_evals(tmp_path).problems)


def test_a_sample_with_an_error_is_left_out_or_wrong_as_named(tmp_path):
    path = inspect_log(tmp_path / "a.eval", [[match("C")], [match("I")], [None], [match("C")]])
    found = rs.evaluations(path)
    assert found.models[0].mean == pytest.approx(2 / 3)
    assert any("1 of 4 answers have no score" in problem.reason for problem in found.excluded)
    assert rs.evaluations(path, missing="zero").models[0].mean == 0.5


@pytest.mark.parametrize(
    ("value", "score"),
    [("C", 1), ("I", 0), ("P", 0.5), ("N", 0), (True, 1), ("yes", 1), ("no", 0), ("0.25", 0.25), (0.5, 0.5), (1, 1)],
)
def test_values_of_scores(tmp_path, value, score):
    found = read_evals(inspect_log(tmp_path / "a.eval", [[match(value)], [match("C")]]))
    assert found.score.tolist() == [score, 1]


def test_scorers_with_several_values_and_scores_that_are_none(tmp_path):
    path = inspect_log(
        tmp_path / "a.eval", [[{"s": {"value": {"x": 1, "y": 0}}}], [{"s": {"value": {"x": 0, "y": 0}}}]]
    )
    assert read_evals(path).metric == "s.x"
    assert read_evals(path, metric="s.y").score.sum() == 0
    odd = read_evals(inspect_log(tmp_path / "b.eval", [[match("maybe so")], [match("C")]]))
    assert any("maybe so" in problem.reason for problem in odd.problems)


def test_epochs_are_samples_and_logs_that_did_not_end_are_problems(tmp_path):
    path = inspect_log(tmp_path / "a.eval", [[match("C"), match("I")], [match("C"), match("C")]], status="error")
    found = read_evals(path)
    assert rs.evaluations(found).consistency.flip_within[0].value == pytest.approx(0.5)
    assert found.problems[0].reason == "the log has the status error"
    assert read_evals(path, seed="seed").seeds == ("3",)
    with pytest.raises(InputError, match="says nothing about 'nowhere'"):
        read_evals(path, seed="nowhere")


def test_a_log_whose_header_was_never_written(tmp_path):
    path = inspect_log(tmp_path / "a.eval", [[match("C")], [match("I")]])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.eval", "w") as new:
        for name in old.namelist():
            target = "_journal/start.json" if name == "header.json" else name
            new.writestr(target, old.read(name))
    found = read_evals(tmp_path / "b.eval")
    assert len(found) == 2
    assert "unfinished" in found.problems[0].reason


def test_one_bad_file_is_a_problem_and_the_others_are_read(tmp_path):
    inspect_log(tmp_path / "a.eval", [[match("C")], [match("I")]])
    (tmp_path / "b.eval").write_bytes(b"PK nothing")
    (tmp_path / "c.json").write_text('{"eval": {"task": "t", "model": "m"}, "samples": [{"id": 1, "epo')
    (tmp_path / "d.jsonl").write_text(lm_line(1, 1.0) + "\n{broken\n")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    found = read_evals(tmp_path)
    assert found.models[0] == "m"
    assert {problem.run for problem in found.problems} >= {"b.eval", "c.json", "d.jsonl", "notes.csv"}
    with pytest.raises(InputError, match="no answers in"):
        read_evals(tmp_path / "b.eval")


def test_perturbed_instances_and_other_splits_are_left_out(tmp_path):
    def entry(at: int, value: float, split: str = "test", **more: object) -> dict[str, object]:
        stat = {"name": {"name": "exact_match", "split": split}, "mean": value}
        return {"instance_id": f"id{at}", "train_trial_index": 0, "stats": [stat]} | more

    rows = [
        *(entry(at, at % 2) for at in range(10)),
        entry(1, 0, perturbation={"name": "typos"}),
        entry(99, 1, "valid"),
    ]
    folder = tmp_path / "mmlu:subject=x,model=org_m"
    folder.mkdir()
    (folder / "per_instance_stats.json").write_text(json.dumps(rows))
    found = read_evals(tmp_path)
    assert (found.models, len(found.items), found.score.mean()) == (("org_m",), 10, 0.5)
    assert any("1 perturbed instance." in note for note in found.notes)


def test_swe_bench_failures_are_wrong_and_repositories_are_clusters(tmp_path):
    report = {
        "total_instances": 500,
        "submitted_ids": ["a__b-1", "a__b-2", "c__d-1", "c__d-2"],
        "resolved_ids": ["a__b-1"],
        "empty_patch_ids": ["c__d-1"],
        "error_ids": ["c__d-2"],
    }
    (tmp_path / "agent.run1.json").write_text(json.dumps(report))
    found = read_evals(tmp_path)
    assert (found.models, found.score.mean(), found.clusters) == (("agent",), 0.25, ("a__b", "c__d"))
    one = tmp_path / "logs" / "other" / "a__b-1"
    one.mkdir(parents=True)
    (one / "report.json").write_text(json.dumps({"a__b-1": {"resolved": False, "patch_exists": True}}))
    assert set(read_evals(tmp_path).models) == {"agent", "other"}


def test_a_table_of_averages_is_refused(tmp_path):
    (tmp_path / "runs.csv").write_text("model,seed,accuracy\na,1,0.8\na,2,0.9\n")
    with pytest.raises(InputError, match="one row an answer"):
        rs.evaluations(tmp_path / "runs.csv")
    with pytest.raises(InputError, match="no column 'passage'"):
        rs.evaluations([{"item": 1, "score": 1}], clusters="passage")


def test_tables_of_counts_and_of_every_kind(tmp_path):
    rows = [{"model": "a", "item": i, "samples": 4, "correct": i % 5} for i in range(10)]
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "x.jsonl").write_text(lines)
    text = "model,item,samples,correct\n" + "\n".join(",".join(str(v) for v in row.values()) for row in rows)
    (tmp_path / "x.csv").write_text(text)
    found = [read_evals(tmp_path / name) for name in ("x.jsonl", "x.csv")]
    assert [len(one) for one in found] == [40, 40]
    assert {float(one.score.mean()) for one in found} == {0.5}
    with pytest.raises(InputError, match="5 of 4 samples right"):
        rs.evaluations([{"item": 1, "samples": 4, "correct": 5}])


def test_an_item_in_two_clusters_is_refused():
    rows = [{"model": m, "item": i, "cluster": f"{m}{i % 2}", "score": 1} for m in "ab" for i in range(6)]
    with pytest.raises(InputError, match="more than one cluster"):
        rs.evaluations(rows)


def test_samples_may_be_runs_where_it_is_said():
    rows = [{"model": "a", "item": i, "epoch": k, "score": (i * k) % 2} for i in range(20) for k in range(4)]
    assert rs.evaluations(rows).question.on == "models"
    named = rs.evaluations(rows, samples_are="runs")
    assert (named.question.on, named.models[0].counts.n_seeds) == ("distribution", 4)


def test_questions_and_answers_are_not_kept(tmp_path):
    found = read_evals(lm_run(tmp_path, [lm_line(doc, 1.0) for doc in range(20)]), clusters="passage")
    held = [found.models, found.tasks, found.items, found.seeds, found.prompts, found.clusters, found.notes]
    assert "SECRET" not in repr(held)
    assert len(found.clusters) == 5


def test_many_lines_take_little_memory(tmp_path):
    """Lines of 1 kB each: what is held is 48 bytes a line and the names of the items."""
    path = tmp_path / "x.jsonl"
    with path.open("w") as file:
        for line in range(8_000):
            row = {"model": "a", "item": line % 500, "score": line % 2, "answer": "x" * 1000}
            file.write(json.dumps(row) + "\n")
    tracemalloc.start()
    found = read_evals(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 8_000
    assert peak < 6e6


def test_a_json_log_is_read_a_sample_at_a_time(tmp_path):
    samples = [
        {"id": i, "epoch": 1, "scores": match("C" if i % 2 else "I"), "messages": "y" * 20_000} for i in range(400)
    ]
    path = tmp_path / "log.json"
    path.write_text(
        json.dumps({"version": 2, "status": "success", "eval": {"task": "t", "model": "m"}, "samples": samples})
    )
    tracemalloc.start()
    found = read_evals(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found), found.score.mean()) == (400, 0.5)
    assert peak < 6e6


def test_files_beside_those_that_are_read_are_no_answers(tmp_path):
    """SWE-bench counts by repository and HELM's display files look like answers, and are none."""
    (tmp_path / "resolved_by_repo.json").write_text(json.dumps({"a/b": {"resolved": 3, "total": 5}}))
    display = [{"instance_id": "id0", "train_trial_index": 0, "stats": {"exact_match": 1.0}}]
    (tmp_path / "display_predictions.json").write_text(json.dumps(display))
    with pytest.raises(InputError, match="no answers in"):
        read_evals(tmp_path)


def test_lists_that_name_what_was_not_resolved_have_a_denominator(tmp_path):
    lists = {"resolved": ["a__b-1"], "unresolved": ["a__b-2", "a__b-3"], "no_generation": ["a__b-4"]}
    folder = tmp_path / "agent" / "results"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(lists))
    found = read_evals(tmp_path)
    assert (found.models, len(found), found.score.sum()) == (("agent",), 4, 1)


def test_a_question_that_stands_for_its_id_is_not_kept(tmp_path):
    rows = [{"model": "a", "question": f"{i} SECRET" * 30, "correct": i % 2} for i in range(10)]
    found = rs.evaluations(rows)
    assert found.models[0].counts.n_items == 10
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert "SECRET" not in repr(read_evals(tmp_path).items)


def test_parquet_tables(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    columns = {"model": ["a"] * 6, "item": list(range(6)), "answer": ["SECRET"] * 6, "score": [0.0, 1.0] * 3}
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table(columns), tmp_path / "x.parquet")
    found = read_evals(tmp_path / "x.parquet")
    assert (len(found), found.score.mean()) == (6, 0.5)


def test_old_results_name_the_weights(tmp_path):
    lm_run(tmp_path, [lm_line(1, 1.0), lm_line(2, 0.0)], config={"model": "hf", "model_args": "pretrained=org/m,x=1"})
    results = tmp_path / "results_2026-01-01T00-00-00.json"
    held = json.loads(results.read_text())
    del held["model_name"]
    results.write_text(json.dumps(held))
    assert read_evals(tmp_path).models == ("org/m",)


def test_a_table_in_several_files_is_the_same_table(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"model": m, "seed": f"{m}{s}", "item": i, "score": int(rng.random() < 0.4 + 0.1 * s)}
        for m in "ab"
        for s in range(3)
        for i in range(30)
        for _ in range(2)
    ]
    for part in range(3):
        lines = [json.dumps(row) for row in rows[part::3]]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines))
    one, several = rs.evaluations(rows), rs.evaluations(tmp_path, baseline="a")
    for name in ("diff", "lo", "hi", "p"):
        assert getattr(one.differences[0], name) == pytest.approx(getattr(several.differences[0], name), rel=1e-12)


def test_without_a_package_for_zstandard_the_error_says_what_to_do(tmp_path, monkeypatch):
    from runspread._reading.evaluations import zstandard

    def absent(_: bytes) -> bytes:
        raise ImportError

    for name in ("_standard", "_zstandard", "_arrow"):
        monkeypatch.setattr(zstandard, name, absent)
    path = inspect_log(tmp_path / "a.eval", [[match("C")], [match("I")]])
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("header.json")
        with pytest.raises(rs.errors.MissingDependencyError, match=r"pip install zstandard.*inspect log convert"):
            zstandard.unpacked(archive, info)


def test_by_model_is_the_model_whatever_a_format_calls_it(tmp_path):
    """In results of lm-evaluation-harness `model` is the loader, the same for all."""
    for name in ("org/one", "org/two"):
        lm_run(tmp_path / name.replace("/", "_"), [lm_line(1, 1.0), lm_line(2, float(len(name) % 2))], name=name)
    (tmp_path / "agent.run.json").write_text(json.dumps({"submitted_ids": ["a__b-1"], "resolved_ids": []}))
    assert set(read_evals(tmp_path, by="model").models) == {"org/one", "org/two", "agent"}


def bad_zip(path: Path, damage: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        log = {"eval": {"task": "t", "model": "m"}, "words": [str(at) * 3 for at in range(300)]}
        archive.writestr("header.json", json.dumps(log))
        archive.writestr("samples/q_epoch_1.json", "{}")
    held = bytearray(path.read_bytes())
    central = held.index(b"PK\x01\x02")
    if damage == "stream":
        held[60:90] = bytes(30)
    elif damage == "encrypted":
        held[central + 8] |= 1
        held[6] |= 1
    else:
        held[central : central + 2] = b"XX"
    path.write_bytes(held)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("twice.json", '{"resolved": ["x"], "resolved": ["y"], "unresolved": []}', "'resolved' occurs twice"),
        ("more.json", '{"resolved_ids": [], "submitted_ids": ["a"]} {}', "Extra data"),
        ("large.jsonl", '{"item": 1, "score": ' + "1" * 400 + "}", "the score"),
        ("stream.eval", None, "decompressing"),
        ("encrypted.eval", None, "encrypted"),
        ("central.eval", None, "BadZipFile"),
    ],
)
def test_a_damaged_file_is_a_problem_and_the_others_are_read(tmp_path, name, content, match):
    path = tmp_path / name
    if content is None:
        bad_zip(path, path.stem)
    else:
        path.write_text(content)
    (tmp_path / "good.jsonl").write_text("\n".join(json.dumps({"item": at, "score": at % 2}) for at in range(4)))
    found = read_evals(tmp_path)
    assert len(found) == 4
    assert [one.run for one in found.problems] == [name]
    assert match in found.problems[0].reason
    assert holds_answers(path) == (name in ("large.jsonl", "stream.eval", "encrypted.eval"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "good.jsonl").write_text(json.dumps({"item": 1, "score": 1}))
    found = read_evals([tmp_path / "pipe.jsonl", tmp_path / "good.jsonl"])
    assert len(found) == 1
    assert "no regular file" in found.problems[0].reason


def test_a_line_without_end_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("runspread._reading.evaluations.lm_harness.LARGEST", 1000)
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"item": 1, "score": 1}) + "\n" + json.dumps({"item": "a" * 2000, "score": 1}))
    found = read_evals(path)
    assert len(found) == 1
    assert "line 2 of x.jsonl has more than" in found.problems[0].reason
