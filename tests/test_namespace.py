"""The public namespace: what is in it, and what importing it costs."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import runspread as rs

HEAVY = ("torch", "scipy.stats", "matplotlib", "pandas", "sklearn", "numba", "rich", "click", "jinja2", "ray")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_import_loads_nothing_heavy():
    modules = loaded_by("import runspread")
    assert not [name for name in (*HEAVY, "numpy", "typing", "re") if name in modules]


NOT_OF_VARIANCE = (
    *(name for name in HEAVY if name not in {"rich", "click"}),
    *(
        "scipy.optimize",
        "scipy.linalg",
        "runspread.training",
        "runspread.nn",
        "runspread.importers",
        "runspread._report",
    ),
)


def test_a_command_loads_no_more_than_its_question_needs(tmp_path):
    study = rs.create_study(tmp_path / "s", splits={"test": [0, 1, 1, 0]})
    for seed in range(3):
        with study.record(seeds=seed) as run:
            run.predictions("test", [[1.0, seed], [0.0, 1.0], [0.5, 0.0], [1.0, 0.5]])
    code = (
        "import sys; from runspread._cli import cli; "
        f"cli.main(['variance', {str(study.path)!r}], standalone_mode=False); print(*sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "runspread.methods.variance.estimate" in printed
    assert not [name for name in NOT_OF_VARIANCE if name in printed]


def test_import_takes_at_most_twice_as_long_as_numpy():
    def seconds(module):
        code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
        return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    assert min(seconds("runspread") for _ in range(5)) <= 2 * min(seconds("numpy") for _ in range(5))


def test_the_top_level_fits_a_screen():
    assert len(rs.__all__) <= 45


def public_names(place: ModuleType, path: str) -> Iterator[str]:
    for name in place.__all__:
        value = getattr(place, name)
        if not inspect.ismodule(value):
            yield f"{path}.{name}"
        elif hasattr(value, "__all__"):
            yield from public_names(value, f"{path}.{name}")


@pytest.mark.parametrize("path", sorted(public_names(rs, "runspread")))
def test_every_public_name_resolves_and_is_documented(path):
    place, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(place), name).__doc__


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("same_model", "runspread.same"),
        ("variance_by_source", "runspread.sources"),
        ("trimming_level", "runspread.methods.trimming.trimming_level"),
        ("InputError", "runspread.errors.InputError"),
        ("plot_comparison", "runspread.plots.plot_comparison"),
        ("RunFacts", "runspread.studies.RunMetadata"),
    ],
)
def test_a_retired_name_says_where_it_is(name, place):
    with pytest.raises(AttributeError, match=f"it is {place}$"):
        getattr(rs, name)


def test_a_name_that_never_was_is_an_ordinary_error():
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        rs.nothing  # noqa: B018


@pytest.mark.parametrize("family", [name for name in rs.methods.__all__ if inspect.ismodule(getattr(rs.methods, name))])
def test_a_family_loads_neither_torch_nor_matplotlib(family):
    code = f"import runspread.methods.{family} as f; [getattr(f, name) for name in f.__all__]"
    assert not loaded_by(code) & {"torch", "matplotlib", "click", "runspread.studies.study"}


def test_private_modules_do_not_shadow_public_names():
    root = Path(rs.__file__).parent
    modules = {path.stem for path in root.glob("*.py")} | {path.parent.name for path in root.glob("*/__init__.py")}
    assert {name for name in modules if not name.startswith("_")} <= set(rs.__all__)
