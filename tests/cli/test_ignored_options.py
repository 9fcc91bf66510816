"""Options that a command would leave without effect are refused, not ignored."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import InputError
from tests.factories import make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ignored")
    make_study(folder / "s")
    make_study(folder / "t", seed=1)
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(6, 80, 2)).astype("f4"))
    np.save(folder / "y.npy", np.arange(80) % 2)
    (folder / "t.csv").write_text(
        "model,depth,alpha,test_accuracy\n" + "".join(f"m{i},{i},{i},.{i}\n" for i in range(9))
    )
    return folder


PLAN = ("plan", "--error", "5", "--examples", "100", "--gap", "1")
FILES = ("x.npy", "--labels", "y.npy")
IGNORED = [
    (PLAN, ("--where", "lr=0.1")),
    (PLAN, ("--split", "test")),
    (PLAN, ("--kind", "logits")),
    (PLAN, ("--labels", "y.npy")),
    (PLAN, ("--against", "s")),
    (("plan", *FILES, "--gap", "5"), ("--split", "test")),
    (("variance", *FILES), ("--split", "test")),
    (("variance", *FILES, "--samples-are", "samples"), ("--distribution", "any")),
    (("trimming", *FILES, "--replicates", "2"), ("--split", "test")),
    (("trimming", "s", "--resample", "none"), ("--replicates", "2")),
    (("trimming", "s", "--replicates", "2", "--threshold", "0.5"), ("--epsilon", "0.2")),
    (("trimming", *FILES, "--replicates", "2"), ("--classes", "0,1")),
    (("same", "s", "t", "--threshold", "dkw"), ("--permutations", "99")),
    (("same", "s", "t", "--threshold", "0.5"), ("--epsilon", "0.2")),
    (("compare", "x.npy", "x.npy", "--labels", "y.npy"), ("--split", "test")),
    (("audit", *FILES), ("--split", "test")),
    (("sources", "all=x.npy", "init=x.npy", "--labels", "y.npy"), ("--split", "test")),
    (("ensemble", *FILES), ("--split", "test")),
    (("spectra", "s"), ("--metric", "alpha")),
    (("spectra", "s"), ("--torch",)),
    (("spectra", "s"), ("--all",)),
    (("spectra", "s", "t", "--noise", "s"), ("--run", "r")),
    (("spectra", "s", "--between", "1", "end"), ("--step", "3")),
    (("spectra", "x.npy"), ("--where", "lr=0.1")),
    (("paradox", "t.csv"), ("--where", "lr=0.1")),
    (("train", "digits-mlp", "-o", "new", "--runs", "1", "--search", "lr=uniform(0,1)"), ("--set", "lr=0.1")),
    (("hyper-batch", "digits-mlp", "--fixed"), ("--tuning-rate", "0.1")),
]


@pytest.mark.parametrize(("words", "option"), IGNORED, ids=" ".join)
def test_an_option_without_effect_is_refused(folder, monkeypatch, words, option):
    monkeypatch.chdir(folder)
    found = CliRunner().invoke(cli, [*words, *option])
    assert found.exit_code == 2
    assert option[0].lstrip("-") in found.stderr
    assert "error: " in found.stderr
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    "words",
    [
        PLAN,
        ("plan", "s", "--gap", "20", "--split", "test", "--where", "lr=0.1", "--kind", "logits"),
        ("plan", *FILES, "--gap", "20", "--kind", "logits"),
        ("ensemble", *FILES, "--kind", "logits"),
        ("audit", *FILES, "--kind", "logits"),
        ("sources", "all=x.npy", "init=x.npy", "--labels", "y.npy"),
        ("variance", "s", "--split", "test", "--where", "lr=1e-1"),
        ("variance", "s", "--where", "lr=.1"),
    ],
    ids=" ".join,
)
def test_options_that_have_an_effect_are_taken(folder, monkeypatch, words):
    monkeypatch.chdir(folder)
    found = CliRunner().invoke(cli, list(words), catch_exceptions=False)
    assert found.exit_code == 0, found.output


def test_one_column_of_sigmoids_is_planned_and_chosen_from_by_kind(folder, monkeypatch):
    """`--kind` was missing from plan and ensemble, so that such files could not be read at all."""
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(0)
    np.save("p.npy", 1 / (1 + np.exp(rng.normal(size=(8, 80, 1)) - 2 * (np.arange(80)[:, None] % 2))))
    for words in (("plan", "p.npy", "--gap", "20"), ("ensemble", "p.npy"), ("variance", "p.npy"), ("audit", "p.npy")):
        asked = CliRunner().invoke(cli, [*words, "--labels", "y.npy"])
        assert asked.exit_code == 2
        assert "--kind" in asked.stderr
        said = CliRunner().invoke(cli, [*words, "--labels", "y.npy", "--kind", "probabilities"], catch_exceptions=False)
        assert said.exit_code == 0, said.output


def test_classes_belong_to_the_pairwise_margin():
    outputs = np.random.default_rng(0).normal(size=(6, 60, 2))
    for method in (
        lambda **k: rs.trimming(outputs, replicates=2, **k),
        lambda **k: rs.same(outputs, outputs, **k),
    ):
        with pytest.raises(InputError, match="margin='pairwise'"):
            method(classes=(0, 1))
