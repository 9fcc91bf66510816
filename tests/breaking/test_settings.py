"""Settings of other types than a function names: what it says is a sentence, whatever it was given."""

from __future__ import annotations

import importlib
import inspect
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import runspread as rs
from runspread._arguments import explained
from runspread.errors import InputError, RunspreadError

M = rs.methods
RNG = np.random.default_rng(0)
LABELS = np.arange(120) % 3
LOGITS = RNG.normal(size=(6, 120, 3)) + np.eye(3)[LABELS]
SCORES = {"old": [0.9, 0.91, 0.92, 0.93], "new": [0.94, 0.95, 0.93, 0.96]}
TASKS = [
    {"method": arm, "task": task, "seed": seed, "accuracy": 0.5 + 0.01 * seed + 0.02 * i + 0.03 * j}
    for i, arm in enumerate(("old", "new"))
    for j, task in enumerate("abcd")
    for seed in range(3)
]
METRICS = {"method": ["a"] * 3 + ["b"] * 3, "accuracy": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "loss": [1.0, 2, 3, 1, 2, 4]}
ANSWERS = {f"m{k}": (RNG.random((2, 100)) < 0.6).astype(float) for k in range(2)}
CORPUS = {"m": RNG.normal(size=40), "test_accuracy": RNG.random(40), "depth": np.repeat([1, 2, 3, 4], 10)}
MATRIX = RNG.normal(size=(60, 50))
LOGS = [{"loss": np.exp(-np.arange(20) / 5) + 0.01 * RNG.normal(size=20), "acc": RNG.random(20)} for _ in range(6)]
SPREADS = (1e-4, 0.2, 0.01, 0.01)
VERBS: dict[Callable[..., Any], tuple[tuple[Any, ...], dict[str, Any]]] = {
    rs.variance: ((LOGITS, LABELS), {}),
    rs.compare: ((LOGITS[:3], LOGITS[3:]), {"labels": LABELS}),
    rs.plan: ((LOGITS,), {"labels": LABELS}),
    rs.audit: ((LOGITS,), {}),
    rs.same: ((LOGITS[:3], LOGITS[3:]), {"labels": LABELS}),
    rs.trimming: ((LOGITS,), {"labels": LABELS, "replicates": 4}),
    rs.representative_size: ((LOGITS[..., 0],), {"replicates": 80}),
    rs.rank: ((SCORES,), {"metric": "accuracy"}),
    rs.evaluations: ((ANSWERS,), {}),
    rs.paradox: ((CORPUS,), {"metrics": ["m"], "n_resamples": 50}),
    rs.spectra: (({"a": MATRIX},), {}),
    rs.ensemble_scores: ((LOGITS, LABELS), {}),
    rs.dynamics: ((LOGS,), {"states": [1, 2], "restarts": 2, "covariance": "diag"}),
    M.scores.compare_scores: ((SCORES["old"], SCORES["new"]), {"metric": "accuracy"}),
    M.scores.compare_metrics: ((METRICS,), {}),
    M.scores.compare_tasks: ((TASKS,), {"metric": "accuracy"}),
    M.scores.run_scores: ((SCORES,), {"metric": "accuracy"}),
    M.scores.plan_scores: ((), {"gap": 0.01, "sd": 0.01}),
    M.evaluations.plan_evals: ((), {"gap": 0.05, "spreads": SPREADS}),
    M.evaluations.pass_at_k: (({"m": (RNG.random((30, 5)) < 0.5).astype(float)},), {}),
    M.spectra.layer_metrics: ((MATRIX,), {}),
    M.spectra.fit_power_law: ((RNG.pareto(2, size=200) + 1,), {}),
    M.ensembles.select_ensemble: ((LOGITS, LABELS), {"size": 3}),
    M.ensembles.ensemble_sizes: ((LOGITS, LABELS), {}),
}
QUICK = (rs.variance, rs.compare, rs.rank, M.scores.compare_tasks, M.scores.plan_scores)
FEW = ("many", ["x"], {"a": "b"}, float("nan"))
ODD = (*FEW, "0.1", [1], -1, 0, 2.5, object(), True, float("inf"), np.zeros((2, 2)), b"x", 1j, None)
NOT_ASKED = ("source", "a", "b", "old", "new", "labels", "progress")


def settings_of(verb: Callable[..., Any]) -> Iterator[str]:
    """Yield every keyword of a verb that has a default, those of its settings among them."""
    bare = inspect.unwrap(verb)
    for each in inspect.signature(bare).parameters.values():
        if each.kind is each.VAR_KEYWORD:
            yield from bare.__globals__[each.annotation.removeprefix("Unpack[")[:-1]].__annotations__
        elif each.default is not each.empty and each.name not in NOT_ASKED:
            yield each.name


