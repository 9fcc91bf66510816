"""Training dynamics after Hu, Chen, Saphra and Cho (2023): each task's map, and its claims beside their tolerances.

    python studies/dynamics/dynamics.py --mnist ../shared/data/mnist --text ../shared/data/text --cifar10 ...
    python studies/dynamics/dynamics.py --only parity,digits --variants    # some tasks; how firm their maps are
    python studies/dynamics/dynamics.py --size full --only modular         # the published sizes: hours, or a GPU

Every task is trained with the fourteen weight metrics recorded and then read by `rs.dynamics` (full covariances, 1 to 8
states, the published rules, 8 restarts of 32 iterations). What is trained stays in the work folder; called again, the
script only analyses.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runspread as rs
from runspread.methods import Table
from runspread.methods.dynamics import TrainingDynamics, TrainingMap, predict_from_prefix

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import Claim, claims_table, markdown_table, save
from settings import SETTINGS, Setting

FIT: dict[str, Any] = {"preset": "paper", "restarts": 8, "kmeans": "varied"}
VARIANTS: dict[str, dict[str, Any]] = {
    "as above": FIT,
    "other split and starting points": {**FIT, "seed": 1},
    "again others": {**FIT, "seed": 2},
    "smallest BIC of any restart": {**FIT, "criterion": "bic_best"},
    "5 restarts, k-means as published": {"preset": "paper"},
    "16 restarts of up to 100 iterations": {**FIT, "restarts": 16, "iterations": 100},
    "the defaults of today: BIC on all runs": {},
    "diagonal covariances": {**FIT, "covariance": "diag"},
    "l2 alone, up to 16 states": {**FIT, "metrics": ["l2"], "states": range(1, 17)},
}
BOOTSTRAP = 4000
# Hu et al. 2023, tables of section 4: states, R2, p, dissimilarity, map, detours.
PUBLISHED: dict[str, tuple[str, ...]] = {
    "modular addition, p = 113": ("6", "0.977", "<0.001", "0.496", "fork", "2 (1.19), 5 (0.95)"),
    "stabilised modular addition": ("3", "0.514", "<0.001", "0.038", "linear", "none"),
    "sparse parity": ("6", "0.961", "<0.001", "0.183", "fork", "0 (0.77)"),
    "CIFAR-100, ResNet-18": ("5", "0.094", "0.469", "0.028", "linear", "none"),
    "the same without batch norm and residuals": ("5", "0.905", "<0.001", "0.806", "fork", "1 (1.20)"),
    "MNIST": ("6", "0.049", "0.611", "0.063", "linear", "none"),
    "BERT, 5 seeds": ("5", "–", "–", "–", "fork", "–"),
}


@dataclass(frozen=True)
class Found:
    """A task's dynamics, and the training step and epoch of its checkpoints."""

    setting: Setting
    study: rs.Study
    result: TrainingDynamics
    steps: NDArray[np.int64]
    epochs: float

    @property
    def converged(self) -> NDArray[np.int64]:
        """Checkpoint of convergence of the runs that converged."""
        index = self.result.convergence
        assert index is not None
        return index[index >= 0]

    @property
    def regression(self) -> Any:
        """Convergence time on the states."""
        return self.result.regression

    def times(self, unit: str) -> NDArray[np.float64]:
        """Return when the converged runs converged, in steps or epochs."""
        steps = self.steps[self.converged].astype(np.float64)
        return steps if unit == "steps" else steps * self.epochs / self.steps[-1]

    @property
    def spread(self) -> str:
        """SD over mean of convergence, with its interval."""
        return interval(self.converged, relative_sd) if len(self.converged) else "–"

    @property
    def shared_routes(self) -> int:
        """Routes that two runs or more take."""
        return sum(n >= 2 for n in Counter(self.result.map.routes).values())


def relative_sd(values: NDArray[Any]) -> float:
    """Return the standard deviation over the mean; NaN of nothing."""
    return float(values.std() / values.mean()) if len(values) else float("nan")


