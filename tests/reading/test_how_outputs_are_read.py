"""Outputs are read in one way by every public verb that takes them."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import runspread as rs
from runspread._reading.options import outcome_reading_of, reading_of
from runspread.errors import InputError
from runspread.methods.ensembles import diversity, ensemble_sizes, ood_detection, select_ensemble
from runspread.methods.trimming import trimmed_examples, trimming_scores
from runspread.methods.variance import (
    RunStatistics,
    best_seed_selection,
    independence_test,
    pair_deviations,
    perturbation_sensitivity,
    plan_gap,
    plan_runs,
    run_accuracies,
    run_statistics,
    two_group_tasks,
)

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
LOGITS = RNG.normal(size=(10, 60, 3)) + 2 * np.eye(3)[LABELS]
CLASSES = {
    "variance": rs.variance,
    "run_accuracies": run_accuracies,
    "calibration": rs.calibration,
    "independence_test": lambda x, y, **k: independence_test(x, y, resamples=5, **k),
    "pair_deviations": pair_deviations,
    "two_group_tasks": two_group_tasks,
    "best_seed_selection": best_seed_selection,
    "compare": lambda x, y, **k: rs.compare(x, x, y, **k),
    "sources": lambda x, y, **k: rs.sources({"all": x, "init": x}, y, **k),
    "poke": lambda x, y, **k: perturbation_sensitivity(x, x, x, x, **k),
    "scores": rs.ensemble_scores,
    "diversity": diversity,
    "select_ensemble": lambda x, y, **k: select_ensemble(x, y, 2, objective="error", folds=0, n_random=2, **k),
    "ensemble_sizes": lambda x, y, **k: ensemble_sizes(
        x, y, report=x, report_labels=y, objective="error", sizes=(1, 2), n_random=2, **k
    ),
    "plan_runs": lambda x, y, **k: plan_runs(0.2, x, y, **k),
    "plan_gap": lambda x, y, **k: plan_gap(3, x, y, **k),
    "trimming_scores": lambda x, y, **k: trimming_scores(x, y, resamples=20, **k),
    "outside_detection": lambda x, y, **k: ood_detection(x, x, **k),
    "audit": rs.audit,
}
SCALARS = {
    "trimming": lambda x, y, **k: rs.trimming(x, replicates=3, labels=y, **k),
    "trimmed_examples": lambda x, y, **k: trimmed_examples(x, labels=y, **k),
    "representative_size": lambda x, y, **k: rs.representative_size(x, replicates=3, sizes=[1, 2], labels=y, **k),
    "same_model": lambda x, y, **k: rs.same(x, x, epsilon=0.2, labels=y, **k),
}
ALL = CLASSES | SCALARS


def broken():
    bad = LOGITS.copy()
    bad[2, 4, 1], bad[4, 1, 0], bad[5, 3] = np.nan, np.inf, -np.inf
    bad[6, 0, 2] = -np.inf  # a mask
    return bad


@pytest.mark.parametrize("name", ALL)
def test_unusable_runs_are_excluded_counted_and_named(name):
    found = ALL[name](broken(), LABELS)
    assert {item.run.rpartition(": ")[2] for item in found.excluded} >= {"run 2", "run 4", "run 5"}
    assert "run 6" not in {item.run for item in found.excluded}
    assert "excluded" in found.sentence().lower()
    with pytest.raises(InputError):
        ALL[name](broken(), LABELS, nan="raise")
    with pytest.raises(InputError, match="has usable outputs"):
        ALL[name](np.full((3, 60, 3), np.nan), LABELS)


@pytest.mark.parametrize("name", CLASSES)
def test_two_axes_of_floats_are_refused(name):
    with pytest.raises(InputError, match=r"pass x\[None\]"):
        CLASSES[name](RNG.normal(size=(10, 60)), LABELS)


@pytest.mark.parametrize("name", ALL)
def test_one_column_of_sigmoids_asks_for_a_kind(name):
    labels = np.arange(60) % 2
    odds = RNG.normal(size=(10, 60, 1)) + (2 * labels - 1)[:, None]
    shares = 1 / (1 + np.exp(-odds))
    with pytest.raises(InputError, match="kind= to say which"):
        ALL[name](shares, labels)
    ALL[name](shares, labels, kind="probabilities")


@pytest.mark.parametrize("name", ALL)
def test_a_path_is_what_lies_there(tmp_path, name):
    for run, outputs in enumerate(LOGITS):
        np.save(tmp_path / f"run_{run}.npy", outputs)
    np.save(tmp_path / "labels.npy", LABELS)
    direct = ALL[name](LOGITS, LABELS)
    forms = (str(tmp_path), str(tmp_path / "run_*.npy"), [tmp_path / f"run_{run}.npy" for run in range(10)])
    for source in forms if name in ("variance", "scores", "trimming") else forms[:1]:
        found = ALL[name](source, LABELS)
        assert found.excluded == direct.excluded
        assert found.sentence().replace("run_", "run ") == direct.sentence()
        ids = found.to_dict().get("run_ids", ())
        assert len(ids) in (0, 10)
        assert name != "variance" or ids
        assert not ids or ids[1] == "run_1"
    np.savez(tmp_path.parent / f"{name}.npz", a=LOGITS, b=LOGITS)
    with pytest.raises(InputError, match="key="):
        rs.open_outputs(tmp_path.parent / f"{name}.npz")
    assert rs.open_outputs(tmp_path.parent / f"{name}.npz", LABELS, key="a").shape == LOGITS.shape


def test_bfloat16_opens(tmp_path):
    types = pytest.importorskip("ml_dtypes")
    save_file({"logits": LOGITS.astype(types.bfloat16), "labels": LABELS}, tmp_path / "x.safetensors")
    assert rs.variance(rs.open_outputs(tmp_path / "x.safetensors")).n_runs == 10


def test_labels_of_another_axis():
    with pytest.raises(InputError, match=r"pass x\[None\]|Pass x\[None\]"):
        rs.variance(LOGITS[0], LABELS)


def recorded(path, outputs, labels, **options):
    study = rs.create_study(path, splits={"test": labels})
    for seed, one in enumerate(outputs):
        with study.record(seeds=seed) as run:
            run.predictions("test", one, **options)
    return rs.open_study(path)


def test_recorded_probabilities_keep_their_likelihood(tmp_path):
    study = recorded(tmp_path / "s", [[[1 - 1e-9, 1e-9], [0.5, 0.5]]], np.array([1, 0]))
    assert rs.ensemble_scores(study).nll == pytest.approx((-np.log(1e-9) - np.log(0.5)) / 2, rel=1e-6)


def test_recorded_classes_answer_where_classes_do(tmp_path):
    classes = LOGITS.argmax(-1)
    study = recorded(tmp_path / "s", classes, LABELS)
    assert rs.variance(study).components.var_dist_exact == rs.variance(classes, LABELS).components.var_dist_exact
    assert study.verify().ok
    with pytest.raises(InputError, match="the objective 'nll' cannot be computed from predicted classes"):
        select_ensemble(study, split="test")


@pytest.mark.parametrize("change", [lambda z: z + 2000, lambda z: z * 1e-8, lambda z: z * 1e-50, lambda z: z * 1e30])
def test_accuracy_after_recording_is_that_before(tmp_path, change):
    odd = change(RNG.normal(size=(20, 60, 3)) + np.eye(3)[LABELS])
    study = recorded(tmp_path / "s", odd, LABELS, kind="logits")
    assert [run.accuracy["test"] for run in study.runs] == [float((z.argmax(-1) == LABELS).mean()) for z in odd]


def odd_scales(rng, shape):
    """Logits as they are, with ties, with an offset, tiny, subnormal, huge, of all sizes at once, all but equal."""
    usual = rng.normal(size=shape)
    sizes = 10.0 ** rng.uniform(-300, 300, size=shape)
    odd = usual.round(1), usual + 6e4, usual * 1e-40, usual * 1e-310, usual * 1e300, np.sign(usual) * sizes
    return np.stack([usual, *odd, 1 + usual * 1e-15])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("columns", [1, 2, 3, 10])
def test_the_accuracy_of_odd_logits_is_one_everywhere(tmp_path, dtype, columns):
    """Eight kinds of run on 32 examples: 4,096 rows. `scores` took tiny differences for ties of probabilities."""
    types = pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng([columns, len(dtype)])
    labels = rng.integers(0, max(columns, 2), 32)
    with np.errstate(over="ignore"):
        odd = odd_scales(rng, (32, columns)).astype(types.bfloat16 if dtype == "bfloat16" else dtype)
    odd = odd[np.isfinite(odd.astype(float)).all(axis=(1, 2))]
    kind, plain = "logits", odd.astype(float)
    predicted = plain.argmax(-1)
    if columns == 1:
        kind, predicted = "log-odds", (plain[..., 0] > 0).astype(int)
    expected = (predicted == labels).mean(axis=1)
    study = recorded(tmp_path / "s", odd, labels, kind=kind)
    np.testing.assert_array_equal([run.accuracy["test"] for run in study.runs], expected)
    for source, given in ((study, {}), (odd, {"labels": labels, "kind": kind})):
        np.testing.assert_array_equal(rs.variance(source, **given).accuracy, expected)
        np.testing.assert_array_equal(rs.ensemble_scores(source, **given).member_accuracy, expected)
        others = rng.normal(size=(3, 32, columns))
        assert rs.compare(source, others, labels, kind=kind).mean_a == pytest.approx(expected.mean(), rel=1e-12)
        for run, accuracy in enumerate(expected if given else ()):
            assert rs.ensemble_scores(source[run : run + 1], **given).accuracy == accuracy


def test_statistics_of_a_cluster_merge_and_fail_whole():
    first, second = RunStatistics(LABELS), RunStatistics(LABELS)
    first.update(LOGITS[:4])
    second.update(LOGITS[4:])
    for name in ("_right", "_weighted", "_abstained", "_votes"):
        getattr(first, name).flags.writeable = False
    first.merge(second)
    before = first.sums
    with pytest.raises(InputError):
        first.update(np.full((1, 60), -5))
    assert first.sums == before == run_statistics(LOGITS, LABELS).sums


def test_reading_options_have_defaults_and_refuse_others():
    assert reading_of({"kind": "classes"}, "trimming") == {"split": "test", "kind": "classes", "nan": "exclude"}
    assert outcome_reading_of({}, "variance")["missing"] == "raise"
    with pytest.raises(InputError, match="unknown trimming keyword 'missing'"):
        reading_of({"missing": "raise"}, "trimming")
    with pytest.raises(InputError, match=r"unknown trimming keyword 'levle'.*Did you mean 'level'"):
        reading_of({"levle": 1}, "trimming", also=("level",))


@pytest.mark.parametrize("name", ["diversity", "same_model", "variance", "scores"])
def test_copies_that_are_named_do_not_hide_that_runs_were_excluded(name):
    """The sentence that spoke of copies "set aside" was taken to have named the excluded runs as well."""
    outputs = broken()
    outputs[1] = outputs[0]
    found = ALL[name](outputs, LABELS)
    assert "Excluded: " in found.sentence()
