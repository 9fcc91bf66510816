"""The trimming level on two classes of CIFAR-10 and of MNIST: experiments E1 to E4 after Banerjee et al. (2025).

    python studies/trimming/trimming.py --cifar10 ../shared/data/cifar10 --mnist ../shared/data/mnist
    python studies/trimming/trimming.py ... --preset full      # the published length of training: needs a GPU

E1: how many runs stand for all. E2: init only, order only, both. E3: levels beside accuracy, calibration and churn.
E4: seeds of a fine-tuned network, ranked by level and by validation accuracy. Published claims are qualitative (no
table of the paper could be read), so each is put as a comparison with its uncertainty. What is trained stays in the
work folder; called again, the script only analyses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import runspread as rs

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import Claim, claims_table, markdown_table, save

ARMS = {"init only": ("init",), "order only": ("order",), "both": ("init", "order")}
PAIRS = {"cifar10": (3, 5), "mnist": (4, 9)}  # cat and dog; 4 and 9: the pairs that are confused most
CNN = {
    "optimizer": "adam",
    "lr": 1e-3,
    "schedule": "constant",
    "augment": (),
    "record": "none",
    "logits_dtype": "float32",
}
PRESETS: dict[str, dict[str, Any]] = {
    "small": {
        "arm": 100,
        "both": 120,
        "tuned": 48,
        "fields": {"pool": 2, "train_examples": 2000, "epochs": 10, "batch_size": 64},
        "tuning": {"pool": 2, "train_examples": 1500, "validation": 500, "epochs": 5, "batch_size": 64},
        "pretraining": {"pool": 2, "train_examples": 8000, "epochs": 5, "batch_size": 64},
    },
    "full": {
        "arm": 200,
        "both": 1000,
        "tuned": 90,
        "fields": {"epochs": 50, "batch_size": 32},
        "tuning": {"validation": 2000, "epochs": 10, "batch_size": 32},
        "pretraining": {"epochs": 30, "batch_size": 32},
    },
}
BOOTSTRAP = 4000

# ------------------------------------------------------------------------------------------------- what is trained


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
        """One source of randomness."""
        runs = self.preset["both" if name == "both" else "arm"]
        return self._train(name.replace(" ", "-"), runs, ARMS[name], self.pair, **self.preset["fields"])

    def tuned(self) -> rs.Study:
        """Return runs that start from a network trained on the other eight classes, with a fresh head."""
        from safetensors.numpy import save_file

        pretrained = self._train(
            "pretrained", 1, ("init",), self.others, keep_weights=True, **self.preset["pretraining"]
        )
        weights = {name: np.array(value) for name, value in pretrained.weights(pretrained.runs[0]).items()}
        start = self.work / "pretrained.safetensors"
        save_file(weights, start)
        fields = self.preset["tuning"] | {
            "start_from": str(start),
            "fresh": ("head",),
            "evaluate": ("validation", "test"),
        }
        return self._train("tuned", self.preset["tuned"], ("init", "order"), self.pair, **fields)

    def _train(self, name: str, runs: int, vary: tuple[str, ...], data: Path, **fields: Any) -> rs.Study:
        print(f"{self.name}, {name}: {runs} runs", file=sys.stderr)
        recipe = rs.recipe("mnist-lenet", **{**CNN, "keep_weights": False, "data": str(data)} | fields)
        return rs.train(recipe, runs=runs, vary=vary, out=self.work / name)


def gaps_of(study: rs.Study, split: str = "test") -> np.ndarray:
    return rs.logit_gap(study.predictions(split).to_array("float64"))


def interval(values: np.ndarray, statistic: Callable[[np.ndarray], float] = np.mean) -> str:
    """Return a statistic over runs with its 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(0)
    drawn = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(BOOTSTRAP)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{statistic(values):.3f} ({low:.3f} to {high:.3f})"


# ------------------------------------------------------------------------------------------------- E1: ensemble size