def interval(values: NDArray[Any], statistic: Callable[[NDArray[Any]], float] = np.mean, digits: int = 2) -> str:
    """Return a statistic over runs with its 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(0)
    drawn = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(BOOTSTRAP)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{statistic(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


# ------------------------------------------------------------------------------------------------- training and maps


class Training:
    """The studies of this script: trained where they are missing, then read."""

    def __init__(self, work: Path, data: Mapping[str, Path | None], runs: int | None) -> None:
        self.work, self.data, self.runs = work, data, runs

    def study(self, name: str, setting: Setting) -> rs.Study:
        """Train a setting's runs, or those of them that are missing."""
        where = {"data": str(self.data[setting.data])} if setting.data else {}
        recipe = rs.recipe(setting.recipe, **{"weight_metrics": True, "keep_weights": False} | setting.fields | where)
        runs = self.runs or setting.runs
        print(f"{name}: {runs} runs", file=sys.stderr)
        return rs.train(recipe, runs=runs, vary=setting.vary, out=self.work / name)

    def found(self, name: str, setting: Setting) -> Found:
        """Return a setting's dynamics."""
        study = self.study(name, setting)
        steps, _ = study.metrics()[setting.outcome].of(study.runs[0].id)
        epochs = (study.recipe or {})["epochs"] or float("nan")
        return Found(setting, study, dynamics_of(study, setting, **FIT), steps, float(epochs))


def dynamics_of(study: rs.Study, setting: Setting, **options: Any) -> TrainingDynamics:
    """Return a study's dynamics with the setting's outcome."""
    outcome = {"outcome": setting.outcome, "threshold": setting.threshold, "direction": setting.direction}
    return rs.dynamics(study, **outcome, **options)


# ------------------------------------------------------------------------------------------------- tables


def shape_of(drawn: TrainingMap) -> str:
    """Return how a map runs."""
    if drawn.is_linear:
        return "linear"
    share = round(drawn.common_share * len(drawn.paths))
    ended = f", {drawn.n_unfinished} end on the way" if drawn.n_unfinished else ""
    return f"fork: {drawn.n_routes} routes, {share}/{len(drawn.paths)} on one{ended}"


def detours_of(result: TrainingDynamics) -> str:
    """Return detour states with their coefficients and visits."""
    coef, visits = getattr(result.regression, "coef", ()), result.map.visits
    return ", ".join(f"{k} ({coef[k]:.2f}; {visits[k]} runs)" for k in result.detours) or "none"


def results_table(found: Mapping[str, Found]) -> str:
    """Return what was found, a row a task, and what was published."""
    rows: list[list[Any]] = []
    for f in found.values():
        r, fit, only = f.result, f.regression, f.regression.converged_only
        alone = "all did" if len(f.converged) == fit.n_runs else "–" if only is None else f"{only.r_squared:.3f}"
        dissimilarity = f"{r.dissimilarity_tv:.3f}; {r.dissimilarity_label:.3f}"
        rows.append([f.setting.title, r.model.n_states, f"{fit.r_squared:.3f}", alone, f"{fit.loo_r_squared:.3f}"])
        rows[-1] += [f"{fit.f_pvalue:.1g}", dissimilarity, shape_of(r.map), detours_of(r)]
    for task, (states, r2, p, distance, shape, detours) in PUBLISHED.items():
        rows.append([f"*published: {task}*", states, r2, "–", "–", p, distance, shape, detours])
    header = (
        "task", "states", "R²", "R², converged runs", "R², leave one out", "p", "dissimilarity (tv; by label)", "map",
        "detours (coefficient)",
    )  # fmt: skip
    return markdown_table(header, rows)


def convergence_table(found: Mapping[str, Found]) -> str:
    """Return when runs converged."""
    rows: list[list[Any]] = []
    for f in found.values():
        where = f"{f.setting.outcome} {f.setting.direction} {f.setting.threshold:g}"
        index = f.converged
        rows.append([f.setting.title, where, f"{len(index)}/{len(f.result.map.paths)}", len(f.steps)])
        if len(index):
            steps, epochs = (f.times(unit).mean() for unit in ("steps", "epochs"))
            rows[-1] += [f"{index.mean():.1f}, {index.std():.1f}", f"{index.min()} to {index.max()}", f.spread]
            rows[-1] += [f"{steps:.0f}", "–" if np.isnan(epochs) else f"{epochs:.1f}"]
        else:
            rows[-1] += ["–"] * 5
    header = (
        "task", "converged: when", "runs", "checkpoints", "mean, SD (checkpoints)", "range", "SD over mean (95 %)",
        "mean step", "mean epoch",
    )  # fmt: skip
    return markdown_table(header, rows)


