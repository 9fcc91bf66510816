"""Every public function has an example in its docstring that runs as it is printed."""

from __future__ import annotations

import doctest
import inspect
import types
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import runspread as rs

# Pictures are in the gallery. What reads files that only a tracker writes is shown by `import_runs`, and what a
# campaign does inside by `rs.gate`; the measures that perturb a network are shown by `rs.training.study_measures`.
ELSEWHERE = {
    *(f"from_{name}" for name in ("mlflow", "neptune", "sacred", "tensorboard", "trackio", "wandb")),
    *("claim_of", "judge_sides", "from_torch_checkpoint", "path_norm", "sharpness_measures", "worst_case_radius"),
}
TRAINS = ("rs.train", "rs.ensemble", "rs.load_ensemble", "rs.hyper_deep_ensemble", "rs.training.")
NEED_TORCH = ("torch", "digits-mlp", "rs.train")


def functions(place: types.ModuleType = rs, path: str = "rs") -> Iterator[tuple[str, Any]]:
    for name in place.__all__:
        value = getattr(place, name)
        if inspect.ismodule(value) and value is not rs.plots:
            yield from functions(value, f"{path}.{name}")
        elif inspect.isfunction(value):
            yield f"{path}.{name}", value


PUBLIC = {inspect.unwrap(value): name for name, value in reversed([*functions()])}  # by the shortest name
SHOWN = {name: value for value, name in PUBLIC.items() if name.rpartition(".")[2] not in ELSEWHERE}


def test_every_public_function_has_an_example():
    assert [name for name, value in SHOWN.items() if ">>>" not in (value.__doc__ or "")] == []
    assert {name.rpartition(".")[2] for name in PUBLIC.values()} >= ELSEWHERE


def run(name: str) -> None:
    value = SHOWN[name]
    if any(word in value.__doc__.partition("Examples\n")[2] for word in NEED_TORCH):
        pytest.importorskip("torch")
        pytest.importorskip("sklearn")
    (test,) = doctest.DocTestFinder(recurse=False).find(value, name, inspect.getmodule(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rs.errors.RunspreadWarning)
        found = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("name", [name for name in SHOWN if not name.startswith(TRAINS)])
def test_the_example_runs(name):
    run(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHOWN if name.startswith(TRAINS)])
def test_the_example_that_trains_runs(name):
    run(name)