def ensemble_size(study: rs.Study, facts: dict[str, Any]) -> tuple[str, list[Claim]]:
    """How the level and the distance to the average law fall with the number of runs."""
    gaps = gaps_of(study)
    tested = rs.representative_size(gaps, replicates=100)
    paired = rs.representative_size(gaps, replicates=100, resample=None)
    sorted_rows = rs.representative_size(np.sort(gaps, axis=1), kinds=["ensemble"], replicates=100, resample=None)
    rows = []
    for k, size in enumerate(tested.sizes):
        above = (tested.levels[:, :, :, k] > 0).mean(-1)
        distances = [np.quantile(each, [0.5, 0.05, 0.95]) for each in paired.distances[:, :, k]]
        artefact = np.quantile(sorted_rows.distances[0, :, k], [0.5, 0.05, 0.95])
        shown = ["{:.4f} ({:.4f} to {:.4f})".format(*each) for each in (*distances, artefact)]
        rows.append((int(size), *shown, *(f"{share:.0%}" for share in above.ravel())))
    header = (
        "M", "distance of mixture", "of ensemble", "of quantile average",
        "rejected: mixture", "pool against mixture", "ensemble", "pool against ensemble",
    )  # fmt: skip
    facts["E1"] = {"split": tested.sentence(), "all examples": paired.sentence(), "rows": rows}
    mixture, ensemble = (np.median(each, axis=0) for each in paired.distances)
    floor = np.quantile(paired.distances[0][:, -1], 0.95)
    claims = [
        Claim(
            "E1 mixture", "distance to the average law falls as M grows", _ends(mixture), bool(mixture[-1] < mixture[0])
        ),
        Claim(
            "E1 ensemble",
            "published: the ensemble approaches the average law (distance at the largest M as small as the mixture's)",
            f"{_ends(ensemble)}; 95 % of mixtures of the largest size within {floor:.4f}",
            bool(ensemble[-1] <= floor),
        ),
        Claim("E1 size", "smallest M from which the level stays at 0, reported", _sizes(tested), None),
    ]
    return markdown_table(header, rows) + f"\n\n{tested.sentence()}", claims


def _ends(values: np.ndarray) -> str:
    return f"median {values[0]:.4f} at M = 1, {values[-1]:.4f} at the largest M"


def _sizes(result: Any) -> str:
    return ", ".join(f"{kind}: {result.recommended(kind) or f'none up to {result.sizes[-1]}'}" for kind in result.kinds)


# ------------------------------------------------------------------------------------------------- E2: randomness


