"""Every value that was read from real logs by other means: `expected.json` beside the logs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import runspread as rs

from ..conftest import SHARED

FOREIGN = SHARED / "foreign"
EXPECTED = json.loads((FOREIGN / "expected.json").read_text()) if (FOREIGN / "expected.json").is_file() else {}
STATUS = {
    "3": "finished", "4": "crashed", "5": "killed", "1": "killed", "FINISHED": "finished", "FAILED": "crashed",
    "RUNNING": "killed", "COMPLETED": "finished", "INTERRUPTED": "killed", "exit_code 0": "finished",
}  # fmt: skip
COUNTS = {"values": 0}
_CACHE: dict[str, rs.importers.ImportedRuns] = {}


def entries():
    return [(folder, entry) for folder, listed in EXPECTED.items() for entry in listed if folder != "made-aim"]


def imported(path):
    key = str(path)
    if key not in _CACHE:
        if any(sign in key for sign in "*"):
            _CACHE[key] = rs.importers.from_table(key)
        else:
            _CACHE[key] = rs.import_runs(path, restarts="last")
    return _CACHE[key]


def run_of(folder, entry):
    """The run that an entry is about, and what its metrics are called there."""
    root, name = FOREIGN / folder, entry["run"]
    if folder == "json-seeds-grouping":
        return imported(root / "results" / "seed_*.json")[name], str
    if folder == "seeds-morphology":
        return imported(root / "results" / "seed_*" / "results_gcn.json")[name], str
    if folder in ("hf-checkpoints", "hf-flat", "dvclive-tsv"):
        place = root if name == "." or folder == "dvclive-tsv" else root / name
        return imported(place)[0], str
    if folder == "made-hf":
        return (imported(root / name)[0] if "/" in name else imported(root)[name]), str
    if "wandb" in folder:
        return imported(root / "wandb" / name)[0], str
    if folder == "made-tb" and "/" in name:
        parent, _, below = name.partition("/")
        prefix = "acc/" + below.removeprefix("acc_") if below.startswith("acc_") else None
        return imported(root)[parent], (lambda metric: prefix or metric)
    return imported(root)[name], str


def is_deleted(entry):
    return str(entry["status_on_disk"]).endswith("/deleted")


def number(value):
    return float(value) if not isinstance(value, str) else float(value.replace("NA", "nan"))


def same(found, expected):
    wanted = number(expected)
    if abs(wanted) > 1.79e308:
        wanted = math.copysign(math.inf, wanted)
    return (math.isnan(found) and math.isnan(wanted)) or found == wanted or math.isclose(found, wanted, rel_tol=1e-12)


def check(condition, message):
    COUNTS["values"] += 1
    assert condition, message


@pytest.mark.skipif(not EXPECTED, reason="the logs beside the developers' checkouts (../shared/foreign) are not here")
class TestExpectedValues:
    @pytest.mark.parametrize(("folder", "entry"), entries(), ids=lambda value: str(value)[:0] or None)
    def test_metrics(self, folder, entry):
        if is_deleted(entry):
            assert entry["run"] not in imported(FOREIGN / folder).ids
            pytest.skip("deleted in its tracker, and excluded")
        run, called = run_of(folder, entry)
        for name, wanted in entry["metrics"].items():
            name = called(name)
            if folder in ("json-seeds-grouping", "seeds-morphology"):
                check(same(run.summary[name], wanted["last"]), name)
                continue
            if name == "hp_metric":
                check(name not in run.curves, "a placeholder is no metric")
            self._check_curve(run.raw[name], wanted, f"{folder} {entry['run']} {name}")

    def _check_curve(self, raw, wanted, where):
        steps, points = raw.steps, wanted["points"]
        if wanted["last"] == "NA":  # cells without a point, which the list of expected values counts
            check(len(raw.values) <= points, where)
            return
        check(len(raw.values) == points, where)
        check(int(steps[0]) == wanted["first_step"], where)
        check(int(steps[-1]) == wanted["last_step"], where)
        check(same(float(raw.values[-1]), wanted["last"]), where)
        check(len(set(steps.tolist())) == wanted["distinct_steps"], where)
        stored_as_largest = not isinstance(wanted["last"], str) and abs(wanted["last"]) > 1.79e308  # infinity in SQLite
        nonfinite = wanted.get("nonfinite", 0) + stored_as_largest
        check(int((~np.isfinite(raw.values)).sum()) == nonfinite, where)
        check(bool((steps[1:] <= steps[:-1]).any()) == wanted.get("not_increasing", False), where)

    @pytest.mark.parametrize(("folder", "entry"), entries(), ids=lambda value: str(value)[:0] or None)
    def test_facts(self, folder, entry):
        if is_deleted(entry):
            pytest.skip("deleted in its tracker, and excluded")
        run, _ = run_of(folder, entry)
        for value in entry["seeds"].values():
            check(int(value) in run.seeds.values(), entry["run"])
        said = str(entry["status_on_disk"]).partition("/")[0]
        if said in STATUS and run.status not in ("empty", "diverged"):
            check(run.status == STATUS[said], entry["run"])
        if said.startswith("global_step"):
            check(said in run.evidence, entry["run"])
        if said.startswith("exit_code") and said != "exit_code 0" and run.status != "empty":
            check(run.status == "crashed", entry["run"])
        if isinstance(entry.get("result"), (int, float)):
            check(run.summary["result"] == entry["result"], entry["run"])
        if entry.get("parent"):
            check(run.parent == entry["parent"], entry["run"])
        if entry.get("name"):
            check(run.name == entry["name"], entry["run"])
        if entry.get("run_id"):
            check(run.id == entry["run_id"], entry["run"])
        if "test_acc" in entry.get("summary", {}):
            check(run.summary["test_acc"] == entry["summary"]["test_acc"], entry["run"])

    def test_aim_is_named_and_not_read(self):
        with pytest.raises(rs.errors.InputError, match="Aim repository: not read; export it with its SDK"):
            rs.import_runs(FOREIGN / "made-aim")

    def test_how_many_values_are_compared(self):
        """All of them in one test: a comparison that falls silent would go unnoticed in the others."""
        COUNTS["values"] = 0
        for folder, entry in entries():
            if not is_deleted(entry):
                self.test_metrics(folder, entry)
                self.test_facts(folder, entry)
        assert COUNTS["values"] >= 5500, COUNTS