def variants_table(f: Found) -> str:
    """Return how the findings change with the fit."""
    rows: list[list[Any]] = []
    own: dict[str, dict[str, Any]] = {f"the published {f.setting.states} states": {**FIT, "states": [f.setting.states]}}
    if f.setting.cut:
        own[f"the first {f.setting.cut} checkpoints"] = {**FIT, "first_n": f.setting.cut}
    for name, options in {**VARIANTS, **own}.items():
        try:
            r = dynamics_of(f.study, f.setting, **options)
        except rs.RunspreadError as error:
            rows.append([name, "–", "–", "–", f"none: {error}", "–", "–"])
            continue
        fit: Any = r.regression
        rows.append([name, r.model.n_states, f"{fit.r_squared:.3f}", f"{fit.f_pvalue:.1g}", shape_of(r.map)])
        rows[-1] += [f"{r.dissimilarity_tv:.3f}", detours_of(r)]
    return markdown_table(("fit", "states", "R²", "p", "map", "tv", "detours"), rows)


def edges_table(r: TrainingDynamics) -> str:
    """Return the transitions with how far the L2 norm moves on each, whether or not it is among the three named."""
    table = r.map.table()
    columns: dict[str, Any] = dict(table.columns)
    if "l2" in r.map.metric_names:
        columns["l2"] = r.map.movement_table(["l2"])["l2"]
    return Table(columns, formats={**table.formats, "l2": "+.2f"}).to_markdown()


def firmness(f: Found) -> list[str]:
    """Return what other fits and resampled runs make of a map, and what early states foretell."""
    foretold = predict_from_prefix(f.result)
    return [
        "Fitted in other ways:",
        variants_table(f),
        f"Fitted again: {rs.methods.dynamics.map_stability(f.result).sentence()}",
        f"Foretold: {foretold.sentence()}",
        foretold.table().to_markdown(),
    ]


def section(name: str, f: Found, figures: Path, variants: bool) -> str:
    """Return a task's part of the page; draw its figures."""
    from runspread.plots import plot_convergence_by_route, plot_state_ribbons, plot_training_map

    plots = {"map": plot_training_map, "ribbons": plot_state_ribbons, "routes": plot_convergence_by_route}
    for kind, plot in plots.items():
        draw(lambda plot=plot: plot(f.result), figures / f"{name}-{kind}.png")
    r = f.result
    notes = [f"Note: {note}." for note in r.warnings]
    parts = [f"### {f.setting.title}", r.sentence(), r.table().to_markdown(), edges_table(r)]
    parts += [r.selection.sentence(), *notes]
    parts += firmness(f) if variants else []
    return "\n\n".join(parts)


