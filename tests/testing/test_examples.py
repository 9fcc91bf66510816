"""The examples in the docstrings of the contracts run as they are printed."""

from __future__ import annotations

import doctest
import inspect

import pytest

import runspread as rs


@pytest.mark.parametrize("name", rs.testing.__all__)
def test_the_example_runs(name):
    if name == "ExecutorTests":
        pytest.importorskip("torch")
    shown = getattr(rs.testing, name)
    tests = doctest.DocTestFinder(recurse=False).find(shown, name, inspect.getmodule(shown))
    assert tests, f"{name} has no example of its own"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)
    assert runner.summarize().failed == 0
