"""The seed audit finds what it says it finds, and nothing in clean runs."""

from __future__ import annotations

import numpy as np
import pytest

import runspread as rs
from runspread._reading.outputs import ArrayOutputs
from runspread.errors import InputError, MissingDataError
from runspread.methods.audit import RunEvidence
from runspread.methods.ensembles import diversity, select_ensemble
from runspread.methods.spectra import study_spectra
from runspread.methods.variance import (
    best_seed_selection,
    independence_test,
    pair_deviations,
    plan_runs,
    run_accuracies,
    run_statistics,
    two_group_tasks,
)

SEEDS = {"init": list(range(8)), "order": list(range(10, 18)), "augment": list(range(20, 28))}


def kinds(audit):
    return {(finding.kind, finding.severity) for finding in audit.findings}


def losses(rng, orders, points=200, noise=0.1, trend=1.0):
    """Training losses: a common smooth trend, noise of the batch (by order), and noise of the run."""
    steps = np.arange(points)
    batch = {order: rng.normal(size=points) for order in set(orders)}
    own = rng.normal(size=(len(orders), points))
    return trend * np.exp(-steps / 40) + 0.7 + noise * (0.8 * np.stack([batch[o] for o in orders]) + 0.6 * own)


def clean(seed=0, **changes):
    rng = np.random.default_rng(seed)
    given = {
        "seeds": SEEDS,
        "initial_weights": rng.normal(size=(8, 5, 3)),
        "predictions": rng.integers(0, 5, (8, 100)),
        "losses": losses(rng, SEEDS["order"]),
    }
    return RunEvidence.from_arrays(**(given | changes))


def test_clean_runs_pass():
    found = rs.audit(clean())
    assert found.passed
    assert not found.findings
    assert not found.warnings
    assert found.not_seen == ("final weights",)
    assert found.sentence().startswith("No sign of dependent seeds in 8 runs (checked: seeds,")


def test_clean_runs_hardly_ever_fail():
    """The level is 0.001 for each audit: 200 clean ones have no false alarm but with probability 0.2."""
    failed = sum(not rs.audit(clean(seed)).passed for seed in range(200))
    assert failed <= 3


@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.001])
def test_a_common_schedule_is_no_finding(noise):
    """Smooth curves agree between all runs; only what fluctuates from step to step is evidence."""
    rng = np.random.default_rng(1)
    curves = losses(rng, range(8), noise=noise) + 1e-4 * np.arange(8)[:, None]
    curves += 0.05 * np.sin(np.arange(200) / 6)
    assert rs.audit(clean(losses=curves)).passed


def test_same_initialisation_under_other_seeds():
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(8, 5, 3))
    weights[3] = weights[6]
    found = rs.audit(clean(initial_weights=weights))
    assert kinds(found) == {("same initialisation", "flaw")}
    assert found.findings[0].runs == ("run 3", "run 6")
    assert not found.passed
    assert "correlated" in found.warnings[0]


def test_same_initialisation_by_first_losses():
    rng = np.random.default_rng(3)
    curves = losses(rng, SEEDS["order"])
    curves[5, 0] = curves[1, 0]
    evidence = clean(losses=curves, initial_weights=None)
    assert kinds(rs.audit(evidence)) == {("same initialisation", "flaw")}
    curves[:, 0] = np.log(10)  # what any network with a zero last layer starts from
    assert rs.audit(clean(losses=curves, initial_weights=None)).passed


def test_same_initialisation_as_designed_is_no_flaw():
    weights = np.broadcast_to(np.random.default_rng(4).normal(size=(5, 3)), (8, 5, 3))
    found = rs.audit(clean(initial_weights=weights, seeds=SEEDS | {"init": [7] * 8}))
    assert kinds(found) == {("fixed seed", "note")}
    assert found.passed
    assert "what init adds" in found.findings[0].effect


def test_unknown_seeds_and_equal_weights():
    weights = np.ones((8, 2))
    assert ("same initialisation", "flaw") in kinds(rs.audit(clean(initial_weights=weights, seeds=None)))


def test_seed_not_honoured():
    found = rs.audit(clean(seeds=SEEDS | {"init": [0, 0, 1, 2, 3, 4, 5, 6]}))
    assert kinds(found) == {("seed not honoured", "note")}