def draw(plot: Callable[[], Any], path: Path) -> None:
    """Save a plot."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = plot().figure
    figure.savefig(path, bbox_inches="tight", dpi=110)
    plt.close(figure)


# ------------------------------------------------------------------------------------------------- claims


def fit_of(f: Found) -> str:
    """Return R² and p as measured."""
    return f"R² {f.regression.r_squared:.3f}, p {f.regression.f_pvalue:.1g}"


def parity(f: Found) -> list[Claim]:
    only = f.regression.converged_only or f.regression
    measured = f"R² {only.r_squared:.3f}, p {only.f_pvalue:.1g} ({only.n_runs} runs)"
    routes = f"{f.result.map.n_routes} routes, {f.shared_routes} of them with two runs or more"
    return [
        Claim("R²", "above 0.9 on the runs that converged", measured, only.r_squared > 0.9),
        Claim("p", "below 0.001", measured, only.f_pvalue < 1e-3),
        Claim("routes", "at least 2 with 2 runs each", routes, f.shared_routes >= 2),
        Claim("detour", "at least one", detours_of(f.result), bool(f.result.detours)),
    ]


def modular(f: Found) -> list[Claim]:
    drawn, ratio = f.result.map, relative_sd(f.converged)
    return [
        Claim("p", "below 0.001", fit_of(f), f.regression.f_pvalue < 1e-3),
        Claim("map", "forks", shape_of(drawn), not drawn.is_linear),
        Claim("routes", "at least 3", f"{drawn.n_routes}", drawn.n_routes >= 3),
        Claim("SD over mean of convergence", "above 0.25", f.spread, ratio > 0.25),
    ]


def stable(f: Found) -> list[Claim]:
    drawn = f.result.map
    return [
        Claim("common route", "at least 90 % of runs", shape_of(drawn), drawn.common_share >= 0.9),
        Claim("detour", "none", detours_of(f.result), not f.result.detours),
        Claim("SD over mean of convergence", "below 0.25", f.spread, relative_sd(f.converged) < 0.25),
    ]


def linear(f: Found) -> list[Claim]:
    p, tv = f.regression.f_pvalue, f.result.dissimilarity_tv
    return [
        Claim("map", "linear", shape_of(f.result.map), f.result.map.is_linear),
        Claim("p", "above 0.05", fit_of(f), p > 0.05),
        Claim("dissimilarity (tv)", "below 0.1", f"{tv:.3f}", tv < 0.1),
    ]


def sooner(found: Mapping[str, Found]) -> list[Claim]:
    """Stabilised against baseline at p = 53, in epochs (judged) and in steps (reported)."""
    ratios = {unit: _ratio(found["baseline"].times(unit), found["stable"].times(unit)) for unit in ("epochs", "steps")}
    late = len(found["baseline"].result.map.paths) - len(found["baseline"].converged)
    shown = f"; {late} baseline runs never converged and are excluded"
    epochs, steps = (f"{mean:.1f} times ({low:.1f} to {high:.1f})" for mean, low, high in ratios.values())
    return [
        Claim(
            "sooner, in epochs", "at least 10 times (published: about 30)", epochs + shown, ratios["epochs"][0] >= 10
        ),
        Claim("sooner, in optimiser steps", "reported (prototype: 3.1 times)", steps + shown, None),
    ]


def _ratio(first: NDArray[Any], second: NDArray[Any]) -> tuple[float, float, float]:
    rng = np.random.default_rng(0)
    drawn = [rng.choice(first, len(first)).mean() / rng.choice(second, len(second)).mean() for _ in range(BOOTSTRAP)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(first.mean() / second.mean()), float(low), float(high)


def described(f: Found) -> list[Claim]:
    """Nothing is required of it: what was found."""
    return [Claim("map", "reported", f"{f.result.model.n_states} states; {shape_of(f.result.map)}; {fit_of(f)}", None)]


CLAIMS: dict[str, Callable[[Found], list[Claim]]] = {
    "parity": parity,
    "modular": modular,
    "stable": stable,
    "digits": linear,
    "mnist": linear,
}


def claims_of(found: Mapping[str, Found]) -> list[Claim]:
    """Return every claim about the tasks that were run."""
    claims = [
        Claim(f"{f.setting.title}: {claim.name}", claim.expected, claim.measured, claim.holds)
        for name, f in found.items()
        for claim in CLAIMS.get(name, described)(f)
    ]
    return claims + (sooner(found) if {"stable", "baseline"} <= set(found) else [])


# ------------------------------------------------------------------------------------------------- the page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("mnist", "cifar10", "text"):
        parser.add_argument(f"--{name}", type=Path, help=f"folder of {name}; tasks on it are excluded without")
    parser.add_argument("--work", type=Path, default=Path("runs/dynamics"))
    parser.add_argument("--size", choices=SETTINGS, default="small")
    parser.add_argument("--only", help="tasks, with commas: " + ", ".join(SETTINGS["small"]))
    parser.add_argument("--runs", type=int, help="runs a task, fewer or more")
    parser.add_argument("--variants", action="store_true", help="fit in other ways too, and resample the runs")
    arguments = parser.parse_args()
    data = {name: getattr(arguments, name) for name in ("mnist", "cifar10", "text")}
    work = arguments.work / arguments.size
    training = Training(work, data, arguments.runs)
    wanted = arguments.only.split(",") if arguments.only else list(SETTINGS[arguments.size])
    found: dict[str, Found] = {}
    for name in wanted:
        setting = SETTINGS[arguments.size][name]
        if setting.data and data[setting.data] is None:
            print(f"{name}: excluded, no --{setting.data}", file=sys.stderr)
            continue
        found[name] = training.found(name, setting)
    claims = claims_of(found)
    sections = [section(name, f, work / "figures", arguments.variants) for name, f in found.items()]
    page = [results_table(found), convergence_table(found), claims_table(claims), *sections]
    print(*page, sep="\n\n")
    part = f"-{arguments.only.replace(',', '-')}" if arguments.only else ""
    save(work / f"figures{part}.json", claims, results={name: f.result.to_dict() for name, f in found.items()})


if __name__ == "__main__":
    main()
