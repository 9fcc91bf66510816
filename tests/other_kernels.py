"""Run the tests that rank, tie or choose again under other kernels than this processor's own: `make test-kernels`.

What is computed on another processor differs in the last bits: OpenBLAS has kernels for each, NumPy too. Kernels of
older processors can be chosen when a process starts, so that one machine stands for several.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = (
    "tests/methods/trimming/test_last_bits.py",
    "tests/methods/trimming/test_runs.py",
    "tests/methods/trimming/test_level.py",
    "tests/methods/trimming/test_comparison.py",
    "tests/methods/trimming/test_representative_size.py",
    "tests/methods/trimming/test_same_model.py",
    "tests/methods/ensembles/test_selection.py",
    "tests/methods/ensembles/test_scores.py",
    "tests/methods/hmm/test_hmm.py",
    "tests/methods/corpus/test_paradox.py",
    "tests/vectors",
)
# A kernel of OpenBLAS, the features of a processor that it needs, and what NumPy does without beside it; newest first.
X86 = (
    ("Haswell", ("AVX2", "FMA3"), ("AVX512", "X86_V4")),
    ("Sandybridge", ("AVX",), ("AVX512", "X86_V4", "AVX2", "FMA3", "X86_V3")),
    ("Nehalem", ("SSE42",), ("AVX512", "X86_V4", "AVX2", "FMA3", "X86_V3", "AVX")),
)
ARM = (("ARMV8", ("NEON",), ("SVE", "ASIMDHP", "ASIMDDP", "ASIMDFHM")),)
PASSES = 2


@dataclass(frozen=True)
class Kernel:
    """A kernel of OpenBLAS, and the features that NumPy does without, by its own names."""

    blas: str
    without: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Return the variables that choose it; those that were set before do not count."""
        return {**os.environ, "OPENBLAS_CORETYPE": self.blas, "NPY_DISABLE_CPU_FEATURES": " ".join(self.without)}


def others(own: str | None, features: Collection[str], dispatched: Sequence[str], machine: str) -> list[Kernel]:
    """Return kernels that this processor has beside its own.

    Parameters
    ----------
    own : str or None
        Kernel of OpenBLAS in use; None without OpenBLAS.
    features : collection of str
        Features of the processor.
    dispatched : sequence of str
        Features that NumPy chooses by: only these can be disabled.
    machine : str
        As `platform.machine` names it.
    """
    known = ARM if machine.lower() in ("arm64", "aarch64") else X86
    found = []
    for blas, needed, without in known:
        if own is None or blas.lower() == own.lower() or not set(needed) <= set(features):
            continue
        left_out = [name for name in dispatched if name in features and name.startswith(without)]
        found.append(Kernel(blas, tuple(left_out)))
    return found[:PASSES]


def here() -> tuple[str | None, list[str], list[str]]:
    """Return the kernel of OpenBLAS in use, the processor's features and those that NumPy chooses by."""
    from runspread._cores import blas_kernel

    try:
        from numpy._core import _multiarray_umath as umath
    except ImportError:  # before NumPy 2
        from numpy.core import _multiarray_umath as umath
    return blas_kernel(), [name for name, there in umath.__cpu_features__.items() if there], umath.__cpu_dispatch__


def described() -> str:
    """Return the kernels of this process in words."""
    blas, features, dispatched = here()
    return f"OpenBLAS {blas}, NumPy with {', '.join(name for name in dispatched if name in features) or 'its baseline'}"


def run(kernel: Kernel, words: Sequence[str]) -> int:
    """Run the tests under a kernel; the status is 2 where it was not taken."""
    environment = kernel.environment()
    taken = subprocess.run(
        [sys.executable, __file__, "--show"], env=environment, capture_output=True, text=True, check=False
    )
    say(f"== {taken.stdout.strip() or taken.stderr.strip()}")
    if f"OpenBLAS {kernel.blas}," not in taken.stdout:
        say(f"{kernel.blas} was not taken")
        return 2
    return subprocess.run([sys.executable, "-m", "pytest", *words, *TESTS], env=environment, check=False).returncode


def say(text: str) -> None:
    """Print a line, before what a child prints."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(words: Sequence[str]) -> int:
    """Run all passes and return the worst status."""
    if words == ["--show"]:
        say(described())
        return 0
    os.chdir(Path(__file__).parents[1])
    say(f"this process: {described()}")
    kernels = others(*here(), platform.machine())
    if not kernels:
        say("there is no other kernel that this processor has: nothing was run again")
    return max((run(kernel, words) for kernel in kernels), default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