def test_same_data_order():
    rng = np.random.default_rng(5)
    orders = [10, 11, 12, 12, 14, 15, 16, 17]  # run 3 was given the order of run 2, whatever its recorded seed
    found = rs.audit(clean(losses=losses(rng, orders)))
    assert kinds(found) == {("same data order", "flaw")}
    assert found.findings[0].runs == ("run 2", "run 3")
    everyone = rs.audit(clean(losses=losses(rng, [1] * 8)))
    assert kinds(everyone) == {("same data order", "flaw")}
    assert len(everyone.findings[0].runs) == 8


def test_same_data_order_as_designed_is_no_flaw():
    rng = np.random.default_rng(6)
    found = rs.audit(clean(losses=losses(rng, [1] * 8), seeds=SEEDS | {"order": [1] * 8}))
    assert kinds(found) == {("fixed seed", "note")}


def test_copied_runs_shrink_the_variance():
    """Two of eight runs are one: the mean sample variance is short by the share of pairs that are equal."""
    rng = np.random.default_rng(7)
    predictions = rng.integers(0, 5, (8, 100))
    predictions[4] = predictions[0]
    found = rs.audit(clean(predictions=predictions))
    assert kinds(found) == {("copied runs", "flaw")}
    assert "under different seeds of init, order, augment" in found.findings[0].what
    values = rng.normal(size=(200_000, 8))
    values[:, 4] = values[:, 0]
    short = 1 - values.var(axis=1, ddof=1).mean()
    assert short == pytest.approx(2 / 56, abs=0.005)
    assert "3.6%" in found.findings[0].effect
    effective = 1 / values.mean(axis=1).var()
    assert effective == pytest.approx(6.4, abs=0.1)
    assert "6.4 runs" in found.findings[0].effect


def test_augmentation_that_changes_nothing():
    """Workers that seed themselves alike: runs that differ in the augmentation seed alone are identical."""
    rng = np.random.default_rng(8)
    seeds = {"init": [0] * 8, "order": [0] * 8, "augment": list(range(8))}
    same = np.broadcast_to(rng.integers(0, 5, 100), (8, 100))
    found = rs.audit(clean(predictions=same, seeds=seeds, initial_weights=None, losses=None))
    assert "under different seeds of augment, which then changed nothing" in found.findings[0].what


def test_repeated_seeds():
    seeds = {role: values[:7] + values[:1] for role, values in SEEDS.items()}
    found = rs.audit(clean(seeds=seeds, initial_weights=None, losses=None))
    assert kinds(found) == {("repeated seeds", "flaw")}
    other = clean(seeds=seeds, initial_weights=None, losses=None, configurations=["a"] * 7 + ["b"])
    assert rs.audit(other).passed


def test_study(tmp_path):
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 3, 30)
    study = rs.create_study(tmp_path / "study", splits={"test": labels})
    initial = rng.normal(size=(4, 2))
    for seed in range(6):
        with study.record(seeds=rs.Seeds(init=seed, order=seed, augment=None)) as run:
            for step in range(3):
                run.log(step, loss=rng.normal())
            run.weights({"w": initial if seed in (1, 2) else rng.normal(size=(4, 2))}, step=0)
            run.predictions("test", rng.normal(size=(30, 3)))
    found = rs.audit(study)
    assert kinds(found) == {("same initialisation", "flaw")}
    assert "initial weights" in found.looked_at
    assert len(found.findings[0].runs) == 2


def others(study):
    """Runs of another configuration on the same examples."""
    labels = study.predictions("test").labels
    return run_statistics(np.random.default_rng(5).integers(0, 2, (8, len(labels))), labels)


METHODS = {
    "variance": rs.variance,
    "calibration": rs.calibration,
    "compare": lambda study: rs.compare(study, others(study)),
    "best_seed_selection": best_seed_selection,
    "plan_runs": lambda study: plan_runs(0.01, source=study),
    "trimming": lambda study: rs.trimming(study, replicates=2),
    "representative_size": lambda study: rs.representative_size(study, replicates=2),
    "same_model": lambda study: rs.same(study, study),
    "spectra": rs.spectra,
    "study_spectra": study_spectra,
    "dynamics": lambda study: rs.dynamics(study, metrics=("loss", "norm"), states=(1, 2), restarts=2),
    "select_ensemble": lambda study: select_ensemble(study, size=2, split="test", folds=0),
}


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    rng = np.random.default_rng(10)
    labels = rng.integers(0, 2, 60)
    study = rs.create_study(tmp_path_factory.mktemp("repeated") / "study", splits={"test": labels})
    for number in range(12):
        with study.record(seeds=number % 6, id=f"r{number}") as run:
            for step in range(40):
                run.log(step, loss=rng.normal(), norm=rng.normal())
            run.predictions("test", rng.normal(size=(60, 2)) + 2 * np.eye(2)[labels])
            run.weights({"w": rng.normal(size=(60, 60))})
    return study


