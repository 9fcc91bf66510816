"""The public namespace: what is in it, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import runspread as rs

HEAVY = ("torch", "scipy.stats", "matplotlib", "pandas", "sklearn", "numba", "rich", "click", "jinja2", "ray")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_import_loads_nothing_heavy():
    modules = loaded_by("import runspread")
    assert not [name for name in HEAVY if name in modules]


def test_import_takes_at_most_twice_as_long_as_numpy():
    def seconds(module):
        code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
        return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    assert min(seconds("runspread") for _ in range(5)) <= 2 * min(seconds("numpy") for _ in range(5))


def test_all_is_the_public_set():
    stub = ast.parse((Path(rs.__file__).parent / "__init__.pyi").read_text())
    imported = {
        alias.asname or alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    declared = next(
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"  # type: ignore[attr-defined]
    )
    assert imported == set(declared) == set(rs.__all__)
    assert declared == sorted(declared)
    assert {name for name in dir(rs) if not name.startswith("_")} == set(declared)


@pytest.mark.parametrize("name", rs.__all__)
def test_every_public_name_resolves_and_is_documented(name):
    assert getattr(rs, name).__doc__


def test_private_modules_do_not_shadow_public_names():
    root = Path(rs.__file__).parent
    modules = {path.stem for path in root.glob("*.py")} | {path.parent.name for path in root.glob("*/__init__.py")}
    assert {name for name in modules if not name.startswith("_")} <= set(rs.__all__)
