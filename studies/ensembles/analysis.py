"""What the study of ensembles reports: claims with their tests, means beside the published ones, and two figures."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from tasks import SIZES, Task

from runspread.methods.ensembles import EnsembleSizes

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import Claim, claims_table, markdown_table, save

Measured = Mapping[Task, Sequence[Mapping[str, Any]]]
KINDS = (
    "single", "MC dropout", "deep", "fixed-init hyper", "hyper", "same-budget hyper", "hyper-deep", "top-K",
    "batch", "batch, best of 8", "hyper-batch", "hyper-batch, rate 0.01", "hyper-batch, bounds frozen",
)  # fmt: skip
CHOSEN = ("single", "MC dropout", "deep", "fixed-init hyper", "hyper", "same-budget hyper", "hyper-deep", "top-K")
FORCED = ", first choice forced to K"
METRICS = ("accuracy", "brier", "ece", "disagreement", "members")
MLPS = ("digits", "mnist", "cifar-16")
ENOUGH = 5  # repeats of a task that a claim is judged on


def values(repeats: Sequence[Mapping[str, Any]], name: str, metric: str = "nll") -> np.ndarray:
    """Return a metric of one kind of ensemble by repeat [repeats]; NaN where it was not measured."""
    return np.array([facts["rows"].get(name, {}).get(metric, np.nan) for facts in repeats])


# --------------------------------------------------------------------------------------------------- paired differences


@dataclasses.dataclass(frozen=True)
class Paired:
    """Differences a - b over the repeats that have both."""

    differences: np.ndarray
    relative: np.ndarray

    @classmethod
    def of(cls, repeats: Sequence[Mapping[str, Any]], a: str, b: str, metric: str = "nll") -> Paired:
        one, other = values(repeats, a, metric), values(repeats, b, metric)
        there = ~np.isnan(one + other)
        return cls((one - other)[there], (one / other - 1)[there])

    def __len__(self) -> int:
        return len(self.differences)

    @property
    def better(self) -> int:
        return int((self.differences < 0).sum())

    @property
    def p(self) -> float:
        """One-sided p value of the paired t test that a is lower."""
        return float(stats.ttest_1samp(self.differences, 0, alternative="less").pvalue)

    def shown(self) -> tuple[str, ...]:
        mean, n = self.differences.mean(), len(self)
        reach = stats.t.ppf(0.975, n - 1) * self.differences.std(ddof=1) / np.sqrt(n)
        interval = f"{mean:+.4f} ({mean - reach:+.4f} to {mean + reach:+.4f})"
        return interval, f"{100 * self.relative.mean():+.1f} %", f"{self.better}/{n}", f"{self.p:.2g}"


COMPARISONS = (
    ("deep", "single"),
    ("MC dropout", "single"),
    ("hyper", "deep"),
    ("hyper-deep", "deep"),
    ("fixed-init hyper", "deep"),
    ("hyper-deep", "fixed-init hyper"),
    ("hyper-deep", "same-budget hyper"),
    ("hyper", "top-K"),
    ("batch", "single"),
    ("hyper-batch", "batch"),
    ("hyper-batch", "batch, best of 8"),
    ("hyper-batch, rate 0.01", "batch"),
    ("hyper-batch", "hyper-batch, bounds frozen"),
)


def comparisons_table(measured: Measured) -> str:
    """Return the paired differences of NLL."""
    rows = []
    for task, repeats in measured.items():
        for size in SIZES:
            for a, b in COMPARISONS:
                paired = Paired.of(repeats, f"{a}, K={size}", f"{b}, K={size}")
                if len(paired) > 1:
                    rows.append((task.name, size, f"{a} - {b}", *paired.shown()))
        forced = Paired.of(repeats, f"hyper-deep{FORCED}, K=3", f"fixed-init hyper{FORCED}, K=3")
        if len(forced) > 1:
            rows.append((task.name, 3, "hyper-deep - fixed-init hyper, both forced", *forced.shown()))
    header = ("task", "K", "difference of NLL", "mean (95 %)", "relative", "first better", "p, one-sided")
    return markdown_table(header, rows)


# --------------------------------------------------------------------------------------------------------------- means


def scores_table(task: Task, repeats: Sequence[Mapping[str, Any]]) -> str:
    """Return the means over the repeats, the published NLL beside them."""
    rows = []
    for at, size in enumerate(SIZES):
        for kind in KINDS:
            name = f"{kind}, K={size}"
            nll = values(repeats, name)
            nll = nll[~np.isnan(nll)]
            if not len(nll):
                continue
            error = nll.std(ddof=1) / np.sqrt(len(nll)) if len(nll) > 1 else np.nan
            others = [
                np.nanmean(values(repeats, name, m)) for m in ("accuracy", "brier", "ece", "disagreement", "members")
            ]
            published = f"{task.published[kind][at]:.4f}" if kind in task.published else ""
            accuracy, brier, ece, disagreement, members = others
            cells = (f"{100 * accuracy:.2f}", f"{brier:.4f}", f"{ece:.4f}", f"{disagreement:.4f}", f"{members:.2g}")
            rows.append(
                (
                    size,
                    kind,
                    len(nll),
                    f"{nll.mean():.4f} ± {error:.4f}" if len(nll) > 1 else f"{nll.mean():.4f}",
                    published,
                    *cells,
                )
            )
    header = ("K", "kind", "n", "NLL ± s.e.", "9.2", "accuracy, %", "Brier", "ECE", "disagreement", "members")
    return markdown_table(header, rows)


def orderings_table(measured: Measured) -> str:
    """Return the kinds from the lowest mean NLL to the highest, the prototype's below; and with batch ensembles."""
    rows = []
    for task, repeats in measured.items():
        for at, size in enumerate(SIZES):
            rows.append((task.name, size, len(repeats), ordering(mean_nll(repeats, CHOSEN, size))))
            if task.published:
                rows.append(
                    (f"{task.name}, prototype", size, "", ordering({k: v[at] for k, v in task.published.items()}))
                )
        if task.batch_repeats:
            same = repeats[: task.batch_repeats]
            kinds = (*CHOSEN, "batch", "hyper-batch")
            rows += [(task.name, size, len(same), ordering(mean_nll(same, kinds, size))) for size in SIZES]
    return markdown_table(("task", "K", "n", "lowest NLL first"), rows)


