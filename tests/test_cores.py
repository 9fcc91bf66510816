"""How many threads a product of matrices takes, as an independent library reads it."""

from __future__ import annotations

import numpy as np
import pytest

from runspread._cores import available_cores, blas_threads, set_blas_threads


def numpys_threads() -> list[int]:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    found = [info for info in threadpoolctl.threadpool_info() if "numpy.libs" in info["filepath"]]
    if not found:
        pytest.skip("this NumPy brings no OpenBLAS of its own")
    return [info["num_threads"] for info in found]


def test_threads_inside_and_after_the_block():
    np.ones((2, 2)) @ np.ones((2, 2))
    before = numpys_threads()
    with blas_threads(1):
        assert numpys_threads() == [1]
        with blas_threads(2):
            assert numpys_threads() == [2]
        assert numpys_threads() == [1]
    assert numpys_threads() == before


def test_a_worker_holds_blas_to_its_share():
    """Two processes with two threads each on two cores took ten times as long for the weight metrics."""
    loky = pytest.importorskip("loky")
    with loky.ProcessPoolExecutor(1) as pool:
        assert pool.submit(_threads_after_setting).result() == [1]


def _threads_after_setting() -> list[int]:
    set_blas_threads(1)
    return numpys_threads()


def test_cores():
    assert available_cores() >= 1
