"""Variance of training on CIFAR-10 with and without augmentation, after Jordan (2023).

    python studies/variance/cifar10.py --data ../shared/data/cifar10 --work runs/variance-cifar10
    python studies/variance/cifar10.py --data ... --work ... --preset full     # ResNet-9 in full: needs a GPU

The small preset trains a narrow ResNet-9 on 5,000 images of 16 x 16 pixels; the full one the published ResNet-9 for 4,
16 and 64 epochs on all images. What is trained stays in the work folder; called again, the script only analyses.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import runspread as rs

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import Claim, claims_table, save
from rows import Row, row, settings_table

PRESETS: dict[str, dict[str, Any]] = {
    "small": {
        "recipe": "cifar10-resnet9-small",
        "runs": 40,
        "durations": (1, 4, 16),
        "fields": {
            "pool": 2,
            "train_examples": 5000,
            "test_examples": 10_000,
            "augment": ("flip", "shift:1"),
            "lr": 0.3,
        },
    },
    "full": {"recipe": "cifar10-resnet9", "runs": 128, "durations": (4, 16, 64), "fields": {}},
}


def train(preset: dict[str, Any], data: str, work: Path, epochs: float, **fields: Any) -> rs.Study:
    fixed = {"epochs": epochs, "record": "none", "keep_weights": False, "data": data}
    recipe = rs.recipe(preset["recipe"], **preset["fields"] | fixed | fields)
    name = f"{epochs}-epochs{'-plain' if 'augment' in fields else ''}"
    print(f"{name}: {preset['runs']} runs", file=sys.stderr)
    return rs.train(recipe, runs=preset["runs"], out=work / name)


def claims_of(rows: dict[str, Row]) -> list[Claim]:
    augmented = [found for name, found in rows.items() if "plain" not in name]
    last, plain = augmented[-1], rows[next(name for name in rows if "plain" in name)]
    falls = all(a["F"] > b["F"] for a, b in pairwise(augmented))
    ratios = [found["over free"] for found in rows.values()]
    bounds = [found["over formula"] for found in rows.values()]
    return [
        Claim("1 duration", "F falls with the length of training", _list(augmented, "F"), falls),
        Claim(
            "2 most of the spread is the test set",
            "at the end, independent errors make at least half of the variance",
            f"F {last['F']:.2f}",
            last["F"] <= 2,
        ),
        Claim(
            "3 upper bound", "sd_ind <= 1.02 sqrt(err/2n)", _list(rows.values(), "over formula"), max(bounds) <= 1.02
        ),
        Claim(
            "4 label-free prediction",
            "sd_ind / sqrt((D-T3)/2n) in [0.88, 1.03]",
            _list(rows.values(), "over free"),
            min(ratios) >= 0.88 and max(ratios) <= 1.03,
        ),
        Claim(
            "5 disagreement over error",
            "nearer to 1 with augmentation than without",
            f"{last['D/err']:.2f} with, {plain['D/err']:.2f} without",
            abs(1 - last["D/err"]) < abs(1 - plain["D/err"]),
        ),
        Claim(
            "6 augmentation lowers the spread",
            "distribution-wise sd smaller with augmentation (published at equal accuracy, not at equal length)",
            f"{100 * last['sd_dist']:.3f} with, {100 * plain['sd_dist']:.3f} percentage points without",
            last["var_dist"] < plain["var_dist"],
        ),
    ]


def _list(rows: Any, key: str) -> str:
    return ", ".join(f"{found[key]:.2f}" for found in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with train.parquet and test.parquet of CIFAR-10")
    parser.add_argument("--work", type=Path, default=Path("runs/variance-cifar10"))
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--runs", type=int, help="fewer or more runs a setting")
    arguments = parser.parse_args()
    preset = PRESETS[arguments.preset]
    preset |= {"runs": arguments.runs} if arguments.runs else {}
    work = arguments.work / arguments.preset
    rows = {f"{e} epochs": row(train(preset, arguments.data, work, e)) for e in preset["durations"]}
    longest = preset["durations"][-1]
    rows[f"{longest} epochs, plain"] = row(train(preset, arguments.data, work, longest, augment=()))
    claims = claims_of(rows)
    print(settings_table(rows), claims_table(claims), sep="\n\n")
    save(work / "figures.json", claims, settings=rows)


if __name__ == "__main__":
    main()
