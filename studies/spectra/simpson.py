"""Scale and shape metrics over a corpus of perceptrons on CIFAR-10: is there a Simpson's paradox, as published?.

    python studies/spectra/simpson.py --data ../shared/data/cifar10
    python studies/spectra/simpson.py --data ... --preset standard     # three seeds a model, longer with dropout

After Martin and Mahoney (2021): 3 depths, 2 widths, 3 batch sizes, 2 weight decays, with and without dropout. Beside it
stands the corpus of the same grid that came with the method's notes, trained by other code with other seeds, through
the same analysis. What is trained stays in the work folder; called again, the script only analyses.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import runspread as rs
from runspread.methods.corpus import MetricAnalysis, ParadoxAnalysis, corpus_table
from runspread.methods.spectra import study_spectra
from runspread.plots import plot_simpson, plot_within_between
from runspread.training import study_measures

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import Claim, claims_table, markdown_table, save

EPOCHS = {16: 40, 64: 80, 256: 200}  # at most, by batch size
DROPOUTS = (0.0, 0.5)
GRID = {"hidden": [[width] * depth for depth in (1, 2, 4) for width in (128, 256)], "weight_decay": [0.0, 1e-3]}
PRESETS: dict[str, dict[str, Any]] = {
    "small": {"seeds": 1, "longer": 1},
    "standard": {"seeds": 3, "longer": 3},  # networks with dropout get as many times the epochs, to reach the same loss
}
# Our names of the metrics, and those of the corpus that came with the notes.
METRICS = {
    "alpha": "alpha", "D": "D", "log_spectral_norm": "log_spec", "log_norm": "log_fro", "alpha_weighted": "alpha_hat",
    "log_alpha_norm": "log_alpha_norm", "stable_rank": "stable_rank", "rand_distance": "rand_distance",
    "mp_softrank": "mp_softrank", "num_spikes": "num_spikes", "entropy": "entropy", "distance_from_init": "dist_init",
    "param_norm": "param_norm", "log_prod_spec": "log_prod_spec", "log_prod_fro": "log_prod_fro",
    "log_path_norm": "log_path", "margin": "margin10", "SVD10": "svd10_train", "SVD20": "svd20_train",
    "SVD40": "svd40_train", "train_accuracy": "train_acc",
}  # fmt: skip
# What the notes did not measure.
MORE = (
    "fro_over_spec", "log_prod_spec_over_margin", "log_prod_spec_initial", "path_norm_over_margin", "inverse_margin_sq",
    "jacobian_norm", "sigma", "sigma_magnitude", "sharpness_radius", "pacbayes_init", "pacbayes_orig",
    "pacbayes_mag_init", "sharpness_init",
)  # fmt: skip
AXES = {"hidden_layers": "depth", "width": "width", "batch_size": "batch", "weight_decay": "wd", "dropout": "dropout"}
CLAIMED = ("alpha", "log_prod_spec", "log_prod_fro", "log_path_norm", "SVD20", "SVD40")
NOISE: dict[str, Any] = {"noise_examples": 1000, "draws": 5}
CONVERGED = 0.95
REFERENCE = Path(__file__).parents[2] / "tests" / "data" / "vectors" / "spectra.npz"
Columns = dict[str, np.ndarray]

# ------------------------------------------------------------------------------------------------- what is trained


def train_corpus(work: Path, data: str, seed: int, seeds: int, longer: int) -> list[rs.Study]:
    """Train a study for each batch size with and without dropout: these have trainings of different lengths."""
    cells = [(batch, dropout) for batch in EPOCHS for dropout in DROPOUTS]
    return [train_part(work, data, batch, dropout, seed, seeds, longer) for batch, dropout in cells]


def train_part(
    work: Path, data: str, batch: int, dropout: float, seed: int = 0, seeds: int = 1, longer: int = 1
) -> rs.Study:
    epochs = EPOCHS[batch] * (longer if dropout else 1)
    print(f"batch {batch}, dropout {dropout}: up to {epochs} epochs", file=sys.stderr)
    recipe = rs.recipe("cifar10-mlp-small", data=data, epochs=epochs, logits_dtype="float32", checkpoint_at=(0,))
    cells = len(GRID["hidden"]) * len(GRID["weight_decay"])
    return rs.train(
        recipe,
        runs=cells * seeds,
        seed=6 * seed + 2 * list(EPOCHS).index(batch) + DROPOUTS.index(dropout),
        search=GRID | {"batch_size": [batch], "dropout": [dropout]},
        out=work / f"batch-{batch}-dropout-{dropout}",
    )


def measured(studies: list[rs.Study], data: str) -> Columns:
    """Return the corpus, a row a network; the table of each study is kept, because measuring takes minutes."""
    rows = [row for study in studies for row in rows_of(study, data, study.path.parent / f"{study.path.name}.csv")]
    names = (*METRICS, *MORE, *AXES, "test_accuracy")
    return {name: np.array([float(row[name]) for row in rows]) for name in names}


def rows_of(study: rs.Study, data: str, path: Path) -> list[dict[str, str]]:
    if not path.exists():
        print(f"measuring {study.path.name}", file=sys.stderr)
        measures = study_measures(study, data=data, worst_case=True, **NOISE)
        table = corpus_table([study_spectra(study, mp_fit=True, n_shuffles=1), measures])
        table.columns["hidden_layers"] = [len(hidden) for hidden in table["hidden"]]
        table.columns["width"] = [hidden[0] for hidden in table["hidden"]]
        path.write_text(table.to_csv())
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def reference(path: Path = REFERENCE) -> Columns:
    """Return the corpus that came with the notes, under our names."""
    with np.load(path) as vectors:
        columns = {ours: vectors[f"mlp_corpus/col.{theirs}"] for ours, theirs in (METRICS | AXES).items()}
        return columns | {"test_accuracy": vectors["mlp_corpus/col.test_acc"]}


# ------------------------------------------------------------------------------------------------- what is asked


def judged(corpus: Columns, metrics: tuple[str, ...], *, converged: bool = False) -> ParadoxAnalysis:
    """Return the analysis by depth, of all networks or of those that fit their training data."""
    keep = corpus["train_accuracy"] >= CONVERGED if converged else np.ones(len(corpus["train_accuracy"]), bool)
    table = {name: corpus[name][keep].tolist() for name in (*metrics, *AXES, "test_accuracy")}
    axes = None if converged else list(AXES)  # of which a part is no grid
    return rs.paradox(table, metrics, partition="hidden_layers", hyperparameters=axes)


def beside(ours: ParadoxAnalysis, theirs: ParadoxAnalysis | None) -> str:
    """Return the associations of each metric, those of the notes' corpus at the right."""
    depths = list(ours.analyses[0].partitions)
    header = [
        "metric",
        "all (p)",
        "inside (95 %; p)",
        f"depth {' / '.join(depths)}",
        "between",
        "R2",
        "P opposite",
        "verdict",
    ]
    header += ["notes: all", "inside", "between", "P opposite", "verdict"] if theirs else []
    return markdown_table(header, [[*mine(one), *short(theirs, one.metric)] for one in ours.analyses])


