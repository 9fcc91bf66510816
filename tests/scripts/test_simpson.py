"""The study of Simpson's paradox: its analysis, on the corpus of the method's notes, finds what the notes found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "studies" / "spectra" / "simpson.py"
CLAIMED = ("SVD20", "SVD40", "log_path_norm", "log_prod_fro", "log_prod_spec", "alpha", "train_accuracy")


@pytest.fixture(scope="module")
def simpson():
    spec = importlib.util.spec_from_file_location("simpson_study", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def analyses(simpson):
    notes = simpson.reference()
    return [simpson.judged(notes, CLAIMED, converged=only) for only in (False, True)]


def test_the_corpus_of_the_notes_has_the_findings_of_the_notes(simpson, analyses):
    found = {claim.name: claim for claim in simpson.claims(*analyses)}
    assert [name for name, claim in found.items() if not claim.holds] == ["10 alpha"]
    assert "log_path_norm (all)" in found["1 the paradox"].measured
    assert "log_prod_fro (converged)" in found["1 the paradox"].measured


def test_claims_can_miss(simpson, analyses):
    everything, _ = analyses
    wrong = [claim.name for claim in simpson.claims(everything, everything) if not claim.holds]
    assert "7 product of Frobenius norms, converged" in wrong


def test_tables_hold_a_row_a_metric(simpson, analyses):
    everything, fitted = analyses
    assert everything.n == 72
    assert fitted.n == 33
    for table in (simpson.beside(everything, everything), simpson.grid_table(everything, everything)):
        lines = table.splitlines()
        assert len(lines) == 2 + len(CLAIMED)
        assert len({line.count("|") for line in lines}) == 1
    assert "+0.44" in simpson.beside(everything, None)


def test_cells_are_matched_whatever_the_order(simpson):
    notes = simpson.reference()
    order = np.random.default_rng(0).permutation(72)
    moved = {name: column[order] for name, column in notes.items()}
    both = simpson.averaged(moved, notes)
    np.testing.assert_allclose(both["test_accuracy"], simpson.by_cell(notes)["test_accuracy"])
    assert sorted(both["SVD20"]) == pytest.approx(sorted(notes["SVD20"]))
