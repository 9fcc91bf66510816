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
from runspread.methods.trimming import logit_gap, trimmed_distance, trimming_level, trimming_scores

sys.path.insert(0, str(Path(__file__).parents[1]))
from arms import ARMS, PAIRS, PRESETS, Training, seconds_a_run
from claims import Claim, claims_table, markdown_table, save
from intervals import (
    difference,
    interval_of_mean,
    level_words,
    quantiles,
    rank_correlation,
    share_words,
    spearman,
    wilson,
    with_limits,
)

ARM_BOOTSTRAP = 200
ALPHAS = np.linspace(0, 0.99, 991)  # at which the ends of an arm's level are looked for
SAME_RANKING, ALIKE, FEW_TOLD = 0.9, 0.5, 0.05


def gaps_of(study: rs.Study, split: str = "test") -> np.ndarray:
    return logit_gap(study.predictions(split).to_array("float64"))


# ------------------------------------------------------------------------------------------------- E1: ensemble size


def ensemble_size(study: rs.Study, facts: dict[str, Any], figures: Path) -> tuple[str, list[Claim]]:
    """How the level and the distance to the average distribution fall with the number of runs."""
    gaps = gaps_of(study)
    tested = rs.representative_size(gaps, replicates=100)
    paired = rs.representative_size(gaps, replicates=100, resample=None)
    sorted_rows = rs.representative_size(np.sort(gaps, axis=1), kinds=["ensemble"], replicates=100, resample=None)
    rows, rejected = [], []
    for k, size in enumerate(tested.sizes):
        here = tested.levels[:, :, :, k]
        rejected.append((int(size), *(level_words(each) for each in here.reshape(-1, here.shape[-1]))))
        distances = [np.quantile(each, [0.5, 0.05, 0.95]) for each in paired.distances[:, :, k]]
        artefact = np.quantile(sorted_rows.distances[0, :, k], [0.5, 0.05, 0.95])
        shown = ["{:.4f} ({:.4f} to {:.4f})".format(*each) for each in (*distances, artefact)]
        rows.append((int(size), *shown))
    header = ("M", "distance of mixture (90 % of subsets)", "of ensemble", "of quantile average")
    directions = ("the mixture", "the pool against it", "the ensemble", "the pool against it")
    by_level = ("M", *(f"level of {name} (90 % of subsets); above 0 in (95 %)" for name in directions))
    laws = {
        "mixture": paired.distances[0],
        "ensemble": paired.distances[1],
        "quantile average": sorted_rows.distances[0],
    }
    draw(lambda ax: draw_distances(ax, tested.sizes, laws), figures / "distances.png")
    facts["E1"] = {"split": tested.sentence(), "all examples": paired.sentence(), "rows": rows, "levels": rejected}
    mixture, ensemble = (np.median(each, axis=0) for each in paired.distances)
    floor = np.quantile(paired.distances[0][:, -1], 0.95)
    claims = [
        Claim(
            "E1 mixture",
            "distance to the average distribution falls as M grows",
            _ends(mixture),
            bool(mixture[-1] < mixture[0]),
        ),
        _level_claim(tested),
        Claim(
            "E1 ensemble, distance",
            "published: the ensemble approaches the average distribution (distance at the largest M as small as the "
            "mixture's)",
            f"{_ends(ensemble)}; 95 % of mixtures of the largest size within {floor:.4f}",
            bool(ensemble[-1] <= floor),
        ),
        Claim("E1 size", "smallest M from which the level stays at 0, reported", _sizes(tested), None),
    ]
    return f"{markdown_table(header, rows)}\n\n{markdown_table(by_level, rejected)}\n\n{tested.sentence()}", claims


