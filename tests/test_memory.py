"""What streams stays within its memory: each path is run under a limit of half more than docs/performance.md says.

The limit is on what a process allocates (RLIMIT_DATA), beyond what it holds once the same path was run on little; pages
of a mapped file are the system's and not counted. Each input is larger than the limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits what a process allocates as Linux does")

LIMITED = """
import os, resource, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # each thread has a stack
from pathlib import Path
import numpy as np, runspread as rs
from runspread.methods.ensembles import read_candidates
from runspread._reading import half
from runspread.methods.variance import run_statistics
half._COMPILE_FROM = 0  # what the compiled loops hold is not of the data
small, large, limit = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
def path(folder):
    {path}
path(small)
held = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
allowed = held + int(1.5 * limit * 2**20)
resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
path(large)
"""
PATHS = {  # name: what is run, largest allocation in MiB
    "outputs": ("rs.variance(rs.open_outputs(folder / 'logits.npy', np.load(folder / 'labels.npy')))", 44),
    "classes": ("run_statistics(np.load(folder / 'classes.npy', mmap_mode='r'), np.load(folder / 'labels.npy'))", 24),
    "ensembles": (
        "read_candidates(np.load(folder / 'logits.npy', mmap_mode='r'), np.load(folder / 'labels.npy'), kind='logits')",
        44,
    ),
    "weights": ("rs.spectra(folder / 'checkpoint')", 48),
}


def write(folder: Path, runs: int, examples: int, layers: int) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, examples)
    logits = np.lib.format.open_memmap(folder / "logits.npy", "w+", np.float16, (runs, examples, 10))
    one = rng.normal(size=(examples, 10)).astype(np.float16)
    one[np.arange(examples), labels] += 1
    for run in range(runs):
        logits[run] = np.roll(one, 10 * run, axis=0)
    np.save(folder / "classes.npy", np.tile(labels.astype(np.uint8), (10 * runs, 1)))
    np.save(folder / "labels.npy", labels)
    write_checkpoint(folder / "checkpoint", layers)
    return folder


def write_checkpoint(folder: Path, layers: int) -> None:
    """Write a checkpoint in two shards, with its index."""
    from safetensors.numpy import save_file

    folder.mkdir()
    places: dict[str, str] = {}
    for shard in (1, 2):
        name = f"model-0000{shard}-of-00002.safetensors"
        weight = np.random.default_rng(shard).normal(size=(64, 16_384)).astype(np.float32)
        tensors = {f"layers.{shard}.{layer}.linear.weight": weight + layer for layer in range(layers)}
        save_file(tensors, folder / name)
        places |= dict.fromkeys(tensors, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("memory")
    yield write(root / "small", 3, 200, 1), write(root / "large", 4_000, 1_000, 10)
    for file in root.rglob("*.*"):
        if file.is_file():
            file.unlink()


@pytest.mark.parametrize("name", PATHS)
def test_a_streaming_path_stays_within_its_memory(folders, name):
    done = limited(*PATHS[name], folders)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_read_whole_does_not(folders):
    path, limit = PATHS["classes"]
    done = limited(path.replace(", mmap_mode='r'", ""), limit, folders)
    assert "MemoryError" in done.stderr


def limited(path: str, limit: float, folders: tuple[Path, Path]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED.format(path=path), *map(str, folders), str(limit)]
    return subprocess.run(command, check=False, capture_output=True, text=True)
