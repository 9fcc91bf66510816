"""Variance of training on MNIST: the small-scale re-creation of Jordan (2023), ten claims, each beside its tolerance.

    python studies/variance/mnist.py --data ../shared/data/mnist --work runs/variance-mnist

About 25 minutes on two cores. What is trained stays in the work folder; called again, the script only analyses.
"""

from __future__ import annotations

import argparse
import io
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import runspread as rs
from runspread.methods.variance import perturbation_sensitivity, two_group_tasks

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import Claim, claims_table, markdown_table, save
from rows import Row, row, settings_table

DURATIONS = (0, 1, 4, 16, 64)
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
ROLES = ("init", "order", "augment")


class Studies:
    """The trained studies of this script, by name."""

    def __init__(self, data: str, work: Path) -> None:
        self.data, self.work = data, work

    def train(
        self, name: str, runs: int, vary: tuple[str, ...] = ROLES, *, seed: int = 0, **overrides: Any
    ) -> rs.Study:
        recipe = rs.recipe("mnist-mlp-small", data=self.data, **{"record": "none", "keep_weights": False} | overrides)
        print(f"{name}: {runs} runs", file=sys.stderr)
        return rs.train(recipe, runs=runs, vary=vary, seed=seed, out=self.work / name)

    def m1(self, epochs: float, runs: int = 200, **overrides: Any) -> rs.Study:
        """2,000 images, one hidden layer, no augmentation."""
        fields = {"train_examples": 2000, "hidden": (64,), "augment": (), "epochs": epochs}
        return self.train(f"m1-{epochs}", runs, **fields | overrides)

    def m2(self, epochs: float) -> rs.Study:
        """10,000 images, two hidden layers, augmentation."""
        return self.train(f"m2-{epochs}", 100, train_examples=10_000, epochs=epochs)

    def m3(self, seed: int = 0) -> rs.Study:
        """All images, two hidden layers, augmentation."""
        return self.train("m3" if not seed else f"m3-seed-{seed}", 75, seed=seed, epochs=10)

    def source(self, role: str, length: str, runs: int) -> rs.Study:
        """One source of randomness at a time; "all" varies all."""
        fields = {"short": {"hidden": (64,), "epochs": 4}, "long": {"hidden": (64, 64), "epochs": 64, "lr": 0.3}}
        vary = ROLES if role == "all" else (role,)
        return self.train(f"source-{length}-{role}", runs, vary, train_examples=2000, **fields[length])


# ------------------------------------------------------------------------------------------- what is measured


def settings(studies: Studies) -> dict[str, Row]:
    rows = {f"M1, {epochs} epochs": row(studies.m1(epochs)) for epochs in DURATIONS[:-1]}
    rows["M1, 64 epochs"] = row(studies.m1(64, keep_weights=True))
    rows |= {f"M2, {epochs} epochs": row(studies.m2(epochs)) for epochs in (2, 8, 32)}
    rows["M3, 10 epochs"] = row(studies.m3())
    rows["M3, other seeds"] = row(studies.m3(seed=1))
    return rows


def duration(rows: dict[str, Row]) -> Claim:
    found = [rows[f"M1, {epochs} epochs"] for epochs in DURATIONS]
    falls = all(a["F"] > b["F"] for a, b in pairwise(found))
    ratio = found[2]["sd_dist"] / found[4]["sd_dist"]
    shown = ", ".join(f"{r['F']:.1f}" for r in found)
    expected = "F falls over 0, 1, 4, 16, 64 epochs; sd_dist(4)/sd_dist(64) >= 2.5"
    return Claim("1 duration", expected, f"F {shown}; ratio {ratio:.2f}", falls and ratio >= 2.5)


def independence(rows: dict[str, Row]) -> Claim:
    m3 = rows["M3, 10 epochs"]
    holds = m3["F"] <= 1.4 and abs(m3["corr"]) <= 0.30 and m3["transfer"] <= 0.35
    measured = f"F {m3['F']:.2f}, corr of halves {m3['corr']:.2f}, transfer {m3['transfer']:.2f}"
    return Claim("2 independence at the end", "M3: F <= 1.4, corr within 0.30, transfer <= 0.35", measured, holds)


def formulas(rows: dict[str, Row]) -> Claim:
    trained = [r for name, r in rows.items() if "M1, 0" not in name]
    upper = max(r["over formula"] for r in trained)
    free = [r["over free"] for r in trained]
    lower = all(r["over lower"] >= 1 for r in trained)
    expected = "sd_ind <= 1.02 sqrt(err/2n); sd_ind/sqrt((D-T3)/2n) in [0.88, 1.03]; lower bound holds"
    measured = f"at most {upper:.3f}; {min(free):.3f} to {max(free):.3f}; lower bound {'holds' if lower else 'fails'}"
    return Claim(
        "3 calibration formulas",
        expected,
        measured,
        upper <= 1.02 and min(free) >= 0.88 and max(free) <= 1.03 and lower,
    )


