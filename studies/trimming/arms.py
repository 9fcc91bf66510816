"""What the trimming study trains: pairs of classes, networks, arms of randomness, and the fine-tuned runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import runspread as rs

ARMS = {"init only": ("init",), "order only": ("order",), "both": ("init", "order")}
# Automobile and truck, and 4 and 9: pairs that small networks confuse; cat and dog: one that they find harder still.
PAIRS = {"cifar10": (1, 9), "cifar10-animals": (3, 5), "mnist": (4, 9)}
ADAM = {"optimizer": "adam", "weight_decay": 0.0, "augment": (), "record": "none", "logits_dtype": "float32"}
PUBLISHED = {"recipe": "mnist-lenet", "lr": 1e-3, "schedule": "constant", "batch_size": 32}  # optimiser and batch
RESNET = {
    "recipe": "cifar10-resnet9", "width": 8, "pool": 2, "lr": 0.01, "schedule": "cosine", "batch_size": 100,
    "augment": ("flip",),
}  # fmt: skip
LENET = {
    "recipe": "mnist-lenet", "pool": 2, "lr": 1e-3, "schedule": "cosine", "batch_size": 64, "augment": ("shift:1",),
}  # fmt: skip
SMALL = {"cifar10": RESNET, "cifar10-animals": RESNET, "mnist": LENET}  # networks that a CPU trains in seconds
EPOCHS = {"cifar10": 4, "cifar10-animals": 4, "mnist": 3}
# Candidate runs an arm, runs of the reference pool, fine-tuned runs; what each training adds to its network's fields.
PRESETS: dict[str, dict[str, Any]] = {
    "small": {
        "candidates": 100,
        "references": 60,
        "tuned": 48,
        "network": SMALL,
        "training": {name: {"train_examples": 8000, "epochs": epochs} for name, epochs in EPOCHS.items()},
        "pretraining": {"train_examples": 16_000, "epochs": 4},
        "tuning": {"train_examples": 3000, "validation": 1500, "epochs": 4},
    },
    "full": {
        "candidates": 200,
        "references": 800,
        "tuned": 90,
        "network": dict.fromkeys(PAIRS, PUBLISHED),
        "training": {name: {"epochs": 50} for name in PAIRS},
        "pretraining": {"epochs": 30},
        "tuning": {"validation": 2000, "epochs": 10},
    },
}


def keep_classes(source: Path, target: Path, classes: tuple[int, ...]) -> Path:
    """Write the images of some classes, relabelled 0, 1, ..., as a data set of their own."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    target.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        if (target / f"{split}.parquet").exists():
            continue
        table = pa.concat_tables([pq.read_table(path) for path in sorted(source.glob(f"{split}*.parquet"))])
        table = table.filter(pc.is_in(table["label"], pa.array(classes, table["label"].type)))
        labels = pa.array([classes.index(label) for label in table["label"].to_pylist()])
        columns = {"image": table["image"], "label": labels}
        pq.write_table(pa.table(columns), target / f"{split}.parquet")
    return target


class Training:
    """The studies of this script on one data set."""

    def __init__(self, name: str, data: Path, work: Path, preset: dict[str, Any]) -> None:
        self.name, self.work, self.preset = name, work / name, preset
        self.pair = keep_classes(data, self.work / "pair", PAIRS[name])
        others = tuple(label for label in range(10) if label not in PAIRS[name])
        self.others = keep_classes(data, self.work / "others", others)

    def arm(self, name: str) -> rs.Study:
        """One source of randomness; where both seeds vary, the runs of the reference pool follow the candidates."""
        runs = self.preset["candidates"] + (self.preset["references"] if name == "both" else 0)
        fields = self.preset["training"][self.name]
        # Of one seed, so that all arms have one augmentation; they share their first run, which is not in the pool.
        return self._train(name.replace(" ", "-"), runs, ARMS[name], self.pair, fields, seed=1)

    def tuned(self) -> rs.Study:
        """Return runs that start from a network trained on the other eight classes, with a fresh head."""
        from safetensors.numpy import save_file

        fields = {**self.preset["pretraining"], "keep_weights": True}
        pretrained = self._train("pretrained", 1, ("init",), self.others, fields)
        start = self.work / "pretrained.safetensors"
        save_file({name: np.array(value) for name, value in pretrained.weights(pretrained.runs[0]).items()}, start)
        fields = {"start_from": str(start), "fresh": ("head",), "evaluate": ("validation", "test")}
        return self._train("tuned", self.preset["tuned"], ("init", "order"), self.pair, fields | self.preset["tuning"])

    def _train(
        self, name: str, runs: int, vary: tuple[str, ...], data: Path, fields: dict[str, Any], seed: int = 0
    ) -> rs.Study:
        print(f"{self.name}, {name}: {runs} runs", file=sys.stderr)
        settings = {**ADAM, "keep_weights": False, "data": str(data), **self.preset["network"][self.name], **fields}
        recipe = rs.recipe(settings.pop("recipe"), **settings)
        return rs.train(recipe, runs=runs, vary=vary, seed=seed, out=self.work / name)


def seconds_a_run(study: Path) -> float:
    """Return how long a run took, in the median over shards."""
    shards = [path.parent for path in study.glob("shards/*/provenance.json")]
    facts = [[json.loads((shard / f"{name}.json").read_text()) for name in ("provenance", "shard")] for shard in shards]
    return float(np.median([own["seconds"] / len(runs["runs"]) for own, runs in facts]))