def _level_claim(tested: Any) -> Claim:
    """Return whether the ensemble of the largest size has level 0, where the subsets can tell."""
    counts = (tested.levels[tested.kinds.index("ensemble"), :, :, -1] > 0).sum(-1)
    total = tested.levels.shape[2]
    limits = [wilson(int(count), total) for count in counts]
    shown, missed = max(high for _, high in limits) <= 0.05, max(low for low, _ in limits) > 0.05
    return Claim(
        "E1 ensemble, level",
        "published: the ensemble's level at the largest M is 0, in both directions (above 0 in at most 5 % of subsets; "
        "no verdict where the interval of the share holds 5 %)",
        "; ".join(
            f"{name}: above 0 in {share_words(int(count), total)}"
            for name, count in zip(tested.directions, counts, strict=True)
        ),
        True if shown else False if missed else None,
    )


def draw_distances(ax: Any, sizes: np.ndarray, laws: dict[str, np.ndarray]) -> None:
    """Draw the distance to the average distribution against M: median and range of 90 % of the subsets."""
    styles = (("#0072B2", "o", "-"), ("#D55E00", "s", "-"), ("#666666", "^", ":"))
    for shift, (name, distances), (colour, marker, line) in zip((0.96, 1, 1.04), laws.items(), styles, strict=True):
        low, middle, high = np.quantile(distances, [0.05, 0.5, 0.95], axis=0)
        ax.vlines(sizes * shift, low, high, color=colour, linewidth=1)
        ax.plot(sizes * shift, middle, f"{line}{marker}", color=colour, markersize=4, linewidth=1, label=name)
    ax.set(xscale="log", yscale="log", xlabel="number of runs M", ylabel="distance to the average distribution")
    ax.minorticks_off()
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ticks = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="lower left")


def _ends(values: np.ndarray) -> str:
    return f"median {values[0]:.4f} at M = 1, {values[-1]:.4f} at the largest M"


def _sizes(result: Any) -> str:
    return ", ".join(f"{kind}: {result.recommended(kind) or f'none up to {result.sizes[-1]}'}" for kind in result.kinds)


# ------------------------------------------------------------------------------------------------- E2: randomness


def randomness(arms: dict[str, rs.Study], references: int, facts: dict[str, Any]) -> tuple[str, list[Claim]]:
    """Levels of the runs of each arm against one pool of runs in which both seeds vary, and against their own arm."""
    gaps = {name: gaps_of(study) for name, study in arms.items()}
    pool, gaps["both"] = gaps["both"][-references:], gaps["both"][:-references]
    rows, whole, means = [], [], {}
    for name, candidates in gaps.items():
        ours = rs.trimming(candidates, pool, resample="split")
        published = rs.trimming(candidates, pool, resample="bootstrap", mode="published")
        within = rs.trimming(candidates, resample="split")
        means[name] = ours.mean
        rows.append(
            (
                name,
                len(candidates),
                interval_of_mean(ours.mean),
                share_words(int(ours.atypical.sum()), len(candidates)),
                quantiles(ours.mean),
                interval_of_mean(ours.censored),
                interval_of_mean(published.grid_mean),
                interval_of_mean(within.mean),
            )
        )
        found = rs.same(pool, candidates)
        limits = of_arm(pool, candidates, found.delta[0])
        whole.append((name, limits[0], f"{found.delta[0]:.4f}", f"{found.tests.p_value:.3f}", limits[1]))
    header = (
        "arm", "runs", "mean level", "share distinguishable", "5 %, median, 95 % of runs (95 %)",
        "replicates at 0.5 or more", "mean level, published rule", "mean level in its own arm",
    )  # fmt: skip
    of_whole = (
        "arm as a whole", "distance to the pool (95 %)", "threshold (1 %)", "p-value of equality", "level (95 %)",
    )  # fmt: skip
    facts["E2"] = {"rows": rows, "whole": whole, "levels": {name: level.tolist() for name, level in means.items()}}
    return f"{markdown_table(header, rows)}\n\n{markdown_table(of_whole, whole)}", [
        Claim(
            f"E2 {name}",
            "difference of the mean level from both seeds varied, reported",
            difference(means[name], means["both"]),
            None,
        )
        for name in list(ARMS)[:2]
    ]