@pytest.mark.filterwarnings("ignore::runspread.errors.RunspreadWarning")
@pytest.mark.parametrize("name", METHODS)
def test_methods_warn_of_repeated_seeds(repeated, name):
    result = METHODS[name](repeated)
    assert sum("repeated seeds: 12 runs share" in warning for warning in result.warnings) == 1


def test_methods_warn_of_pooled_configurations(tmp_path):
    rng = np.random.default_rng(11)
    study = rs.create_study(tmp_path / "study", splits={"test": np.array([0, 1, 2])})
    for number in range(12):
        with study.record(seeds=number, hyperparameters={"lr": 0.1 * (number % 3)}) as run:
            run.predictions("test", rng.normal(size=(3, 3)))
    assert any("3 configurations" in warning for warning in rs.variance(study).warnings)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, "no evidence"),
        ({"seeds": {"init": [1, 2]}, "predictions": np.zeros((3, 2))}, "numbers of runs"),
        ({"seeds": {"data": [1, 2]}}, "roles"),
        ({"losses": np.zeros(4)}, "losses of shape"),
    ],
)
def test_bad_evidence(arguments, found):
    with pytest.raises(InputError, match=found):
        RunEvidence.from_arrays(**arguments)


def test_audit_refuses_arrays():
    with pytest.raises(InputError, match="from_arrays"):
        rs.audit(np.zeros((3, 4)))


SLOW = ("dynamics", "spectra", "representative_size", "same_model", "select_ensemble")  # are decorated as the others
MORE_METHODS = {name: method for name, method in METHODS.items() if name not in SLOW} | {
    "two_group_tasks": two_group_tasks,
    "independence_test": lambda study: independence_test(study, resamples=2),
    "pair_deviations": pair_deviations,
    "scores": rs.ensemble_scores,
    "diversity": diversity,
    "run_accuracies": run_accuracies,
    "variance_by_source": lambda study: rs.sources({"all": study, "init": study}),
}
FLAWS = ("repeated seeds", "same initialisation", "same data order", "copied runs")


def flawed(folder, kind):
    """A study of twelve runs with one flaw."""
    rng = np.random.default_rng(12)
    labels = rng.integers(0, 2, 60)
    study = rs.create_study(folder, splits={"test": labels})
    initial, final = rng.normal(size=(12, 60, 60)), rng.normal(size=(12, 60, 60))
    outputs = rng.normal(size=(12, 60, 2)) + 2 * np.eye(2)[labels]
    curves = losses(rng, [0, 0, *range(2, 12)] if kind == "same data order" else range(12))
    if kind == "same initialisation":
        initial[1] = initial[0]
    if kind == "copied runs":
        final[1] = final[0]
    for number in range(12):
        seed = number % 6 if kind == "repeated seeds" else number
        with study.record(seeds=seed, id=f"r{number}") as run:
            run.weights({"w": initial[number]}, step=0)
            for step in range(200):
                run.log(step, loss=curves[number, step], norm=rng.normal())
            run.predictions("test", outputs[number])
            run.weights({"w": final[number]})
    return study


@pytest.fixture(scope="module", params=[*FLAWS, "none"])
def flaw(request, tmp_path_factory):
    return request.param, flawed(tmp_path_factory.mktemp("flawed") / "study", request.param)


@pytest.mark.filterwarnings("ignore::runspread.errors.RunspreadWarning")
@pytest.mark.parametrize("name", MORE_METHODS)
def test_every_method_warns_of_every_flaw(flaw, name):
    kind, study = flaw
    audited = rs.audit(study)
    assert [finding.kind for finding in audited.findings if finding.severity == "flaw"] == [kind] * (kind != "none")
    said = [warning for warning in MORE_METHODS[name](study).warnings if any(flaw in warning for flaw in FLAWS)]
    assert all(kind in warning for warning in said)
    assert len(said) == (kind != "none")


