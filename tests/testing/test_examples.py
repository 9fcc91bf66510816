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
    module = inspect.getmodule(getattr(rs.testing, name))
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