def of_arm(pool: np.ndarray, candidates: np.ndarray, delta: float) -> tuple[str, str]:
    """Return distance and level of an arm's average distribution, with 95 % intervals over its runs.

    A bootstrap of the distance itself lies above the truth where the truth is near 0. So the bootstrap gives how far
    (`radius`) the arm's distribution may be from that of all runs it represents, and the triangle inequality the rest.
    """
    rng, reference, own = np.random.default_rng(0), pool.ravel(), np.sort(candidates, axis=None)
    drawn = (candidates[rng.integers(len(candidates), size=len(candidates))].ravel() for _ in range(ARM_BOOTSTRAP))
    radius = float(np.quantile([trimmed_distance(own, each, 0.0)[0] for each in drawn], 0.95))
    left = trimmed_distance(reference, own, ALPHAS)
    ends = [_first_level(left + shift / (1 - ALPHAS), delta) for shift in (-radius, radius)]
    distance, level = left[0], trimming_level(reference, own, threshold=delta)
    return (
        f"{distance:.4f} ({max(0, distance - radius):.4f} to {distance + radius:.4f})",
        f"{level:.3f} ({ends[0]:.3f} to {'no limit' if np.isinf(ends[1]) else format(ends[1], '.3f')})",
    )


def _first_level(distances: np.ndarray, delta: float) -> float:
    accepted = distances <= delta
    return float(ALPHAS[accepted.argmax()]) if accepted.any() else np.inf


# ------------------------------------------------------------------------------------------------- E3: expressiveness


def expressiveness(study: rs.Study, facts: dict[str, Any], figures: Path) -> tuple[str, list[Claim]]:
    """Set the level beside accuracy, calibration and churn."""
    levels = rs.trimming(study, resample="split")
    scores = trimming_scores(study, levels=levels)
    draw(scores.plot, figures / "scores.png")
    facts["E3"] = {
        "scores": {name: scores.of(name).tolist() for name in scores.names},
        "bin of": scores.bin_of.tolist(),
        "within": scores.within_share,
        "within limits": (scores.within_low, scores.within_high),
    }
    told = levels.atypical.mean()
    left = left_by_monotone(scores.of("accuracy"), scores.level)
    rank = "{:+.2f} ({:+.2f} to {:+.2f})"
    facts["E3"]["left by monotone"] = left
    least, most = min(scores.within_low, left), min(scores.within_high, left)
    strongest = int(np.argmax(np.nan_to_num(np.abs(scores.correlation), nan=-1)))
    claim = Claim(
        "E3 more than accuracy",
        "published: at equal accuracy levels still differ (at least half of their variance is inside the bins, by the "
        "whole interval, and left by the best monotone function of accuracy; no verdict where fewer than "
        f"{FEW_TOLD:.0%} of the runs are distinguishable)",
        f"{told:.0%} of {len(levels.run_ids)} runs distinguishable; {_share_left(scores)} of the variance inside "
        f"{len(np.unique(scores.bin_of))} bins, {left:.0%} left by a monotone function; strongest rank correlation "
        f"{rank.format(*(each[strongest] for each in (scores.correlation, scores.low, scores.high)))} with "
        f"{scores.names[strongest]}",
        None if told < FEW_TOLD else True if least >= 0.5 else False if most < 0.5 else None,
    )
    return f"{table_of_scores(scores)}\n\n{table_of_bins(scores, levels)}\n\n{scores.sentence()}", [claim]


def left_by_monotone(accuracy: np.ndarray, level: np.ndarray) -> float:
    """Return the share of the level's variance that the best monotone function of accuracy, up or down, leaves."""
    from scipy.optimize import isotonic_regression

    if np.ptp(level) == 0:
        return float("nan")
    _, where, count = np.unique(accuracy, return_inverse=True, return_counts=True)
    mean = np.bincount(where, level) / count
    fits = (isotonic_regression(mean, weights=count, increasing=up).x for up in (True, False))
    return float(min(np.mean((level - fit[where]) ** 2) for fit in fits) / level.var())