def mean_nll(repeats: Sequence[Mapping[str, Any]], kinds: Sequence[str], size: int) -> dict[str, float]:
    """Return the mean NLL by kind."""
    return {kind: float(values(repeats, f"{kind}, K={size}").mean()) for kind in kinds}


def ordering(means: Mapping[str, float]) -> str:
    """Return names by value."""
    return " < ".join(sorted(means, key=lambda kind: means[kind]))


# -------------------------------------------------------------------------------------------------------------- claims


def claims(measured: Measured) -> list[Claim]:
    """Return the seven claims, each where its tasks were measured."""
    by_name = {task.name: repeats for task, repeats in measured.items() if len(repeats) >= ENOUGH}
    tests: dict[Callable[[dict[str, Any]], Claim], set[str]] = {
        deep_beats_single: set(),
        identities: set(),
        hyper_beats_deep: {"digits", "mnist"},
        hyper_deep_not_worse: {"digits", "mnist"},
        hyper_deep_beats_fixed: set(),
        hyper_batch: {"mnist"},
        learned_bounds: {"mnist"},
    }
    return [test(by_name) for test, needed in tests.items() if needed <= set(by_name) and by_name]


def deep_beats_single(by_name: dict[str, Any]) -> Claim:
    lines, holds = [], True
    for name, repeats in by_name.items():
        for size in SIZES:
            nll, brier, accuracy = (
                Paired.of(repeats, f"deep, K={size}", f"single, K={size}", m) for m in ("nll", "brier", "accuracy")
            )
            mean_of = float(accuracy.differences.mean())
            holds &= nll.better == len(nll) and brier.differences.mean() < 0 and mean_of > 0
            lines.append(f"{name} K={size}: {nll.better}/{len(nll)}, {100 * mean_of:+.2f} percentage points")
    return Claim(
        "1 deep < single",
        "NLL lower in every repeat; mean Brier lower, mean accuracy higher; every task",
        "; ".join(lines),
        bool(holds),
    )


def identities(by_name: dict[str, Any]) -> Claim:
    rows = [row for repeats in by_name.values() for facts in repeats for row in facts["rows"].values()]
    gap = min(row["gibbs gap"] for row in rows)
    off = np.nanmax([row["brier identity"] for row in rows])
    measured = f"{len(rows)} ensembles: Gibbs - NLL at least {gap:.1e}, Brier identity within {off:.1e}"
    expected = "NLL at most Gibbs NLL; members' Brier = ensemble's + diversity; within 1e-12"
    return Claim("2 identities", expected, measured, bool(gap >= -1e-12 and off <= 1e-12))


def hyper_beats_deep(by_name: dict[str, Any]) -> Claim:
    found = {name: Paired.of(by_name[name], "hyper, K=5", "deep, K=5") for name in MLPS if name in by_name}
    won = [name for name, paired in found.items() if paired.p < 0.05 and paired.differences.mean() < 0]
    shown = "; ".join(
        f"{name}: {p.differences.mean():+.4f}, {p.better}/{len(p)}, p {p.p:.2g}" for name, p in found.items()
    )
    expected = "hyper (K = 5, 50 runs) below deep in NLL, one-sided p < 0.05 on two tasks"
    return Claim("3 hyper < deep", expected, shown, len(won) >= 2)


def hyper_deep_not_worse(by_name: dict[str, Any]) -> Claim:
    lines, holds = [], True
    for size in SIZES:
        found = [Paired.of(by_name[name], f"hyper-deep, K={size}", f"deep, K={size}") for name in ("digits", "mnist")]
        relative = np.concatenate([paired.relative for paired in found])
        z = sum(stats.norm.ppf(paired.p) for paired in found) / np.sqrt(len(found))
        holds &= relative.mean() <= 0.01 and z < 0
        lines.append(f"K={size}: {100 * relative.mean():+.2f} % of {len(relative)}, pooled p {stats.norm.cdf(z):.2g}")
    expected = "digits and MNIST: mean relative difference at most +1 %, pooled sign in favour"
    return Claim("4 hyper-deep not worse than deep", expected, "; ".join(lines), bool(holds))