def gde(rows: dict[str, Row]) -> Claim:
    augmented = [r["D/err"] for name, r in rows.items() if name[:2] != "M1"]
    small = rows["M1, 64 epochs"]["D/err"]
    holds = min(augmented) >= 0.65 and max(augmented) <= 1.05 and small < 0.6
    measured = f"{min(augmented):.2f} to {max(augmented):.2f}; M1 at 64 epochs {small:.2f}"
    return Claim("4 disagreement over error", "0.65 to 1.05 with augmentation; below 0.6 in M1 at 64", measured, holds)


def convexity(studies: Studies, rows: dict[str, Row]) -> Claim:
    fields = {"hidden": (), "weight_decay": 0.05, "epochs": 200}
    linear = row(studies.train("linear", 60, train_examples=2000, augment=(), **fields))
    share = linear["sd"] / rows["M1, 64 epochs"]["sd"]
    return Claim(
        "5 convexity",
        "softmax regression's sd at most one fifth of M1's",
        f"{100 * linear['sd']:.3f} percentage points, {share:.2f} of M1's",
        share <= 0.2,
    )


def shift(studies: Studies) -> Claim:
    study = studies.m1(64, keep_weights=True)
    images, labels = test_images(Path(studies.data))
    clean = rs.variance(forward(study, images), labels)
    assert abs(clean.mean_acc - rs.variance(study).mean_acc) < 1e-3  # our forward pass is the trainer's
    rng = np.random.default_rng(0)
    moved = np.pad(images, ((0, 0), (0, 2), (0, 2)))[:, 2:, 2:]
    shifted = {
        "noise": np.clip(images + rng.normal(scale=0.35, size=images.shape), 0, 1),
        "2 pixels": moved,
        "contrast": 0.6 * images + 0.24,
    }
    spreads = {name: rs.variance(forward(study, changed), labels).sd_dist for name, changed in shifted.items()}
    measured = ", ".join(f"{name} {100 * sd:.2f}" for name, sd in spreads.items())
    return Claim(
        "6 shift",
        "sd_dist at least 3 times the clean one under noise, 2 pixels, contrast",
        f"clean {100 * clean.sd_dist:.2f}; {measured} percentage points",
        min(spreads.values()) >= 3 * clean.sd_dist,
    )


def test_images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images averaged to 14 x 14 in [0, 1], and the labels."""
    import pyarrow.parquet as parquet
    from PIL import Image

    table = parquet.read_table(folder / "test.parquet").to_pydict()
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in table["image"]]) / 255
    return pixels.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)), np.array(table["label"])


def forward(study: rs.Study, images: np.ndarray) -> np.ndarray:
    """Return every run's logits [runs, examples, classes] on other images."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return np.stack([_mlp(study.weights(run), flat) for run in study.runs])