def mine(one: MetricAnalysis) -> list[str]:
    low, high = one.tests.tau_within_interval
    return [
        one.metric,
        f"{one.overall.tau_b:+.2f} ({one.p_all:.2g})",
        f"{one.split.tau_b_within:+.2f} ({low:+.2f} to {high:+.2f}; {one.p_within:.2g})",
        " / ".join(f"{part.tau_b:+.2f}" for part in one.partitions.values()),
        f"{one.split.tau_between:+.2f}",
        f"{one.overall.r2:.2f}",
        f"{one.tests.p_opposite:.2f}",
        noted(one).replace("_", " "),
    ]


def noted(one: MetricAnalysis) -> str:
    """Return the verdict by the rule of the notes, which this study tests.

    `paradox` itself is stricter: a reversal needs both corrected tests, "aggregate only" an interval inside partitions
    that excludes a relevant association.
    """
    overall, within = one.overall.tau_b, one.split.tau_within
    everywhere, inside = one.p_all < 0.05, one.p_within < 0.05
    voters = [part for part in one.partitions.values() if part.n >= 6]
    pairs = [part.n * (part.n - 1) for part in voters]
    agreeing = sum(p for p, part in zip(pairs, voters, strict=True) if part.tau_a * within >= 0)
    certain = (everywhere and inside) or one.tests.p_opposite > 0.95
    if overall * within < 0 and certain and 3 * agreeing >= 2 * sum(pairs) > 0:
        return "reversal"
    if inside and (not everywhere or abs(overall) < abs(within) / 2):
        return "masked"
    if everywhere and not inside:
        return "aggregate_only"
    return "consistent" if everywhere and overall * within > 0 else "none"


