"""Keep a study of the newest format, which every later version has to open: `python -m tests.studies.keeping`.

It writes `tests/data/studies/v<version>` with what is known of the study, and never changes what is there. Where a new
version brings what `write_everything` does not record, record it there: the page is compared with the same study.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

import runspread as rs
from runspread.studies.layout import FORMAT_VERSION

FOLDER = Path(__file__).parents[1] / "data" / "studies"
LABELS = np.arange(12) % 3


def write_everything(folder: Path) -> rs.Study:
    """Make a study that uses all of the format."""
    study = rs.create_study(
        folder, splits={"test": LABELS, "other": LABELS, "hard": LABELS}, example_ids={"test": np.arange(12)}
    )
    rng = np.random.default_rng(0)
    for seed in range(2):
        logits = rng.normal(size=(12, 3))
        with study.record(seeds=seed, hyperparameters={"lr": 0.1}) as run:
            for step in (0, 1):
                run.log(step, loss=1.0 / (1 + step + seed))
            run.predictions("test", logits, example_ids=np.arange(12))
            run.predictions("test", logits, step=1)
            run.predictions("other", np.full((12, 3), 1 / 3), kind="probabilities")
            run.predictions("hard", LABELS)
            run.predictions("hard", LABELS, step=1)
            run.weights({"w": np.full((2, 2), 1.0 + seed)})
            run.weights({"w": np.ones((2, 2))}, step=1)
            run._record.source_status = "finished"  # as an importer does
    rs.studies.add_digests(rs.open_study(folder))
    return rs.open_study(folder)


def facts_of(study: rs.Study) -> dict[str, Any]:
    """Return what is known of a study, as plain values."""
    outputs, metrics = study.predictions("test"), study.metrics()
    array = np.asarray(outputs.to_array(), float)
    assert outputs.labels is not None
    return {
        "runs": [_run_facts(study, run) for run in study.runs],
        "predictions_sum": array.reshape(len(array), -1).sum(1).tolist(),
        "labels_sum": int(outputs.labels.sum()),
        "metrics": {key: np.nansum(np.asarray(metrics[key].values, float), 1).tolist() for key in metrics},
        "variance": {key: value for key, value in rs.variance(study).to_dict().items() if _is_finite(value)},
    }


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _run_facts(study: rs.Study, run: Any) -> dict[str, Any]:
    weights = study.weights(run) if None in run.weights else None
    return {
        "id": run.id,
        "status": run.status,
        "seeds": run.seeds.to_dict(),
        "hyperparameters": run.hyperparameters,
        "accuracy": run.accuracy,
        "weights_sum": weights and {key: float(np.asarray(value, float).sum()) for key, value in weights.items()},
    }


def keep(folder: Path) -> None:
    """Write the study of the newest format into a new folder, and beside it what is known of it."""
    if folder.exists():
        sys.exit(f"{folder} is there: what is kept does not change.")
    facts = facts_of(write_everything(folder / "everything"))
    (folder / "answers.json").write_text(json.dumps({"everything": facts}, indent=1) + "\n")


if __name__ == "__main__":
    keep(FOLDER / f"v{FORMAT_VERSION}")
