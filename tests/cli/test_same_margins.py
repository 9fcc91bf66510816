"""`runspread same` by a margin on accuracies (gate 3.3): exit status 0 shown, 1 the opposite, 3 undecided, 2 input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("margins")
    rng, labels = np.random.default_rng(0), np.arange(500) % 4
    np.save(folder / "y.npy", labels)
    for name, scale in (("old", 2.0), ("again", 2.0), ("worse", 1.0)):
        np.save(folder / f"{name}.npy", scale * np.eye(4)[labels] + rng.normal(size=(8, 500, 4)))
    return folder


@pytest.mark.parametrize(
    ("new", "options", "status", "verdict"),
    [
        ("again", ("--not-worse", "5"), 0, "not worse"),
        ("again", ("--equivalent", "6"), 0, "equivalent"),
        ("again", ("--not-worse", "0.01"), 3, "undecided"),
        ("worse", ("--not-worse", "2"), 1, "worse"),
        ("worse", ("--equivalent", "2"), 1, "worse"),
        ("again", ("--not-worse", "0"), 2, ""),
        ("again", ("--not-worse", "2", "--equivalent", "2"), 2, ""),
        ("again", ("--not-worse", "2", "--alpha", "0.1"), 2, ""),
    ],
)
def test_not_worse_and_equivalent(folder, monkeypatch, new, options, status, verdict):
    monkeypatch.chdir(folder)
    found = CliRunner().invoke(cli, ["same", "old.npy", f"{new}.npy", "--labels", "y.npy", *options])
    assert found.exit_code == status, found.output
    if verdict:
        assert f"Verdict: {verdict} on this test set (exit status {status})" in found.output


@pytest.mark.parametrize(
    ("on", "place"),
    [("distribution", "on the distribution"), ("models", "for these models"), ("test-set", "on this test set")],
)
def test_what_the_answer_covers(folder, monkeypatch, on, place):
    monkeypatch.chdir(folder)
    words = ["same", "old.npy", "worse.npy", "--labels", "y.npy", "--not-worse", "2", "--on", on]
    found = CliRunner().invoke(cli, words)
    assert found.exit_code == 1, found.output
    assert f"Verdict: worse {place}" in found.output


def test_what_it_covers_is_of_margins_alone(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = CliRunner().invoke(cli, ["same", "old.npy", "again.npy", "--labels", "y.npy", "--on", "models"])
    assert found.exit_code == 2
    assert "--on has no effect without --not-worse or --equivalent" in found.output


def test_the_level_is_epsilon(folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = ("same", "old.npy", "again.npy", "--labels", "y.npy", "--not-worse", "3", "--epsilon", "0.1", "--json")
    found = json.loads(CliRunner().invoke(cli, list(words)).stdout)
    runs, labels = (rs.open_outputs(folder / f"{name}.npy", np.load("y.npy")) for name in ("old", "again")), None
    expected = rs.compare(*runs, labels, on="test-set", not_worse=0.03, confidence_level=0.9)
    assert found["p_not_worse"] == pytest.approx(expected.to_dict()["p_not_worse"])
    assert found["level"] == pytest.approx(0.9)
