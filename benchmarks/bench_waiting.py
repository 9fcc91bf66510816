"""Where people wait: each path beside its peer or its limit, in turn, in one run; answers of both sides are compared.

    python benchmarks/bench_waiting.py --only outputs [--runs 6000]

Times are the least of several, on the clock and of the processor. What is read comes from the page cache where it fits.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

import runspread as rs
from runspread.methods.ensembles import read_candidates
from runspread.studies.index import index_path, stamps_of, write_index

BLOCK = 2**24


class Side:
    """One side of a comparison: its least times, and its last answer."""

    def __init__(self, name: str, action: Callable[[], Any]) -> None:
        self.name, self.action, self.answer = name, action, None
        self.clock = self.processor = float("inf")

    def take_turn(self) -> None:
        """Run once."""
        clock, processor = time.perf_counter(), _processor()
        self.answer = self.action()
        self.clock = min(self.clock, time.perf_counter() - clock)
        self.processor = min(self.processor, _processor() - processor)


def _processor() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def in_turns(limit: Side, *others: Side, repeats: int = 5) -> None:
    """Run the sides in turn, and print each beside the first."""
    for _ in range(repeats):
        for side in (limit, *others):
            side.take_turn()
    for side in (limit, *others):
        times = f"{side.clock / limit.clock:6.2f} times the first on the clock"
        print(f"  {side.name:52s} {side.clock:8.3f} s {side.processor:8.3f} s of processor time {times}")


def read(path: Path) -> int:
    """Read a file's bytes, as plainly as can be."""
    block, total = bytearray(BLOCK), 0
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            total += size
    return total


def same(*answers: Any) -> None:
    """Stop where answers differ."""
    if any(answer != answers[0] for answer in answers[1:]):
        raise SystemExit(f"the answers differ: {str(answers)[:1000]}")
    print("  the answers are equal")


# ------------------------------------------------------------------ the rows


def start(folder: Path, _: argparse.Namespace) -> None:
    """Start a command, beside Python that imports NumPy and scipy.special."""
    study = folder / "study"
    rs.train(rs.recipe("digits-mlp", epochs=2), runs=8, out=study)
    plain = [sys.executable, "-c", "import numpy, scipy.special"]
    command = [sys.executable, "-m", "runspread", "variance", str(study)]

    def run(arguments: list[str]) -> Callable[[], str]:
        return lambda: subprocess.run(arguments, check=True, capture_output=True, text=True).stdout

    asked = Side("runspread variance STUDY", run(command))
    in_turns(Side("python -c 'import numpy, scipy.special'", run(plain)), asked, repeats=9)
    same(" ".join(str(asked.answer).split())[:60], " ".join(rs.variance(rs.open_study(study)).sentence().split())[:60])


def trimming(_: Path, __: argparse.Namespace) -> None:
    """Find levels of 64 runs on 360 examples with all defaults, with the loops of NumPy and with the compiled ones."""
    from runspread.methods.trimming import resampling

    rng, labels = np.random.default_rng(0), np.arange(360) % 10
    logits = rng.normal(size=(64, 360, 10)).astype(np.float32)
    logits[:, np.arange(360), labels] += rng.normal(2, 1, 360)

    def levels(least: int) -> Callable[[], list[float]]:
        def ask() -> list[float]:
            resampling.COMPILE_FROM = least
            return rs.trimming(logits, labels=labels).levels.ravel().tolist()

        return ask

    usual = Side("rs.trimming(logits, labels)", levels(resampling.COMPILE_FROM))
    compiled = Side("the same, compiled (loading them not counted)", levels(0))
    in_turns(usual, compiled)
    same(usual.answer, compiled.answer)


def outputs(folder: Path, options: argparse.Namespace) -> None:
    """Measure the variance of half-precision logits in a file, beside reading its bytes."""
    path, rng = folder / "logits.npy", np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, "w+", np.float16, (options.runs, 10_000, 10))
    usual = 3 * rng.standard_normal((10_000, 10), dtype=np.float32)
    labels = usual.argmax(1)
    for run in range(options.runs):
        out[run] = usual + rng.standard_normal(usual.shape, dtype=np.float32)
    out.flush()
    classes = np.concatenate(
        [out[k : k + 50].astype(np.float32).argmax(2).astype(np.uint8) for k in range(0, options.runs, 50)]
    )
    print(f"  {path.stat().st_size / 1e9:.2f} GB")
    ours = Side("rs.variance(rs.open_outputs(path, labels))", lambda: rs.variance(rs.open_outputs(path, labels)))
    in_turns(Side("plain read", lambda: read(path)), ours, repeats=3)
    same(ours.answer.to_dict(), rs.variance(classes, labels).to_dict())


def ensembles(folder: Path, options: argparse.Namespace) -> None:
    """Read candidates for ensembles from a file of 100 classes, beside reading its bytes and the plain formula."""
    labels = np.arange(10_000) % 100
    for kind in (np.float32, np.float16):
        path, rng = folder / f"{kind.__name__}.npy", np.random.default_rng(0)
        out = np.lib.format.open_memmap(path, "w+", kind, (options.candidates, 10_000, 100))
        for run in range(options.candidates):
            out[run] = 3 * rng.standard_normal(out.shape[1:], dtype=np.float32)
        out.flush()
        print(f"  {path.stat().st_size / 1e9:.2f} GB of {kind.__name__}")
        ours = Side(
            "read_candidates(np.load(path, mmap_mode='r'), labels)",
            lambda path=path: read_candidates(np.load(path, mmap_mode="r"), labels, kind="logits").log_true,
        )
        plain = Side("log-softmax of every class, run by run", lambda out=out: _plain_log_softmax(out, labels))
        in_turns(Side("plain read", lambda path=path: read(path)), ours, plain, repeats=2)
        same(ours.answer.tobytes(), plain.answer.tobytes())
        path.unlink()