def table_of_scores(scores: Any) -> str:
    rows = [
        (name, with_limits(scores.of(name), np.mean, ".4f")[0], f"{rank:+.2f} ({low:+.2f} to {high:+.2f})")
        for name, rank, low, high in zip(scores.names, scores.correlation, scores.low, scores.high, strict=True)
    ]
    return markdown_table(("score", "mean (95 %)", "rank correlation with the level (95 %)"), rows)


def table_of_bins(scores: Any, levels: Any) -> str:
    """Return the spread of the level inside bins of nearly equal accuracy."""
    rows, accuracy = [], scores.of("accuracy")
    told = dict(zip(levels.run_ids, levels.atypical, strict=True))
    apart = np.array([told[run] for run in scores.run_ids])
    for number in np.unique(scores.bin_of):
        inside = scores.bin_of == number
        ends = f"{accuracy[inside].min():.2%} to {accuracy[inside].max():.2%}"
        share = share_words(int(apart[inside].sum()), int(inside.sum()))
        rows.append((ends, int(inside.sum()), share, quantiles(scores.level[inside])))
    header = ("accuracy", "runs", "distinguishable (95 %)", "level: 5 %, median, 95 % of runs (95 % each)")
    return markdown_table(header, rows)


# ---------------------------------------------------------------------------------------------- E4: transfer learning


def transfer(study: rs.Study, facts: dict[str, Any]) -> tuple[str, list[Claim]]:
    """Seeds ranked on the validation split, by level and by accuracy, judged by accuracy on the test split."""
    levels = rs.trimming(study, resample="split", split="validation")
    level, validation = levels.mean, rs.ensemble_scores(study, split="validation").member_accuracy
    test = rs.ensemble_scores(study, split="test").member_accuracy
    keep = max(1, len(level) // 4)
    by_level, by_accuracy = np.argsort(level, kind="stable")[:keep], np.argsort(-validation, kind="stable")[:keep]
    overlap = len(set(by_level) & set(by_accuracy)) / keep
    rows = [
        ("all", len(test), interval_of_mean(100 * test)),
        ("quarter with the smallest level", keep, interval_of_mean(100 * test[by_level])),
        ("quarter with the best validation accuracy", keep, interval_of_mean(100 * test[by_accuracy])),
    ]
    pairs = {
        "level and validation accuracy": (level, validation),
        "level and test accuracy": (level, test),
        "validation and test accuracy": (validation, test),
    }
    correlations = {name: rank_correlation(*pair) for name, pair in pairs.items()}
    facts["E4"] = {"rows": rows, "correlations": correlations, "overlap": overlap, "levels": levels.sentence()}
    table = markdown_table(("runs", "number", "mean test accuracy in % (95 %)"), rows)
    ranks = markdown_table(
        ("rank correlation of", "Spearman (95 %)"), [(name, said) for name, (said, _) in correlations.items()]
    )
    said = correlations["level and validation accuracy"][0]
    told, halves = levels.atypical.mean(), split_half(gaps_of(study, "validation"))
    agreed, (low, high) = with_limits(np.stack([level, *halves, validation, test], axis=1), agreement)
    facts["E4"] |= {"told": told, "halves": rank_correlation(*halves), "agreement": agreed}
    claim = Claim(
        "E4 another ranking",
        "published: the level ranks seeds differently from validation accuracy (rank correlation of the two, best "
        f"seeds first, over what noise in both leaves of 1: below {SAME_RANKING} by the whole interval; missed where "
        f"that is not so and all of it is above {ALIKE}; no verdict where fewer than {FEW_TOLD:.0%} of the runs are "
        "distinguishable)",
        f"{agreed if np.isfinite(high) else 'undecided'}; as it is, of level and validation accuracy: {said}; the "
        f"two best quarters share {overlap:.0%}; {told:.0%} of {len(level)} runs distinguishable; levels on two halves "
        f"of the examples correlate {rank_correlation(*halves)[0]}",
        None if told < FEW_TOLD or np.isinf(high) else True if high < SAME_RANKING else False if low > ALIKE else None,
    )
    return f"{table}\n\n{ranks}\n\n{levels.sentence()}", [claim]


def agreement(runs: np.ndarray) -> float:
    """Return how alike level and validation accuracy rank runs, over the likeness that their noise allows.

    `runs` holds, for each run, its level, the levels on two halves of the examples, validation and test accuracy. The
    reliability of the level is that of the halves, extended to all examples (Spearman and Brown); that of accuracy is
    its correlation from one split to the other. Where either is not above 0, likeness cannot be ruled out.
    """
    level, first, second, validation, test = runs.T
    half, accuracy = spearman(first, second), spearman(validation, test)
    if min(half, accuracy) <= 0:
        return np.inf
    return spearman(-level, validation) / np.sqrt(2 * half / (1 + half) * accuracy)


def _share_left(scores: Any) -> str:
    share = scores.within_share, scores.within_low, scores.within_high
    return "no share" if np.isnan(share[0]) else "{:.0%} ({:.0%} to {:.0%})".format(*share)


def split_half(gaps: np.ndarray) -> list[np.ndarray]:
    """Return the levels of the runs on two random halves of the examples."""
    order = np.random.default_rng(0).permutation(gaps.shape[1])
    return [rs.trimming(gaps[:, half], resample="split").mean for half in np.array_split(order, 2)]


# ------------------------------------------------------------------------------------------------- the page


def draw(plot: Callable[..., Any], path: Path) -> None:
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    plot(figure.subplots())
    figure.savefig(path, dpi=90)


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1))


