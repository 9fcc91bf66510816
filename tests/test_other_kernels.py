"""Which kernels the tests run under again, and that they are taken."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.other_kernels import TESTS, Kernel, described, here, others

SCRIPT = Path(__file__).with_name("other_kernels.py")
OLD = ["SSE42", "AVX", "F16C"]
WITH_AVX2 = [*OLD, "AVX2", "FMA3", "X86_V3"]
WITH_AVX512 = [*WITH_AVX2, "AVX512F", "X86_V4", "AVX512_SKX", "AVX512_ICL"]
NUMPY_2_4 = ["X86_V3", "X86_V4", "AVX512_ICL", "AVX512_SPR"]
NUMPY_1 = ["AVX2", "AVX512F", "AVX512CD", "AVX512_SKX"]


@pytest.mark.parametrize(
    ("own", "features", "dispatched", "expected"),
    [
        (
            "SkylakeX",
            WITH_AVX512,
            NUMPY_2_4,
            [("Haswell", "X86_V4 AVX512_ICL"), ("Sandybridge", "X86_V3 X86_V4 AVX512_ICL")],
        ),
        ("SapphireRapids", WITH_AVX512, NUMPY_1, [("Haswell", "AVX512F AVX512_SKX"), ("Sandybridge", None)]),
        ("Haswell", WITH_AVX512, NUMPY_2_4, [("Sandybridge", None), ("Nehalem", None)]),
        ("Zen", WITH_AVX2, NUMPY_2_4, [("Haswell", ""), ("Sandybridge", "X86_V3")]),
        ("Haswell", WITH_AVX2, NUMPY_1, [("Sandybridge", "AVX2"), ("Nehalem", "AVX2")]),
        ("Sandybridge", OLD, NUMPY_1, [("Nehalem", "")]),
        ("Nehalem", ["SSE42"], NUMPY_2_4, []),
        (None, WITH_AVX512, NUMPY_2_4, []),
    ],
)
def test_a_processor_is_asked_for_kernels_that_it_has_beside_its_own(own, features, dispatched, expected):
    found = others(own, features, dispatched, "x86_64")
    assert [kernel.blas for kernel in found] == [blas for blas, _ in expected]
    for kernel, (_, without) in zip(found, expected, strict=True):
        assert set(kernel.without) <= set(features) & set(dispatched)
        assert without is None or " ".join(kernel.without) == without


def test_other_processors():
    assert [kernel.blas for kernel in others("neoversen1", ["NEON", "ASIMD"], ["SVE"], "aarch64")] == ["ARMV8"]
    assert others(None, ["NEON"], [], "arm64") == []


def test_the_kernel_is_taken_whatever_was_set_before(monkeypatch):
    kernels = others(*here(), platform.machine())
    if not kernels:
        pytest.skip("this processor has no other kernel, or NumPy another BLAS")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "")
    for kernel in kernels:
        done = subprocess.run(
            [sys.executable, SCRIPT, "--show"],
            env=kernel.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"OpenBLAS {kernel.blas}," in done.stdout
        assert not any(f" {name}" in done.stdout for name in kernel.without)
        assert done.stdout.strip() != described()


def test_what_runs_again_is_there():
    for name in TESTS:
        assert (SCRIPT.parents[1] / name).exists()
    assert Kernel("Haswell", ()).environment()["PATH"] == os.environ["PATH"]