def _plain_log_softmax(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    rows, found = np.arange(len(labels)), []
    for run in logits:
        shifted = run.astype(np.float64)
        shifted -= shifted.max(axis=1, keepdims=True)
        found.append((shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))[rows, labels])
    return np.array(found)


def index(folder: Path, options: argparse.Namespace) -> None:
    """Open a study with its index, and ask what it holds, beside reading the index's bytes."""
    for per_shard in (100, 1):
        path = folder / f"by {per_shard}"
        _write_index(path, 100_000, per_shard)
        at = index_path(path)
        print(f"  100,000 runs in shards of {per_shard}, an index of {at.stat().st_size / 1e6:.0f} MB")
        asked = [sys.executable, "-m", "runspread", "info", str(path)]
        opened = Side("rs.open_study(path)", lambda path=path: len(rs.open_study(path).runs))
        info = Side(
            "runspread info STUDY",
            lambda asked=asked: subprocess.run(asked, check=True, capture_output=True, text=True).stdout,
        )
        in_turns(Side("plain read of the index", lambda at=at: read(at)), opened, info, repeats=3)
        same(f"runs         {opened.answer}", next(line for line in info.answer.splitlines() if line[:5] == "runs "))


def _write_index(path: Path, runs: int, per_shard: int) -> None:
    """Write the index and the folders of a study; opening one reads no more where nothing changed."""
    study = rs.create_study(path, splits={"test": [0, 1, 1, 0]})
    with study.record(seeds=0, hyperparameters={"lr": 0.1, "width": 64}) as run:
        run.log(1, loss=0.5, accuracy=0.5)
        run.predictions("test", [[2.0, 0.0], [0.0, 1.0], [0.5, 0.0], [1.0, 0.5]])
    first = study.parts[0]
    shutil.rmtree(first.folder)
    shards = {}
    for shard in range(runs // per_shard):
        (path / "shards" / f"{shard:016x}").mkdir()
        numbers = range(shard * per_shard, (shard + 1) * per_shard)
        own = (replace(first.runs[0], id=f"{k:016x}", seeds=rs.Seeds(init=k, order=k)) for k in numbers)
        shards[f"{shard:016x}"] = replace(first.facts, position=shard, runs=tuple(own))
    write_index(path, shards, stamps_of(path))


def checkpoint(folder: Path, _: argparse.Namespace) -> None:
    """Analyse a checkpoint of 2 GB in four shards, beside reading its bytes; its memory, and the progress it shows."""
    from safetensors.numpy import save_file

    places, rng = {}, np.random.default_rng(0)
    weight = rng.normal(size=(256, 16_384)).astype(np.float32)
    for shard in range(1, 5):
        name = f"model-0000{shard}-of-00004.safetensors"
        tensors = {f"layers.{shard}.{k}.linear.weight": np.roll(weight, 31 * k + shard) for k in range(32)}
        save_file(tensors, folder / name)
        places |= dict.fromkeys(tensors, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    files = sorted(folder.glob("*.safetensors"))
    print(f"  {sum(file.stat().st_size for file in files) / 1e9:.2f} GB")
    code = (
        "import runspread as rs, sys, pathlib; told = []\n"
        "found = rs.spectra(sys.argv[1], progress=lambda done, of: told.append((done, of)))\n"
        "print(found.layers[0].metrics['stable_rank'], told[0], told[-1])\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print('  largest resident', status.split('VmHWM:')[1].split()[0], 'kB, pages of the files included')"
    )
    command = [sys.executable, "-c", code, str(folder)]
    ours = Side(
        "rs.spectra(folder)", lambda: subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    in_turns(Side("plain read", lambda: [read(file) for file in files]), ours, repeats=1)
    first, memory = ours.answer.splitlines()
    print(memory)
    values = np.linalg.svd(np.roll(weight, 1).astype(np.float64), compute_uv=False) ** 2
    rank, progress = first.split(maxsplit=1)
    same(round(float(values.sum() / values.max()), 9), round(float(rank), 9))
    same(progress, "(1, 128) (128, 128)")


ROWS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "start": start,
    "trimming": trimming,
    "outputs": outputs,
    "ensembles": ensembles,
    "index": index,
    "checkpoint": checkpoint,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=ROWS, action="append")
    parser.add_argument("--runs", type=int, default=6_000, help="runs of the row 'outputs' (default 6,000: 1.2 GB)")
    parser.add_argument("--candidates", type=int, default=1_000, help="of the row 'ensembles' (1,000: 4 GB and 2 GB)")
    options = parser.parse_args()
    for name in options.only or ROWS:
        print(f"{name}: {ROWS[name].__doc__}")
        with tempfile.TemporaryDirectory() as folder:
            ROWS[name](Path(folder), options)


if __name__ == "__main__":
    main()