def test_the_audit_for_warnings_reads_little_and_once(tmp_path, monkeypatch):
    study = flawed(tmp_path / "study", "none")
    reads = []
    weights = type(study).weights
    monkeypatch.setattr(type(study), "weights", lambda *args, **kwargs: reads.append(1) or weights(*args, **kwargs))
    rs.variance(study)
    assert len(reads) == 24  # step 0 and the end of twelve runs: none is read a second time, as a whole
    rs.calibration(study)
    assert len(reads) == 24
    with study.record(seeds=99) as run:
        run.predictions("test", np.zeros((60, 2)))
    rs.variance(study)
    assert len(reads) == 48


def test_a_shared_start_is_told_from_a_shared_beginning(tmp_path):
    """Arrays that agree in their first values are read whole: they may differ later."""
    study = rs.create_study(tmp_path / "study", splits={"test": np.arange(3)})
    rng = np.random.default_rng(13)
    for seed in range(3):
        with study.record(seeds=seed) as run:
            run.weights({"w": np.concatenate([np.zeros(1000), rng.normal(size=5)])}, step=0)
            run.predictions("test", np.eye(3))
    assert kinds(rs.audit(study)) == {("copied runs", "flaw")}


def test_what_diverged_is_no_copy(tmp_path):
    study = rs.create_study(tmp_path / "study", splits={"test": np.arange(3)})
    for seed in range(4):
        with study.record(seeds=seed) as run:
            run.weights({"w": np.full(5, np.nan if seed < 2 else 7.0 if seed == 2 else 8.0)})
    assert not rs.audit(study).findings
    assert not rs.audit(RunEvidence.from_arrays(predictions=np.full((3, 4), np.nan))).findings


def test_a_misspelt_split_is_an_error(repeated):
    with pytest.raises(MissingDataError, match="split 'tset'"):
        rs.audit(repeated, split="tset")
    assert rs.audit(repeated, split=None).n_runs == 12


def test_the_audit_says_that_it_looks_at_the_losses_of_the_first_runs_only():
    rng = np.random.default_rng(14)
    many = RunEvidence.from_arrays(seeds={"order": list(range(2100))}, losses=rng.normal(size=(2100, 60)))
    assert "loss curves of the first 2000 runs" in rs.audit(many).sentence()


def test_outputs_without_copies_are_read_once():
    """Opening the files of ten thousand runs takes the audit most of its time."""

    class Counted(ArrayOutputs):
        passes = 0

        def chunks(self, *arguments):
            Counted.passes += 1
            return super().chunks(*arguments)

    outputs = np.random.default_rng(15).normal(size=(5, 300, 3))
    assert not rs.audit(Counted(outputs, None)).findings
    assert Counted.passes == 1
    outputs[4] = outputs[3]
    assert kinds(rs.audit(Counted(outputs, None))) == {("copied runs", "flaw")}
    assert Counted.passes == 3


def test_files_that_only_the_audit_reads_may_be_corrupt(tmp_path):
    from tests.factories import make_study

    study = make_study(tmp_path / "study")
    metrics = next((tmp_path / "study" / "shards").glob("*/metrics.safetensors"))
    metrics.write_bytes(metrics.read_bytes()[:40])
    found = rs.variance(rs.open_study(study.path))
    assert found.n_runs == 6
    assert "was not looked at for signs of dependent seeds" in found.warnings[0]
    assert metrics.parent.name in found.warnings[0]


def test_outputs_of_which_every_shard_is_corrupt_are_named_and_the_rest_is_judged(tmp_path):
    """The audit ended in an error, and a method did not say what seeds showed; copies were seen by correctness."""
    study = rs.create_study(tmp_path / "study", splits={name: np.arange(60) % 3 for name in ("test", "other")})
    for number in range(10):
        split, outputs = ("test", "other")[number // 5], np.random.default_rng(min(number, 8)).normal(size=(60, 3))
        with study.record(seeds=number) as run:
            run.predictions(split, outputs)
    spoilt = [run for run in study.runs if ("test", None) in run.predictions]
    for path in (study.path / "shards").glob("*/*.safetensors"):
        if b"/test" in path.read_bytes():
            path.write_bytes(path.read_bytes()[:40])
    study = rs.open_study(study.path)
    audit, variance = rs.audit(study), rs.variance(study, split="other")
    assert [item.run for item in audit.excluded] == [run.id for run in spoilt]
    assert "no predictions on 'test' can be read" in audit.excluded[0].reason
    assert any(text.startswith("A part of what 5 runs recorded is corrupt") for text in variance.warnings)
    assert any("1 pair of runs has identical outcomes" in text for text in variance.warnings)