def report(training: Training, facts: dict[str, Any]) -> tuple[str, list[Claim]]:
    arms = {name: training.arm(name) for name in ARMS}
    accuracy = {name: rs.ensemble_scores(study).member_accuracy for name, study in arms.items()}
    facts["accuracy"] = {name: [100 * each.mean(), 100 * each.std(ddof=1)] for name, each in accuracy.items()}
    shown = "; ".join(
        f"{name} {with_limits(100 * each, np.mean, '.2f')[0]} %, sd {with_limits(100 * each, _sd, '.2f')[0]}"
        for name, each in accuracy.items()
    )
    seconds = seconds_a_run(training.work / "init-only")
    figures = training.work / "figures"
    parts = {
        "E1: how many runs stand for all": ensemble_size(arms["both"], facts, figures),
        "E2: what the seeds change": randomness(arms, training.preset["references"], facts),
        "E3: what accuracy leaves open": expressiveness(arms["both"], facts, figures),
        "E4: fine-tuned seeds": transfer(training.tuned(), facts),
    }
    sections = [f"### {title}\n\n{text}" for title, (text, _) in parts.items()]
    claims = [claim for _, found in parts.values() for claim in found]
    shown += f". Seconds per run, init only, in the median: {seconds:.1f}"
    return f"## {training.name}\n\nTest accuracy: {shown}.\n\n" + "\n\n".join(sections), claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cifar10", "mnist"):
        parser.add_argument(f"--{name}", type=Path, help=f"folder with train.parquet and test.parquet of {name}")
    parser.add_argument("--only", choices=PAIRS, action="append", help="this pair of classes; may be repeated")
    parser.add_argument("--work", type=Path, default=Path("runs/trimming"))
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument(
        "--runs", type=int, help="candidates an arm, runs of the reference, fine-tuned runs: as many each"
    )
    arguments = parser.parse_args()
    preset = PRESETS[arguments.preset]
    if arguments.runs:
        preset |= dict.fromkeys(("candidates", "references", "tuned"), arguments.runs)
    work = arguments.work / arguments.preset
    for name in arguments.only or PAIRS:
        source = name.partition("-")[0]
        data = getattr(arguments, source)
        if data is None:
            print(f"{name}: excluded, no --{source}", file=sys.stderr)
            continue
        facts: dict[str, Any] = {"preset": preset}
        text, claims = report(Training(name, data, work, preset), facts)
        page = f"{text}\n\n### Claims\n\n{claims_table(claims)}\n"
        (work / f"{name}.md").write_text(page)
        save(work / f"{name}.json", claims, **facts)
        print(page)


if __name__ == "__main__":
    main()
