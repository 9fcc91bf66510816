"""The benchmark for a GPU, at small size on the CPU: so that it works where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_training.py"


@pytest.mark.slow
def test_small_size_on_the_cpu(tmp_path, shared_data):
    command = [sys.executable, str(SCRIPT), "--small", "--data", str(shared_data), "--out", str(tmp_path / "study")]
    command += ["--repeats", "1"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert "digits-mlp" in found
    assert "cifar10-wrn28x10-small" in found
    assert "percentage points of spread between 2 runs" in found