def hyper_deep_beats_fixed(by_name: dict[str, Any]) -> Claim:
    found = {
        name: Paired.of(repeats, f"hyper-deep{FORCED}, K=3", f"fixed-init hyper{FORCED}, K=3")
        for name, repeats in by_name.items()
    }
    holds = all(paired.better >= 0.9 * len(paired) for paired in found.values())
    shown = "; ".join(f"{name}: {paired.better}/{len(paired)}" for name, paired in found.items())
    return Claim("5 hyper-deep < fixed-init hyper", "in at least 90 % of repeats (K = 3)", shown, holds)


def hyper_batch(by_name: dict[str, Any]) -> Claim:
    paired = Paired.of(by_name["mnist"], "hyper-batch, K=3", "batch, K=3")
    mean = float(paired.relative.mean())
    shown = f"{100 * mean:+.1f} %, {paired.better}/{len(paired)}, p {paired.p:.2g}"
    holds = mean <= -0.02 and paired.better >= 0.8 * len(paired)
    return Claim("6 hyper-batch < untuned batch", "MNIST: mean at most -2 %, in at least 4 of 5", shown, holds)


def learned_bounds(by_name: dict[str, Any]) -> Claim:
    paired = Paired.of(by_name["mnist"], "hyper-batch, K=3", "hyper-batch, bounds frozen, K=3")
    shown = f"{100 * paired.relative.mean():+.1f} %, {paired.better}/{len(paired)}, p {paired.p:.2g}"
    return Claim("7 tuned < frozen bounds", "MNIST: in at least 4 of 5", shown, paired.better >= 0.8 * len(paired))


# ---------------------------------------------------------------------------------------------------------- corruption


def corruption_table(measured: Measured) -> str:
    """Return the means over the repeats that have every kind, and over corruptions; severity 0 is clean."""
    rows = []
    for task, repeats in measured.items():
        found = [facts["corruption"] for facts in repeats if "corruption" in facts]
        found = [one for one in found if one["predictors"] == found[0]["predictors"]]
        for at, name in enumerate(found[0]["predictors"] if found else ()):
            for metric, form in (("nll", "{:.3f}"), ("accuracy", "{:.3f}"), ("ece", "{:.3f}")):
                clean = np.mean([one["clean"][metric][at] for one in found])
                worse = np.mean([one["corrupted"][metric][at] for one in found], axis=0)
                cells = [form.format(value) for value in (clean, *worse, worse.mean())]
                rows.append((task.name, len(found), name, metric, *cells))
    return markdown_table(("task", "n", "kind, K = 3", "metric", "clean", "1", "2", "3", "4", "5", "mean"), rows)


# -------------------------------------------------------------------------------------------------------------- report


def mean_sizes(repeats: Sequence[Mapping[str, Any]], task: Task) -> EnsembleSizes:
    """Return the mean curves of a task: the paper's figure 1."""
    found = [facts["sizes"] for facts in repeats]
    recipe = task.fields
    return EnsembleSizes(
        sizes=np.arange(1, max(SIZES) + 1),
        curves={name: np.mean([one["curves"][name] for one in found], axis=0) for name in found[0]["curves"]},
        random_low=np.mean([one["low"] for one in found], axis=0),
        random_high=np.mean([one["high"] for one in found], axis=0),
        objective="nll",
        n_candidates=50,
        n_selection_examples=recipe["validation"],
        n_report_examples=recipe["test_examples"],
    )


def report(measured: Measured, work: Path) -> None:
    """Print every table and write the figures."""
    found = claims(measured)
    for task, repeats in measured.items():
        runs, seconds = (np.mean([facts[key] for facts in repeats]) for key in ("runs", "cpu seconds"))
        print(f"### {task.name}: {len(repeats)} repeats of {runs:.0f} runs, {seconds:.0f} processor seconds each\n")
        print(scores_table(task, repeats), end="\n\n")
    print(orderings_table(measured), end="\n\n")
    print(comparisons_table(measured), corruption_table(measured), claims_table(found), sep="\n\n")
    save(work / "figures.json", found, measured={task.name: list(repeats) for task, repeats in measured.items()})
    draw(measured, work)


def draw(measured: Measured, work: Path) -> None:
    """Draw the NLL against the number of members, a panel a task."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    tasks = [task for task in measured if task.published]
    if not tasks:
        return
    figure, axes = plt.subplots(1, len(tasks), figsize=(3.6 * len(tasks), 3.4), layout="constrained", squeeze=False)
    for task, ax in zip(tasks, axes[0], strict=True):
        mean_sizes(measured[task], task).plot(ax)
        ax.set_title(f"{task.name}, mean of {len(measured[task])} repeats", fontsize=9)
        ax.get_legend().remove()
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=4, frameon=False, fontsize=8)
    figure.savefig(work / "sizes.png", dpi=110)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sizes"}):
        figure.savefig(work / "sizes.svg", metadata={"Date": None})
    plt.close(figure)
