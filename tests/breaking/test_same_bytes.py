"""Promise 12: the same inputs give the same bytes, in another process, with other threads and hashes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import runspread as rs

from .tools import environment

LABELS = np.arange(200) % 5
COMMANDS = {
    "audit": [], "calibration": None, "dynamics": ["--states", "3", "--restarts", "2"], "ensemble": ["--size", "3"],
    "info": [], "plan": ["--gap", "1"], "sources": [], "spectra": [], "summary": [], "trimming": [], "variance": [],
    "verify": ["--deep"],
}  # fmt: skip
TWICE = {"compare": [], "rank": [], "same": ["--epsilon", "0.2"]}
ANSWERS = """
import json, sys, warnings
from click.testing import CliRunner
from runspread._cli import cli
import runspread as rs
warnings.simplefilter("ignore")
found = {}
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, (SystemExit, type(None))), (words, done.exc_info)
    found[" ".join(words)] = [done.exit_code, done.output]
found["calibration"] = rs.calibration(sys.argv[2]).to_json()
rs.report(sys.argv[2], sys.argv[3])
print(json.dumps([found, open(sys.argv[3]).read()]))
"""


def record(folder, shift):
    study = rs.create_study(folder, splits={"test": LABELS, "validation": LABELS})
    for seed in range(8):
        rng = np.random.default_rng(seed + shift)
        with study.record(seeds=seed + shift, hyperparameters={"lr": 0.1 * (1 + seed % 2)}) as run:
            for step in range(20):
                run.log(step, loss=float(np.exp(-step / 8) + 0.05 * rng.normal()), accuracy=step / 20)
            for split in ("test", "validation"):
                run.predictions(split, rng.normal(size=(200, 5)) + 2 * np.eye(5)[LABELS])
            run.weights({"w": rng.normal(size=(60, 80))})


def answers(tmp_path, calls, **threads):
    page = tmp_path / "page.html"
    call = [sys.executable, "-c", ANSWERS, json.dumps(calls), str(tmp_path / "a"), str(page)]
    done = subprocess.run(call, capture_output=True, text=True, env=environment() | threads, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_every_answer_is_the_same_to_the_byte(tmp_path, tally):
    for name, shift in (("a", 0), ("b", 100)):
        record(tmp_path / name, shift)
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    calls = [[name, a, *more] for name, more in COMMANDS.items() if more is not None]
    calls += [[name, a, b, *more] for name, more in TWICE.items()]
    calls = [*calls, *([*words, "--json"] for words in calls)]
    one, page = answers(tmp_path, calls, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONHASHSEED="1")
    two, again = answers(tmp_path, calls, OMP_NUM_THREADS="8", OPENBLAS_NUM_THREADS="8", PYTHONHASHSEED="2")
    differ = [name for name in one if one[name] != two[name]]
    answered = sum(status != 2 for status, _ in (one[" ".join(words)] for words in calls))
    assert answered > 0.9 * len(calls), {name: said for name, said in one.items() if said[0] == 2}
    tally("answers given twice, with 1 and 8 threads", len(one) + 1, len(differ) + (page != again))
    assert (differ, page == again) == ([], True)