def raw_errors(verb: Callable[..., Any], values: tuple[Any, ...]) -> list[str]:
    """Call a verb with each setting as each of some values; return what ended otherwise than in words."""
    given, keywords = VERBS[verb]
    found: list[str] = []
    for name in dict.fromkeys(settings_of(verb)):
        for value in values:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    verb(*given, **{**keywords, name: value})
            except RunspreadError:
                continue
            except Exception as error:
                found.append(f"{name}={value!r}: {type(error).__name__}: {error}")
    return found


@pytest.mark.parametrize("verb", QUICK, ids=lambda verb: verb.__name__)
def test_a_setting_of_another_type_ends_in_a_sentence(verb):
    assert raw_errors(verb, FEW) == []


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_any_setting_as_anything_ends_in_a_sentence(verb):
    assert raw_errors(verb, ODD) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda: rs.variance(LOGITS, LABELS, confidence_level="high"), "confidence_level is 'high', of type str"),
        (lambda: M.evaluations.plan_evals(gap="0.1", spreads=SPREADS), "gap is '0.1', of type str. Expected a number"),
        (lambda: M.evaluations.plan_evals(gap=0.1, spreads=(1, 2)), "spreads have shape (2,). Expected 4"),
        (lambda: M.scores.run_scores(SCORES["old"], metric="loss").arms[0].expected_best(2.5), "runs is 2.5"),
        (lambda: rs.trimming(LOGITS, labels=LABELS, clip=[1]), "clip is [1], of type list. Expected 2 values"),
        (lambda: rs.paradox(CORPUS, metrics=["m"], n_resamples=float("inf")), "n_resamples is inf"),
        (lambda: rs.spectra({"a": MATRIX}, workers=float("nan")), "workers is nan"),
    ],
)
def test_the_argument_is_named_with_what_is_expected_of_it(asked, words):
    with pytest.raises(InputError) as caught:
        asked()
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
@pytest.mark.parametrize("verb", [rs.variance, rs.dynamics, rs.paradox, rs.spectra, rs.open_study, rs.open_outputs])
def test_a_name_that_no_file_can_have_is_refused_in_words(verb, name):
    with pytest.raises(RunspreadError):
        verb(name)


@pytest.mark.parametrize("value", ["0.1", b"x", 3, [1, 2], [[1, 2]], object(), {}, [], None])
def test_what_holds_no_metrics_of_runs_is_refused_in_words(value):
    with pytest.raises(InputError):
        rs.dynamics(value)


def test_the_path_of_a_study_is_opened_by_every_verb_that_reads_studies(tmp_path):
    """`dynamics`, `paradox` and `ensemble` did not, and ended in an IndexError and in words that named a type."""
    study = rs.create_study(tmp_path / "study", splits={"test": LABELS, "validation": LABELS})
    for seed in range(4):
        with study.record(seeds=seed, hyperparameters={"lr": 0.1}) as run:
            run.predictions("test", LOGITS[seed])
            run.predictions("validation", LOGITS[seed + 1])
            run.weights({"layer": RNG.normal(size=(60, 50))})
            for step in range(12):
                run.log(step, loss=1 / (step + 1 + 0.1 * RNG.random()), accuracy=RNG.random())
    how = {"states": [1, 2], "restarts": 1, "covariance": "diag"}
    assert "4 runs" in rs.dynamics(str(study.path), **how).sentence()
    assert rs.paradox(study.path, target="test_accuracy", n_resamples=50).n == 4
    assert M.spectra.study_spectra(str(study.path)).sentence()
    assert len(rs.studies.add_digests(study.path, dry_run=True)) == 4
    for ask in (rs.ensemble, lambda path: rs.training.make_ensemble(path, ["x"]), rs.training.study_measures):
        with pytest.raises(RunspreadError) as caught:
            ask(str(study.path))
        assert "of type str" not in str(caught.value)


def test_a_failure_that_no_argument_explains_stays_what_it_is():
    def divided(by: float, names: tuple[str, ...] = (), *, note: str | None = None) -> float:
        return 1 / by

    divided.__annotations__ = {"by": "float", "names": "tuple[str, ...]", "note": "str | None"}
    with pytest.raises(ZeroDivisionError):
        explained(divided, __name__, "divided")(0, ("a",), note="b")
    with pytest.raises(InputError, match=r"names is \[1\], of type list. Expected a sequence of texts"):
        explained(divided, __name__, "divided")(0, [1])


def test_a_public_function_is_one_and_the_same_everywhere():
    assert pickle.loads(pickle.dumps(rs.variance)) is rs.variance is M.variance.variance
    assert inspect.signature(rs.variance).parameters["confidence_level"].default == 0.95
    inside = importlib.import_module("runspread.methods.variance.estimate").variance
    assert inside is not rs.variance  # within the package nothing depends on what a user asked for first
    with pytest.raises(TypeError):
        inside(LOGITS, LABELS, confidence_level="high")