def _mlp(weights: dict[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    layers = [(weights[name], weights[name.replace("weight", "bias")]) for name in weights if name.endswith("weight")]
    for weight, bias in layers[:-1]:
        inputs = np.maximum(inputs @ weight.T + bias, 0)
    weight, bias = layers[-1]
    return inputs @ weight.T + bias


def sources(studies: Studies) -> tuple[list[Claim], str]:
    claims, tables = [], []
    for length, runs in (("short", 200), ("long", 60)):
        groups = {role: studies.source(role, length, runs) for role in ("all", *ROLES)}
        result = rs.sources(groups)
        sd, dist = np.sqrt(result.var_test), np.sqrt(np.maximum(result.var_dist, 0))
        d = result.disagreement.rate
        tables.append(
            [
                (length, name, *(f"{v:.4f}" for v in values))
                for name, *values in zip(result.names, 100 * sd, 100 * dist, d, strict=True)
            ]
        )
        shares = d[1:] / d[0]
        if length == "short":
            measured = f"sd {_span(sd[1:] / sd[0])}, D {_span(shares)} of all"
            holds = _within(sd[1:] / sd[0], 59, 83) and _within(shares, 51, 73)
            claims.append(
                Claim(
                    "7a sources, short",
                    "single sources give 59 to 83 % of the sd and 51 to 73 % of the D of all",
                    measured,
                    holds,
                )
            )
        else:
            claims.append(
                Claim(
                    "7b sources, long",
                    "D of each single source at least 85 % of all",
                    f"D {_span(shares)} of all",
                    bool((shares >= 0.85).all()),
                )
            )
    header = ("length", "what varies", "sd, percentage points", "sd_dist, percentage points", "D")
    return claims, markdown_table(header, [r for table in tables for r in table])


def _within(shares: np.ndarray, low: int, high: int) -> bool:
    """Return whether all shares, in whole percent, are in a range."""
    percent = np.round(100 * shares)
    return bool(percent.min() >= low and percent.max() <= high)


def _span(values: np.ndarray) -> str:
    return f"{100 * values.min():.0f} to {100 * values.max():.0f} %"


def perturbation(studies: Studies, pairs: int = 12) -> Claim:
    """One weight times 1.001 at the start: how far it drives a run, relative to new seeds."""
    shares = []
    for epochs, rate in ((4, 0.1), (16, 0.1), (64, 0.1), (64, 0.3)):
        fields = {"train_examples": 2000, "epochs": epochs, "lr": rate}
        name = f"perturbation-{epochs}-{rate}"
        base = studies.train(name, pairs, ("order", "augment"), checkpoint_at=(0,), **fields)
        again, perturbed = (
            studies.train(
                f"{name}-{kind}",
                pairs,
                ("order", "augment"),
                start_from=str(start(base, studies.work / f"{name}{end}.safetensors", factor)),
                **fields,
            )
            for kind, end, factor in (("again", "-again", 1.0), ("perturbed", "", 1.001))
        )
        found = perturbation_sensitivity(base, again, perturbed, studies.train(f"{name}-fresh", pairs, **fields))
        assert found.deterministic, found.sentence()
        shares.append(found.relative)
    rising = shares[0] < shares[1] < shares[2] < shares[3]
    measured = ", ".join(f"{share:.2f}" for share in shares)
    return Claim(
        "8 perturbation by 1.001",
        "share of new seeds' disagreement rises with training; last at least 0.5",
        measured,
        rising and shares[-1] >= 0.5,
    )


def start(base: rs.Study, path: Path, factor: float) -> Path:
    """Write the shared initial weights with one weight times a factor: one whose pixel is not constantly zero."""
    from safetensors.numpy import save_file

    weights = {name: np.array(value) for name, value in base.weights(base.runs[0], step=0).items()}
    first = next(name for name in weights if name.endswith("weight"))
    weights[first][0, 7 * 14 + 7] *= factor  # the middle of the image
    if not path.exists():
        save_file(weights, path)
    return path


def learning_rate(studies: Studies) -> Claim:
    rows = {}
    for rate in RATES:
        study = studies.train(f"rate-{rate}", 60, train_examples=2000, hidden=(64,), epochs=16, lr=rate)
        rows[rate] = row(study)
    best = max(rows, key=lambda rate: rows[rate]["mean"])
    quiet = min(rows, key=lambda rate: rows[rate]["sd_dist"])
    shown = ", ".join(f"{rate}: {100 * r['mean']:.2f} % ({100 * r['sd_dist']:.2f})" for rate, r in rows.items())
    return Claim(
        "9 learning rate",
        "the most accurate rate has the least sd_dist",
        f"best {best}, quietest {quiet}; {shown}",
        best == quiet,
    )


def two_groups(studies: Studies) -> Claim:
    tasks = two_group_tasks(studies.m3())
    sd, formula = np.sqrt(tasks.var_test), np.sqrt(tasks.err / (2 * tasks.n_examples))
    r2 = np.corrcoef(sd, formula)[0, 1] ** 2
    binomial = tasks.err * (1 - tasks.err) / tasks.n_examples
    ratio = np.mean((tasks.var_test - binomial) ** 2) / np.mean(
        (tasks.var_test - tasks.err / (2 * tasks.n_examples)) ** 2
    )
    measured = f"R2 {r2:.2f}, binomial error {ratio:.0f} times larger"
    return Claim(
        "10 two-group tasks",
        "R2 >= 0.5; binomial squared error at least 10 times larger",
        measured,
        r2 >= 0.5 and ratio >= 10,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with train.parquet and test.parquet of MNIST")
    parser.add_argument("--work", type=Path, default=Path("runs/variance-mnist"))
    arguments = parser.parse_args()
    studies = Studies(arguments.data, arguments.work)
    rows = settings(studies)
    claims = [duration(rows), independence(rows), formulas(rows), gde(rows), convexity(studies, rows), shift(studies)]
    by_source, source_table = sources(studies)
    claims += [*by_source, perturbation(studies), learning_rate(studies), two_groups(studies)]
    print(settings_table(rows), source_table, claims_table(claims), sep="\n\n")
    save(arguments.work / "figures.json", claims, settings=rows)


if __name__ == "__main__":
    main()