def short(theirs: ParadoxAnalysis | None, metric: str) -> list[str]:
    if theirs is None:
        return []
    one = theirs[metric]
    numbers = (one.overall.tau_b, one.split.tau_within, one.split.tau_between)
    return [*(f"{v:+.2f}" for v in numbers), f"{one.tests.p_opposite:.2f}", noted(one).replace("_", " ")]


def grid_table(ours: ParadoxAnalysis, theirs: ParadoxAnalysis) -> str:
    """Return granulated Kendall coefficients and the contest's scores, where a grid is complete."""
    rows = [
        (
            one.metric,
            f"{one.grid.Psi:+.2f}",
            f"{100 * one.grid.score:.1f}",
            f"{two.grid.Psi:+.2f}",
            f"{100 * two.grid.score:.1f}",
        )
        for one in ours.analyses
        if one.grid is not None and (two := theirs[one.metric]).grid is not None
    ]
    return markdown_table(("metric", "Psi", "CMI x 100", "notes: Psi", "CMI x 100"), rows)


def models_table(corpus: Columns, notes: Columns) -> str:
    """Return mean accuracies by depth and dropout, and how many networks converged."""
    rows = []
    for depth in (1, 2, 4):
        for dropout in DROPOUTS:
            cells = [mask_of(one, depth, dropout) for one in (corpus, notes)]
            shown = [
                f"{100 * one[name][here].mean():.1f}"
                for one, here in zip((corpus, notes), cells, strict=True)
                for name in ("train_accuracy", "test_accuracy")
            ]
            converged = int((corpus["train_accuracy"][cells[0]] >= CONVERGED).sum())
            rows.append((depth, dropout, int(cells[0].sum()), converged, *shown))
    header = ("hidden layers", "dropout", "models", "converged", "train %", "test %", "notes: train %", "test %")
    return markdown_table(header, rows)


def mask_of(corpus: Columns, depth: int, dropout: float) -> np.ndarray:
    return (corpus["hidden_layers"] == depth) & (corpus["dropout"] == dropout)


# ------------------------------------------------------------------------------------------------- claims


@dataclass(frozen=True)
class Expected:
    """What the notes found of a metric: its verdict, and the sign of tau over all networks or inside depths."""

    name: str
    metric: str
    verdicts: tuple[str, ...]
    where: str = ""
    sign: int = 0

    def claim(self, analysis: ParadoxAnalysis) -> Claim:
        one = analysis[self.metric]
        found = {"over all": one.overall.tau_b, "inside": one.split.tau_within}
        signed = not self.where or found[self.where] * self.sign > 0
        words = " or ".join(verdict.replace("_", " ") for verdict in self.verdicts)
        side = f"; {'positive' if self.sign > 0 else 'negative'} {self.where}" if self.where else ""
        measured = f"{noted(one).replace('_', ' ')}; over all {found['over all']:+.2f}, inside {found['inside']:+.2f}"
        return Claim(self.name, words + side, measured, bool(signed and noted(one) in self.verdicts))


OF_ALL = (
    Expected("2 SVD20", "SVD20", ("masked",), "inside", 1),
    Expected("3 path norm", "log_path_norm", ("reversal",), "inside", -1),
    Expected("4 product of Frobenius norms", "log_prod_fro", ("aggregate_only",), "over all", -1),
    Expected("5 product of spectral norms", "log_prod_spec", ("consistent", "aggregate_only"), "over all", -1),
    Expected("6 training accuracy", "train_accuracy", ("none",)),
)
OF_CONVERGED = (
    Expected("7 product of Frobenius norms, converged", "log_prod_fro", ("reversal",), "inside", 1),
    Expected("8 SVD20, converged", "SVD20", ("masked",), "inside", 1),
    Expected("9 SVD40, converged", "SVD40", ("masked",), "inside", 1),
)


def claims(everything: ParadoxAnalysis, fitted: ParadoxAnalysis) -> list[Claim]:
    """Return what the notes found in their corpus and the paper in its own, and whether it is so in this one."""
    parts = {"all": everything, "converged": fitted}
    some = [
        f"{one.metric} ({name})" for name, part in parts.items() for one in part.analyses if noted(one) == "reversal"
    ]
    alpha = everything["alpha"]
    low, high = alpha.tests.tau_within_interval
    return [
        Claim("1 the paradox", "a metric whose sign inside depths is the opposite of that over all: a reversal",
              ", ".join(some) or "none", bool(some)),
        *(expected.claim(everything) for expected in OF_ALL),
        *(expected.claim(fitted) for expected in OF_CONVERGED),
        Claim("10 alpha", "published: smaller is better inside depths (95 % interval of tau inside below 0)",
              f"inside {alpha.split.tau_within:+.2f} ({low:+.2f} to {high:+.2f})", bool(high < 0)),
    ]  # fmt: skip


