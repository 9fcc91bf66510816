"""More runs than a process may open files: every command answers, and no reader walks the study once per run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

import runspread as rs
from runspread._cli import COMMANDS

from .tools import LABELS, environment, logits

NO_STUDY = ("demo", "train", "import", "recipes", "check", "clean", "gate", "evaluations", "hyper-deep", "hyper-batch")
CALLS = {name: [name, "STUDY"] for name in COMMANDS if name not in (*NO_STUDY, "cite")} | {
    "same": ["same", "STUDY", "STUDY"],
    "compare": ["compare", "STUDY", "OTHER"],
    "rank": ["rank", "STUDY", "OTHER"],
    "plan": ["plan", "STUDY", "--gap", "1"],
    "copy": ["copy", "STUDY", "COPY"],
    "ensemble": ["ensemble", "STUDY", "--size", "3", "--split", "test"],
    "paradox": ["paradox", "STUDY"],
    "report": ["report", "STUDY", "--output", "PAGE"],
}
FEW = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
import runspread as rs
study = rs.open_study(sys.argv[1])
assert len(study.predictions().to_array()) == len(study.runs)
print(rs.variance(study).sentence(), rs.audit(study).sentence(), study.verify().sentence(), sep="\\n")
for chunk in list(study.predictions().chunks()): pass
held = [study.weights(run) for run in study.runs if run.weights]
metrics = study.metrics()["loss"]
from click.testing import CliRunner
from runspread._cli import cli
for command in json.loads(sys.argv[2]):
    begun = time.process_time()
    found = CliRunner().invoke(cli, command)
    print(f"{command[0]}: exit {found.exit_code}, {time.process_time() - begun:.1f} s of processor time", flush=True)
    said = (command, found.output[-2000:], found.exc_info)
    assert found.exit_code in (0, 1, 2, 3) and isinstance(found.exception, (SystemExit, type(None))), said
    assert found.exit_code != 2 or "error: " in found.output, (command, found.output)
    assert "open files" not in found.output and "is corrupt" not in found.output, found.output
"""


def record(folder, runs, first=0, steps=2):
    study = rs.create_study(folder, splits={"test": LABELS})
    for seed in range(first, first + runs):
        with study.record(seeds=seed, hyperparameters={"lr": 0.1 * (1 + seed % 3)}) as run:
            for step in range(1, steps + 1):
                run.log(step, loss=1 / step + seed % 7)
            run.predictions("test", logits(seed))
            if seed % 10 == 0:
                run.weights({"w": np.random.default_rng(seed).normal(size=(60, 60))})
    return study


def few_handles(tmp_path, runs, names, steps=2):
    record(tmp_path / "study", runs, steps=steps)
    record(tmp_path / "other", 10, first=10**6, steps=steps)
    places = {"STUDY": "study", "OTHER": "other", "COPY": "copy", "PAGE": "page.html"}
    commands = [[str(tmp_path / places[w]) if w in places else w for w in CALLS[name]] for name in names]
    code = [sys.executable, "-c", FEW, str(tmp_path / "study"), json.dumps(commands)]
    done = subprocess.run(code, capture_output=True, text=True, env=environment(), check=False)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stderr[-2000:]


def test_more_runs_than_handles(tmp_path):
    few_handles(tmp_path, 300, ["info", "variance", "verify"])


@pytest.mark.slow
def test_every_command_answers_of_three_thousand_runs_at_256_handles(tmp_path, tally):
    few_handles(tmp_path, 3000, list(CALLS), steps=12)
    tally("commands on 3,000 runs at 256 open files", len(CALLS), 0)


def test_dynamics_reads_a_metric_a_few_times_and_not_once_per_run(tmp_path, monkeypatch):
    """Of 3,000 runs it read every shard for every run: it had not ended after 100 s."""
    from runspread.studies.readers import Metrics

    study, read = record(tmp_path / "s", 12, steps=12), Counter()
    getitem = Metrics.__getitem__

    def counted(self, name):
        read[name] += 1
        return getitem(self, name)

    monkeypatch.setattr(Metrics, "__getitem__", counted)
    rs.dynamics(study, states=[2], restarts=1, standardize="pooled")
    assert 0 < read["loss"] < 6
