"""Promise 8: opening or analysing anything that somebody sent runs no code. Walks every public verb and command."""

from __future__ import annotations

import contextlib
import inspect
import types
import warnings

import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import COMMANDS, cli
from runspread.errors import RunspreadError
from tests.breaking.hostile import Trap

torch = pytest.importorskip("torch")

# What a verb is given besides what was sent, by the name of the parameter.
SENSIBLE = {"split": "test", "seed": 0, "size": 2, "runs": 2, "gap": 0.01, "step": None, "examples": 20, "noise": False}
ANSWERS = (RunspreadError, TypeError, ValueError, AttributeError, KeyError, IndexError, NotImplementedError, OSError)


def public_callables():
    """Return every public function and class method that takes something, by its full name."""
    spaces = {"runspread": rs, **{f"runspread.{n}": getattr(rs, n) for n in ("training", "studies", "nn", "methods")}}
    spaces |= {f"runspread.methods.{n}": getattr(rs.methods, n) for n in rs.methods.__all__}
    found = {}
    for space, module in spaces.items():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if isinstance(value, types.FunctionType):
                found[f"{space}.{name}"] = value
    return found


VERBS = public_callables()
# They train what the caller names, or build what the caller hands over: a recipe of the caller's is code, and runs.
OF_THE_CALLER = {name for name, verb in VERBS.items() if {"out"} & set(inspect.signature(verb).parameters)}


@pytest.fixture(scope="module")
def trap(tmp_path_factory):
    return Trap(tmp_path_factory.mktemp("trap"))


@pytest.fixture(scope="module")
def sent(trap):
    studies = [trap.study("of-recipe", in_run=False), trap.study("of-runs", in_run=True)]
    return [*studies, trap.ensemble(), *trap.files()]


def test_the_trap_would_spring(trap):
    """Else the walk proves nothing."""
    made = rs.recipe("digits-mlp", model=f"{trap.code}:net", model_options={})
    from runspread.training.build import plain_network

    plain_network(made, (64,), 10)
    assert trap.sprung
    import pickle

    pickle.loads(pickle.dumps(trap))
    assert trap.sprung


def call(verb, first):
    parameters = inspect.signature(verb).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    values = {p.name: SENSIBLE.get(p.name, first) for p in required[1:]}
    with contextlib.suppress(*ANSWERS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = verb(first, **values)
        for method in ("sentence", "table", "to_json"):
            getattr(found, method, lambda: None)()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(VERBS.keys() - OF_THE_CALLER))
def test_no_public_verb_runs_code_that_was_sent(name, sent, trap):
    for path in sent:
        call(VERBS[name], str(path))
        if (path / "study.json").exists():
            call(VERBS[name], rs.open_study(path))
    assert not trap.sprung


@pytest.mark.parametrize("which", ["of-recipe", "of-runs"])
def test_verbs_that_build_networks_refuse_code_that_a_study_names(which, sent, trap):
    study = rs.open_study(next(path for path in sent if path.name == which))
    ids = study.runs.ids[:2]
    for build in (
        lambda: rs.training.make_ensemble(study, ids),
        lambda: rs.ensemble(study, size=2),
        lambda: rs.training.study_measures(study, noise=False),
    ):
        with pytest.raises(RunspreadError, match="code that a file names is never run"):
            build()
    assert not trap.sprung


def test_a_loaded_ensemble_asks_for_its_network(sent, trap):
    folder = next(path for path in sent if path.name == "ensemble")
    with pytest.raises(RunspreadError, match="never run"):
        rs.load_ensemble(folder)
    assert not trap.sprung


def arguments(command: str, path: str, out: str) -> list[list[str]]:
    """Return calls of a command on something that was sent: plainly, and with what makes it write or build."""
    plain = [command, path]
    more = {
        "ensemble": [[*plain, "--split", "test", "--size", "2", "-o", out]],
        "paradox": [[*plain, "--measures"], [command, path, path, "--metric", "lr"]],
        "spectra": [[*plain, "--torch"], [*plain, "--torch", "--json"]],
        "compare": [[command, path, path]],
        "same": [[command, path, path]],
        "report": [[*plain, "-o", f"{out}.html"]],
        "sources": [[*plain, "--factor", "lr"]],
        "plan": [[*plain, "--gap", "1"]],
    }
    return [plain, *more.get(command, [])]


TRAINING = ("demo", "train", "hyper-deep", "hyper-batch")
LONG = ("dynamics", "report", "spectra")  # fit models, or start processes


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=[pytest.mark.slow] * (c in LONG)) for c in COMMANDS if c not in TRAINING],
)
def test_no_command_runs_code_that_was_sent(command, sent, trap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(sent):
        for given in arguments(command, str(path), str(tmp_path / f"out-{number}")):
            result = CliRunner().invoke(cli, given)
            assert result.exit_code in (0, 1, 2, 3), (given, result.output)
    assert not trap.sprung


@pytest.mark.parametrize("command", ["train", "hyper-deep", "hyper-batch"])
def test_going_on_with_a_study_that_was_sent_runs_no_code(command, sent, trap, tmp_path):
    """The recipe is the caller's; the folder to go on with is not."""
    for path in (path for path in sent if (path / "study.json").exists()):
        result = CliRunner().invoke(cli, [command, "digits-mlp", "--runs", "2", "-o", str(path)])
        assert result.exit_code == 2
    assert not trap.sprung