def randomness(arms: dict[str, rs.Study], facts: dict[str, Any]) -> tuple[str, list[Claim]]:
    """Levels of the runs of each arm against one pool of runs in which both seeds vary."""
    both = gaps_of(arms["both"])
    pool = both[len(both) // 2 :]
    rows, means = [], {}
    for name, study in arms.items():
        candidates = both[: len(both) // 2] if name == "both" else gaps_of(study)
        ours = rs.trimming(candidates, pool, resample="split")
        published = rs.trimming(candidates, pool, resample="bootstrap", mode="published")
        means[name] = ours.mean
        rows.append(
            (
                name,
                len(candidates),
                interval(ours.mean),
                interval(ours.atypical.astype(float)),
                "{:.3f}, {:.3f}, {:.3f}".format(*np.quantile(ours.mean, [0.05, 0.5, 0.95])),
                f"{ours.censored.mean():.1%}",
                interval(published.grid_mean),
            )
        )
    header = (
        "arm", "runs", "mean level (95 %)", "share told apart (95 %)", "5 %, median, 95 % of runs", "0.5 or more",
        "published rule, mean (95 %)",
    )  # fmt: skip
    facts["E2"] = {"rows": rows, "levels": {name: level.tolist() for name, level in means.items()}}
    return markdown_table(header, rows), [
        Claim(
            f"E2 {name}",
            "difference of the mean level from both seeds varied, reported",
            _difference(means[name], means["both"]),
            None,
        )
        for name in list(ARMS)[:2]
    ]


def _difference(first: np.ndarray, second: np.ndarray) -> str:
    rng = np.random.default_rng(0)
    drawn = [rng.choice(first, len(first)).mean() - rng.choice(second, len(second)).mean() for _ in range(BOOTSTRAP)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{first.mean() - second.mean():+.3f} ({low:+.3f} to {high:+.3f})"


# ------------------------------------------------------------------------------------------------- E3: expressiveness


def expressiveness(study: rs.Study, facts: dict[str, Any], figures: Path) -> tuple[str, list[Claim]]:
    """Set the level beside accuracy, calibration and churn."""
    levels = rs.trimming(study, resample="split")
    scores = rs.trimming_scores(study, levels=levels)
    for name, result in (("levels", levels), ("scores", scores)):
        draw(result.plot, figures / f"{name}.svg")
    facts["E3"] = {"correlations": scores.table().to_dict(), "bins": scores.bins().to_dict(), "said": scores.sentence()}
    strongest = int(np.nanargmax(np.abs(scores.correlation)))
    claim = Claim(
        "E3 more than accuracy",
        "published: at equal accuracy levels still differ (at least half of the variance is inside the bins)",
        f"{scores.within_share:.0%} inside {len(np.unique(scores.bin_of))} bins; strongest rank correlation "
        f"{scores.correlation[strongest]:+.2f} ({scores.low[strongest]:+.2f} to {scores.high[strongest]:+.2f}) with "
        f"{scores.names[strongest]}",
        bool(scores.within_share >= 0.5),
    )
    return f"{_markdown(scores.table())}\n\n{_markdown(scores.bins())}\n\n{scores.sentence()}", [claim]


def _markdown(table: rs.Table) -> str:
    names = list(table.columns)
    rows = [[table.format_cell(name, value) for name, value in zip(names, row, strict=True)] for row in table.rows()]
    return markdown_table(names, rows)


# ---------------------------------------------------------------------------------------------- E4: transfer learning


def transfer(study: rs.Study, facts: dict[str, Any]) -> tuple[str, list[Claim]]:
    """Seeds ranked on the validation split, by level and by accuracy, judged by accuracy on the test split."""
    levels = rs.trimming(study, resample="split", split="validation")
    level, validation = levels.mean, rs.scores(study, split="validation").member_accuracy
    test = rs.scores(study, split="test").member_accuracy
    keep = max(1, len(level) // 4)
    by_level, by_accuracy = np.argsort(level, kind="stable")[:keep], np.argsort(-validation, kind="stable")[:keep]
    overlap = len(set(by_level) & set(by_accuracy)) / keep
    rows = [
        ("all", len(test), interval(100 * test)),
        ("quarter with the smallest level", keep, interval(100 * test[by_level])),
        ("quarter with the best validation accuracy", keep, interval(100 * test[by_accuracy])),
    ]
    correlations = {
        "level and validation accuracy": spearman_interval(level, validation),
        "level and test accuracy": spearman_interval(level, test),
        "validation and test accuracy": spearman_interval(validation, test),
    }
    facts["E4"] = {"rows": rows, "correlations": correlations, "overlap": overlap, "levels": levels.sentence()}
    table = markdown_table(("runs", "number", "mean test accuracy in % (95 %)"), rows)
    ranks = markdown_table(("rank correlation of", "Spearman (95 %)"), list(correlations.items()))
    measured = f"{correlations['level and validation accuracy']}; the two best quarters share {overlap:.0%}"
    claim = Claim(
        "E4 another ranking", "published: the level ranks seeds differently from validation accuracy", measured, None
    )
    return f"{table}\n\n{ranks}\n\n{levels.sentence()}", [claim]


def spearman_interval(first: np.ndarray, second: np.ndarray) -> str:
    from scipy.stats import spearmanr

    pairs = np.stack([first, second], axis=1)
    if not np.ptp(first) or not np.ptp(second):
        return "not defined: all equal"

    def statistic(rows: np.ndarray) -> float:
        return float(spearmanr(rows[:, 0], rows[:, 1]).statistic) if np.ptp(rows, axis=0).all() else 0.0

    return interval(pairs, statistic)


# ------------------------------------------------------------------------------------------------- the page


def draw(plot: Callable[..., Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = plot().figure
    figure.savefig(path)


def report(training: Training, facts: dict[str, Any]) -> tuple[str, list[Claim]]:
    arms = {name: training.arm(name) for name in ARMS}
    accuracy = {name: rs.scores(study).member_accuracy for name, study in arms.items()}
    facts["accuracy"] = {name: [100 * each.mean(), 100 * each.std(ddof=1)] for name, each in accuracy.items()}
    shown = "; ".join(f"{name} {mean:.2f} % (sd {sd:.2f})" for name, (mean, sd) in facts["accuracy"].items())
    figures = training.work / "figures"
    parts = {
        "E1: how many runs stand for all": ensemble_size(arms["both"], facts),
        "E2: what the seeds change": randomness(arms, facts),
        "E3: what accuracy leaves open": expressiveness(arms["both"], facts, figures),
        "E4: fine-tuned seeds": transfer(training.tuned(), facts),
    }
    sections = [f"### {title}\n\n{text}" for title, (text, _) in parts.items()]
    claims = [claim for _, found in parts.values() for claim in found]
    return f"## {training.name}\n\nTest accuracy: {shown}.\n\n" + "\n\n".join(sections), claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in PAIRS:
        parser.add_argument(f"--{name}", type=Path, help=f"folder with train.parquet and test.parquet of {name}")
    parser.add_argument("--work", type=Path, default=Path("runs/trimming"))
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--runs", type=int, help="runs an arm (twice as many where both seeds vary), fewer or more")
    arguments = parser.parse_args()
    preset = PRESETS[arguments.preset]
    if arguments.runs:
        preset |= {"arm": arguments.runs, "both": 2 * arguments.runs, "tuned": arguments.runs}
    work = arguments.work / arguments.preset
    for name in PAIRS:
        data = getattr(arguments, name)
        if data is None:
            print(f"{name}: left out, no --{name}", file=sys.stderr)
            continue
        facts: dict[str, Any] = {"preset": preset}
        text, claims = report(Training(name, data, work, preset), facts)
        page = f"{text}\n\n### Claims\n\n{claims_table(claims)}\n"
        (work / f"{name}.md").write_text(page)
        save(work / f"{name}.json", claims, **facts)
        print(page)


if __name__ == "__main__":
    main()