def draw(everything: ParadoxAnalysis, fitted: ParadoxAnalysis, path: Path) -> None:
    """Save the metrics in which scale and shape are seen best, and all of them within and between."""
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.fonttype": "none"}):
        figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
        plot_simpson(fitted["log_prod_fro"], axes[0])
        plot_simpson(everything["SVD20"], axes[1])
        figure.savefig(path / "simpson.svg", metadata={"Date": None})
        plot_within_between(everything).figure.savefig(
            path / "within-between.svg", bbox_inches="tight", metadata={"Date": None}
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with train.parquet and test.parquet of CIFAR-10")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--seed", type=int, default=0, help="another corpus of the same grid")
    parser.add_argument("--work", type=Path, default=Path("runs/simpson"))
    arguments = parser.parse_args()
    work = arguments.work / f"{arguments.preset}-{arguments.seed}"
    studies = train_corpus(work, arguments.data, arguments.seed, **PRESETS[arguments.preset])
    corpus, notes = measured(studies, arguments.data), reference()
    everything, fitted = (judged(corpus, tuple(METRICS), converged=only) for only in (False, True))
    theirs, theirs_fitted = (judged(notes, tuple(METRICS), converged=only) for only in (False, True))
    more, more_fitted = (judged(corpus, MORE, converged=only) for only in (False, True))
    found = claims(everything, fitted)
    mean = averaged(corpus, notes)
    mean_all, mean_fitted = (judged(mean, CLAIMED, converged=only) for only in (False, True))
    draw(everything, fitted, work)
    print(
        models_table(corpus, notes),
        repeatability(corpus, notes),
        "## All networks", beside(everything, theirs), differences(everything, theirs),
        "## Converged networks", beside(fitted, theirs_fitted), differences(fitted, theirs_fitted),
        "## Both corpora averaged, all networks", beside(mean_all, None),
        "## Both corpora averaged, converged networks", beside(mean_fitted, None),
        "## Further measures, all networks", beside(more, None),
        "## Further measures, converged networks", beside(more_fitted, None),
        "## The grid", grid_table(everything, theirs),
        "## Claims", claims_table(found),
        everything.sentence(), fitted.sentence(),
        sep="\n\n",
    )  # fmt: skip
    facts = {name: one.table().to_dict() for name, one in (("all", everything), ("converged", fitted), ("more", more))}
    save(work / "figures.json", found, **facts)


def by_cell(corpus: Columns) -> Columns:
    """Return the mean over seeds of each cell of the grid, in the order of the hyperparameters."""
    keys = list(zip(*(corpus[name] for name in AXES), strict=True))
    rows = [[k == cell for k in keys] for cell in sorted(set(keys))]
    return {name: np.array([np.mean(column[row]) for row in rows]) for name, column in corpus.items()}


def averaged(corpus: Columns, notes: Columns) -> Columns:
    """Return the mean of both corpora in each cell: two seeds a network."""
    ours, theirs = by_cell(corpus), by_cell(notes)
    return {name: (ours[name] + theirs[name]) / 2 for name in theirs}


def repeatability(corpus: Columns, notes: Columns) -> str:
    """Say how well the values of each metric in the cells of both corpora correlate."""
    ours, theirs = by_cell(corpus), by_cell(notes)
    found = {name: float(np.corrcoef(ours[name], theirs[name])[0, 1]) for name in (*METRICS, "test_accuracy")}
    listed = ", ".join(f"{name} {value:.2f}" for name, value in sorted(found.items(), key=lambda pair: pair[1]))
    return f"Correlation of the values in the cells of both corpora: {listed}."


def differences(ours: ParadoxAnalysis, theirs: ParadoxAnalysis) -> str:
    """Say how far the coefficients of two corpora are apart at most."""
    pairs = [(one, theirs[one.metric]) for one in ours.analyses]
    overall = max(abs(one.overall.tau_b - two.overall.tau_b) for one, two in pairs)
    inside = max(abs(one.split.tau_within - two.split.tau_within) for one, two in pairs)
    return f"The coefficients of both corpora differ by at most {overall:.2f} over all and {inside:.2f} inside depths."


if __name__ == "__main__":
    main()
