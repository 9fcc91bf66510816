"""A command chooses no settings of its own: what it takes by default is what the verb takes."""

from __future__ import annotations

import importlib
import inspect

import pytest

import runspread as rs

PAIRS = {
    "trimming": (rs.trimming, {"reference", "replicates", "epsilon", "mode", "seed"}),
    "same": (rs.same, {"alpha", "threshold", "epsilon", "permutations", "seed"}),
    "dynamics": (rs.dynamics, {"preset", "standardize"}),
    "ensemble": (rs.methods.ensembles.select_ensemble, {"size", "objective"}),
    "paradox": (rs.paradox, {"seed"}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_defaults_of_a_command_are_those_of_its_verb(name):
    verb, expected = PAIRS[name]
    of_verb = {each.name: each.default for each in inspect.signature(verb).parameters.values()}
    command = importlib.import_module(f"runspread._cli.{name}").command
    of_command = {each.name: each.default for each in command.params}
    shared = {option for option in set(of_verb) & set(of_command) if option in expected}
    assert shared == expected
    assert {option: of_command[option] for option in shared} == {option: of_verb[option] for option in shared}
