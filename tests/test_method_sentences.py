"""What methods other than variance say: at most 45 words, in the field's words, and nothing that is no number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runspread as rs
from runspread.methods import corpus, dynamics, ensembles, spectra, trimming, variance

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 200)
ODD = re.compile(  # habits of old, numbers that are none, wrong plurals
    r"told (from|apart)|stand for all|set aside|left out|\bpoke|\b(dot|row|one|value|bytes) a (run|class|value)"
    r"|(?<!ower )\blaws?\b"
    r"|\bnan\b|\binf\b"
    r"|run\(s\)|\b1 \w+ are\b|\b1 (runs|states|members|examples)\b"
)


def outputs(n: int, shift: float = 0.0) -> np.ndarray:
    base = 1.5 * np.eye(3)[LABELS] + RNG.normal(size=(200, 3))
    return base + RNG.normal(0, 0.8, (n, 200, 3)) + shift * RNG.normal(size=(n, 1, 3))


LOGITS = outputs(12)
OTHER = outputs(12)
GAPS = LOGITS[..., 0] - LOGITS[..., 1]
APART = GAPS + np.arange(12)[:, None]
CERTAIN = np.tile(np.where([True, False, False], 0.0, -np.inf), (2, 200, 1))
HEAVY = RNG.standard_t(2.5, size=(120, 80))
TAIL = RNG.pareto(2, 200) + 1
TABLE = {
    "m": [float(i % 3 * 10 - i // 3) for i in range(30)],
    "noise": RNG.normal(size=30).tolist(),
    "test_accuracy": [float(i % 3 * 10 + i // 3) for i in range(30)],
    "depth": [i % 3 for i in range(30)],
}


def walk(n: int = 10) -> tuple[dict[str, np.ndarray], list[int]]:
    """Return runs of two phases, some of them with another in between, and when each converged."""
    runs, when = {}, []
    for run in range(n):
        stays = [20, 15 * (run % 4 == 0), 40]
        levels = np.repeat([[0.0, 0.0], [2.0, -2.0], [4.0, 1.0]], stays, axis=0)
        runs[f"run {run}"] = levels + 0.1 * np.random.default_rng(run).normal(size=levels.shape)
        when.append(stays[0] + stays[1])
    return runs, when


def of_dynamics() -> Iterator[Any]:
    runs, when = walk()
    for options in ({"standardize": "pooled"}, {"preset": "paper"}):
        found = rs.dynamics(runs, outcome=when, states=[3], restarts=2, iterations=20, **options)
        yield from (found, found.map, found.selection, found.model, found.prepared, found.regression)
    yield rs.dynamics(runs, states=[1, 2], restarts=2, covariance="diag")
    yield dynamics.map_stability(found, bootstraps=1)
    yield dynamics.compare_maps(found, found, bootstraps=20)


SAYING: dict[str, Callable[[], Any]] = {
    "typical": lambda: rs.trimming(LOGITS, labels=LABELS, replicates=4, resample="split"),
    "typical, as published": lambda: rs.trimming(GAPS, replicates=4, mode="published"),
    "typical, rigorous": lambda: rs.trimming(APART, replicates=2, threshold="rigorous"),
    "typical, too few examples": lambda: rs.trimming(GAPS[:, :6], replicates=2),
    "representative": lambda: rs.representative_size(GAPS, replicates=80, sizes=[1, 2, 4]),
    "not representative": lambda: rs.representative_size(APART, replicates=80),
    "no verdict on sizes": lambda: rs.representative_size(GAPS, replicates=5),
    "same": lambda: rs.same(LOGITS[:6], LOGITS[6:], labels=LABELS),
    "other outputs": lambda: rs.same(LOGITS[:6], LOGITS[6:] + np.array([3, 0, 0]), labels=LABELS),
    "other answers": lambda: rs.same(LOGITS[:6], OTHER[6:], labels=LABELS),
    "one new run": lambda: rs.same(LOGITS[:11], LOGITS[11:] + np.array([5, 0, 0]), labels=LABELS, epsilon=0.2),
    "a difference within what may differ": lambda: rs.same(GAPS[:6], GAPS[6:] + 0.6, alpha=0.9),
    "other examples": lambda: rs.same(GAPS[:6], GAPS[6:] + 5, threshold="dkw", epsilon=0.05),
    "a curve": lambda: trimming.trimming_curve(GAPS[0], GAPS[1] + 1),
    "no trimming helps": lambda: trimming.trimming_curve(np.append(GAPS[0], GAPS[0] + 50), GAPS[1]),
    "trimmed examples": lambda: trimming.trimmed_examples(APART),
    "beside accuracy": lambda: trimming.trimming_scores(LOGITS + APART[..., None] * [0.1, 0, 0], LABELS),
    "chosen": lambda: ensembles.select_ensemble(LOGITS, LABELS, size=3),
    "chosen, nothing better": lambda: ensembles.select_ensemble(LOGITS, LABELS, size=9, objective="error"),
    "chosen, out of steps": lambda: ensembles.select_ensemble(LOGITS, LABELS, size=12, early_stop=False, max_steps=5),
    "chosen, not checked": lambda: ensembles.select_ensemble(LOGITS, LABELS, size=3, folds=0),
    "sizes": lambda: ensembles.ensemble_sizes(LOGITS, LABELS, report=OTHER, report_labels=LABELS),
    "scores": lambda: rs.ensemble_scores(LOGITS, LABELS),
    "scores of one": lambda: rs.ensemble_scores(LOGITS[:1], LABELS),
    "infinite scores": lambda: rs.ensemble_scores(CERTAIN, LABELS, kind="log-probabilities"),
    "scores of classes": lambda: rs.ensemble_scores(LOGITS.argmax(-1), LABELS),
    "diversity": lambda: ensembles.diversity(LOGITS, LABELS),
    "out of distribution": lambda: ensembles.ood_detection(LOGITS, 0.3 * LOGITS),
    "a layer": lambda: spectra.layer_metrics(HEAVY, name="fc", mp_fit=True),
    "a small layer": lambda: spectra.layer_metrics(HEAVY[:4, :4]),
    "a model": lambda: rs.spectra({"a": HEAVY, "b": RNG.normal(size=(120, 100)), "bias": np.ones(3)}),
    "a tail": lambda: spectra.fit_power_law(TAIL, bootstrap=5, seed=0),
    "no tail": lambda: spectra.fit_power_law([1.0, 1.0, 1.0, 1.0]),
    "a truncated tail": lambda: spectra.fit_truncated_power_law(TAIL),
    "tails": lambda: spectra.compare_tails(spectra.fit_power_law(TAIL)),
    "a spectrum": lambda: spectra.spectrum(HEAVY),
    "a bulk": lambda: spectra.fit_marchenko_pastur(spectra.spectrum(RNG.normal(size=(200, 100))).eigenvalues, 200, 100),
    "distances": lambda: spectra.weight_distances({"a": HEAVY}, {"a": HEAVY + 0.1}),
    "norms": lambda: spectra.norm_measures({"a": HEAVY}, 100),
    "smoothing": lambda: spectra.svd_smoothing({"a": HEAVY}, lambda _: 0.5),
    "a corpus": lambda: rs.paradox(TABLE, metrics=["m", "noise"], n_resamples=50),
    "a reversal": lambda: rs.paradox(TABLE, metrics=["m"], n_resamples=200).analyses[0],
    "a grid": lambda: corpus.grid_scores(TABLE["m"], TABLE["test_accuracy"], {"depth": TABLE["depth"]}),
    "dynamics": of_dynamics,
}


@pytest.mark.parametrize("name", SAYING)
def test_a_sentence_is_short_and_plain(name):
    found = SAYING[name]()
    for result in found if isinstance(found, Iterator) else [found]:
        said = result.sentence()
        assert len(said.split()) <= 45, said
        assert said[-1] == "."
        for text in (said, *result.warnings):
            assert not ODD.search(text), text


def of_other_levels(level: float) -> Iterator[tuple[str, Any]]:
    right = RNG.random((6, 300)) < 0.8
    better = RNG.random((6, 300)) < 0.85
    asked = {"confidence_level": level}
    yield "CI", rs.variance(correct=right, **asked)
    yield "CI", rs.compare(correct=(right, better), **asked)
    yield "CI", rs.calibration(LOGITS, LABELS, **asked)
    yield "CI", variance.best_seed_selection(correct=right, **asked)
    yield "CI", variance.score_variance(RNG.normal(size=(5, 60)), **asked)
    yield "CI", trimming.trimming_scores(LOGITS, LABELS, **asked)
    yield "interval", rs.compare([0.81, 0.82, 0.83], [0.84, 0.86, 0.85], **asked)


@pytest.mark.parametrize("level", [0.995, 0.999, 0.975])
def test_levels_are_said_as_they_were_given(level):
    for noun, result in of_other_levels(level):
        printed = f"{result.sentence()} {result.table()} {' '.join(result.warnings)}"
        said = set(re.findall(rf"([\d.]+)% {noun}", printed))
        assert said == {f"{100 * level:g}"}, printed


def test_settings_of_a_plan_are_said_as_they_were_given():
    planned = variance.plan_runs(0.02, variance=1e-4, alpha=0.001, power=0.999).sentence()
    assert "power 99.9%, level 0.1%" in planned


def test_no_level_is_rounded_in_the_source():
    """A level of 99.5 % that is printed without decimals is a claim of certainty: "100% CI"."""
    rounded = re.compile(r"\{[\w.]*(level|alpha|power|epsilon|failures|fractions\[[^}]*\])\w*:\.0%\}")
    for path in Path(rs.__file__).parent.rglob("*.py"):
        assert not rounded.search(path.read_text(encoding="utf-8")), path
