"""The sources of outputs that runspread brings keep the contract; sources that lie do not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import runspread as rs
from runspread._reading.outputs import ArrayOutputs, View
from runspread.methods import Excluded, RunOutputs
from runspread.testing import OutputsTests

from ..factories import make_study
from .broken import failures

RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=50)
LOGITS = RNG.normal(size=(6, 50, 3)) + np.eye(3)[LABELS]


class TestArrays(OutputsTests):
    def make_outputs(self):
        return ArrayOutputs(LOGITS, LABELS)

    def expected_array(self):
        return LOGITS


class TestClasses(OutputsTests):
    def make_outputs(self):
        return ArrayOutputs(LOGITS.argmax(-1), LABELS, kind="classes")


class TestProbabilities(OutputsTests):
    def make_outputs(self):
        values = np.exp(LOGITS)
        return ArrayOutputs(values / values.sum(-1, keepdims=True), LABELS, kind="probabilities")


class TestWithoutLabels(OutputsTests):
    def make_outputs(self):
        return ArrayOutputs(LOGITS, None)


class TestOneColumn(OutputsTests):
    """A view: one number per run and example, said to be log-odds."""

    def make_outputs(self):
        return View(ArrayOutputs(LOGITS[..., 0], LABELS % 2, kind="scalars"), LABELS % 2, "log-odds", column=True)


class TestFiles(OutputsTests):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        np.save(tmp_path / "outputs.npy", LOGITS)
        self.path = tmp_path / "outputs.npy"

    def make_outputs(self):
        return rs.open_outputs(self.path, labels=LABELS)

    def expected_array(self):
        return LOGITS


class TestStudies(OutputsTests):
    """Shards of one run each, one of which diverged."""

    @pytest.fixture(autouse=True)
    def _study(self, tmp_path):
        self.study = make_study(tmp_path / "study")
        with self.study.record(seeds=99) as run:
            run.diverged("on purpose")

    def make_outputs(self):
        return self.study.predictions("test")


def source(**broken):
    """Return a source of outputs that keeps the contract but for what is given."""
    array = broken.pop("array", LOGITS)

    def chunks(max_bytes=2**26):
        step = max(1, max_bytes // array[:1].nbytes)
        yield from (array[k : k + step] for k in range(0, len(array), step))

    sound = {
        "shape": array.shape,
        "labels": LABELS,
        "run_ids": tuple("abcdef"),
        "excluded": (),
        "chunks": chunks,
    }
    return SimpleNamespace(**{**sound, **broken})


def contract_of(made):
    class Contract(OutputsTests):
        def make_outputs(self) -> RunOutputs:
            return made

    return Contract()


def test_a_source_of_ones_own_keeps_the_contract(tmp_path):
    assert failures(contract_of(source()), tmp_path) == set()


def always_all(max_bytes=0):
    yield LOGITS


def forgets_the_last_run(max_bytes=2**26):
    step = max(1, max_bytes // LOGITS[:1].nbytes)
    yield from (LOGITS[k : k + step] for k in range(0, len(LOGITS) - len(LOGITS) % step - 1, step))


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        ({"shape": (6, 50)}, "chunks_join_to_all_runs"),
        ({"shape": [6, 50, 3]}, "the_shape_is_runs_examples_and_classes"),
        ({"run_ids": tuple("abcdee")}, "every_run_has_an_id_of_its_own"),
        ({"run_ids": tuple("abcde")}, "every_run_has_an_id_of_its_own"),
        ({"labels": LABELS[:-1]}, "labels_are_one_class_per_example"),
        ({"labels": LABELS.astype(float)}, "labels_are_one_class_per_example"),
        ({"kind": "softmax"}, "the_kind_is_one_that_methods_know"),
        ({"array": LOGITS[..., 0]}, "the_kind_is_one_that_methods_know"),
        ({"excluded": (Excluded("a", "diverged"),)}, "runs_left_out_are_named"),
        ({"excluded": (Excluded("z", ""),)}, "runs_left_out_are_named"),
        ({"excluded": ("z",)}, "runs_left_out_are_named"),
        ({"chunks": always_all}, "chunks_are_as_small_as_asked_for"),
        ({"chunks": forgets_the_last_run}, "chunks_join_to_all_runs"),
        ({"chunks": forgets_the_last_run}, "methods_answer_alike_however_outputs_are_chunked"),
    ],
)
def test_a_broken_source_is_found(tmp_path, broken, caught):
    assert caught in failures(contract_of(source(**broken)), tmp_path)


class OffByOne(ArrayOutputs):
    def __getitem__(self, index):
        return super().__getitem__(index - 1)


def test_a_wrong_index_is_found(tmp_path):
    assert failures(contract_of(OffByOne(LOGITS, LABELS)), tmp_path) == {"one_run_is_what_the_chunks_hold"}
