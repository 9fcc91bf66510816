"""Deep, hyper, hyper-deep, batch and hyper-batch ensembles side by side, after Wenzel et al. (2020), on small data.

    python studies/ensembles/ensembles.py --mnist ../shared/data/mnist --cifar10 ../shared/data/cifar10
    python studies/ensembles/ensembles.py ... --only mnist --repeats 3      # a part; called again, it goes on

Every repeat is a new split with new seeds. Its procedures share one study, so that a run which several of them need is
trained once: a search of 50 from one initialisation and one of 70 from as many, the rows of the blocks, a column of the
best configuration. What was measured on a repeat stays in the work folder; called again, the script only analyses.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import runspread as rs
from runspread.methods.ensembles import EnsembleSizes, corruption_benchmark, diversity, ensemble_sizes
from runspread.training import Ensemble, Recipe, deep_ensemble, load_split, make_ensemble, train_batch_ensemble

sys.path.insert(0, str(Path(__file__).parents[1]))
from analysis import report
from tasks import KAPPA, SIZES, TASKS, Task

Row = dict[str, float]
PASSES = 30
TUNING_RATE = 0.03  # of the bounds, as in the specification; a slower one beside it
SIGNS = {"factors": ("signs", 0.5)}
CORRUPTED = 500  # test images that are corrupted
CORRUPTED_KINDS = ("deep", "fixed-init hyper", "hyper", "hyper-deep")
FORCED = "first choice forced to K"

# ------------------------------------------------------------------------------------------------------- one ensemble


def row(outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, kind: str = "logits") -> Row:
    """Return the scores of an ensemble on the test split, and how far the two identities are from holding."""
    scored = rs.ensemble_scores(outputs, labels, weights=weights, kind=kind)
    equal, diverse = rs.ensemble_scores(outputs, labels, kind=kind), diversity(outputs, labels, kind=kind)
    spread = diverse.brier_diversity if diverse.n_duplicates == 0 else np.nan
    return {
        "members": len(outputs),
        "nll": scored.nll,
        "accuracy": scored.accuracy,
        "brier": scored.brier,
        "ece": scored.ece,
        "gibbs": scored.gibbs_nll,
        "disagreement": diverse.disagreement,
        "gibbs gap": scored.gibbs_nll - scored.nll,
        "brier identity": abs(float(equal.member_brier.mean()) - equal.brier - spread),
    }


def members_mean(outputs: np.ndarray, labels: np.ndarray) -> Row:
    """Return the mean over seeds of the scores of one network alone."""
    alone = [row(one[None], labels) for one in outputs]
    return {name: float(np.mean([each[name] for each in alone])) for name in alone[0]}


class Outputs:
    """Logits of a study's runs by id."""

    def __init__(self, study: rs.Study, split: str) -> None:
        self.reader = study.predictions(split)
        self.labels = np.asarray(self.reader.labels)
        self.places = {name: place for place, name in enumerate(self.reader.run_ids)}

    def __call__(self, names: tuple[str, ...]) -> np.ndarray:
        return np.stack([self.reader[self.places[name]] for name in names])


# --------------------------------------------------------------------------------------------- procedures of a repeat


def train_procedures(task: Task, recipe: Recipe, out: Path, seed: int) -> dict[str, Any]:
    """Train everything that is stacked or chosen from runs; return the ensembles by name."""
    shared: dict[str, Any] = {"search": task.space, "out": out, "runs": KAPPA, "seed": seed}
    found: dict[str, Any] = {}
    for size in sorted(SIZES, reverse=True):  # the larger one first: its search contains the other's
        for name, variant in (
            ("same-budget hyper", "same-budget"),
            ("hyper", "unstratified"),
            ("hyper-deep", "stratified"),
            ("fixed-init hyper", "fixed-init"),
        ):
            found[f"{name}, K={size}"] = rs.hyper_deep_ensemble(recipe, size=size, variant=variant, **shared)
        found[f"deep, K={size}"] = deep_ensemble(recipe, size=size, shared_init=True, **shared)
    for name, variant in (("hyper-deep", "stratified"), ("fixed-init hyper", "fixed-init")):
        found[f"{name}, {FORCED}, K=3"] = rs.hyper_deep_ensemble(
            recipe, size=3, variant=variant, fill_first=True, **shared
        )
    return found


def procedure_rows(found: Mapping[str, Any], test: Outputs) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for name, one in found.items():
        rows[name] = row(test(one.member_ids), test.labels, one.weights) | {"trained": one.n_trained}
    for size in SIZES:
        pool, deep = found[f"hyper, K={size}"].selection, found[f"deep, K={size}"]
        best = tuple(pool.run_ids[i] for i in pool.top_k)
        rows[f"top-K, K={size}"] = row(test(best), test.labels) | {"trained": KAPPA}
        rows[f"single, K={size}"] = members_mean(test(deep.member_ids), test.labels) | {"trained": KAPPA}
    return rows


def mc_dropout_row(study: rs.Study, deep: Any, data: str | None, inputs: np.ndarray, labels: np.ndarray) -> Row:
    """Return the mean over the seeds of the best configuration, each with its own dropout rates at test time."""
    alone = [
        row(make_ensemble(study, [name], data=data).mc_dropout(inputs, passes=PASSES), labels, kind="probabilities")
        for name in deep.member_ids
    ]
    return {name: float(np.mean([each[name] for each in alone])) for name in alone[0]} | {"trained": KAPPA}


def sizes_curves(found: Mapping[str, Any], validation: Outputs, test: Outputs) -> dict[str, Any]:
    """Return the test NLL against the number of members, for every kind of ensemble."""
    upto = max(SIZES)

    def curves(names: tuple[str, ...]) -> EnsembleSizes:
        return ensemble_sizes(
            validation(names), validation.labels, report=test(names), report_labels=test.labels,
            sizes=range(1, upto + 1), kind="logits",
        )  # fmt: skip

    pool = curves(found[f"hyper, K={upto}"].selection.run_ids)
    fixed = curves(found[f"fixed-init hyper, K={upto}"].selection.run_ids)
    block = curves(found[f"hyper-deep, K={upto}"].selection.run_ids)
    deep = test(found[f"deep, K={upto}"].member_ids)
    return {
        "curves": {
            "hyper (greedy of 50)": pool.curves["greedy"].tolist(),
            "top K of 50": pool.curves["top K"].tolist(),
            "random of 50": pool.curves["random"].tolist(),
            "fixed-init hyper": fixed.curves["greedy"].tolist(),
            "hyper-deep": block.curves["greedy"].tolist(),
            "deep": [rs.ensemble_scores(deep[:k], test.labels, kind="logits").nll for k in range(1, upto + 1)],
        },
        "low": pool.random_low.tolist(),
        "high": pool.random_high.tolist(),
    }


# ---------------------------------------------------------------------------------------------- members in one network


def batch_rows(recipe: Recipe, out: Path, seed: int, members: int, controls: bool) -> dict[str, Row]:
    """Train the batch and hyper-batch ensembles of a repeat, with their controls; those that are there are loaded."""
    longer = recipe.replace(epochs=2 * (recipe.epochs or 1))
    (inputs, labels), (held_inputs, held_labels) = (load_split(recipe, name) for name in ("test", "validation"))
    hyper = {"tuning_rate": TUNING_RATE, "conversion": SIGNS}
    rng = np.random.default_rng(seed)
    rows: dict[str, Row] = {}

    def add(name: str, one: Recipe, **options: Any) -> Ensemble:
        folder = out / f"{name}, K={members}"
        if not folder.exists():
            train_batch_ensemble(one, members=members, seed=seed, **options).ensemble.save(folder)
        made = rs.load_ensemble(folder)
        rows[folder.name] = row(made.member_probabilities(inputs), labels, kind="probabilities")
        return made

    add("batch", longer, hyper=False, conversion=SIGNS)
    add("hyper-batch", longer, **hyper)
    if not controls:
        return rows
    add("hyper-batch, rate 0.01", longer, **hyper | {"tuning_rate": 0.01})
    add("hyper-batch, bounds frozen", longer, **hyper, tuning_warmup=2**31)
    found: dict[str, float] = {}
    for number in range(8):
        l2, dropout = float(1e-3 * 1e6 ** rng.random()), float(1e-3 * 900 ** rng.random())
        name = f"batch, random {number}"
        made = add(name, longer.replace(l2=l2, dropout=dropout), hyper=False, conversion=SIGNS)
        found[name] = rs.ensemble_scores(made.member_probabilities(held_inputs), held_labels, kind="probabilities").nll
    best = min(found, key=lambda name: found[name])
    tried = [rows.pop(f"{name}, K={members}") for name in found]
    rows[f"batch, best of 8, K={members}"] = tried[list(found).index(best)]
    return rows


# ---------------------------------------------------------------------------------------------------------- corruption


def corruption_rows(recipe: Recipe, pool: int, seed: int, ensembles: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores on corrupted test images; they are corrupted at full size, then averaged for the network."""
    images, labels = load_split(recipe.replace(pool=1), "test")
    n = images.shape[-1] // pool

    def seen(x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:2], n, pool, n, pool).mean((3, 5), dtype=np.float32) if pool > 1 else x

    predictors = {name: lambda x, one=one: one.predict(seen(x)) for name, one in ensembles.items()}
    predictors["MC dropout"] = lambda x: ensembles["single"].mc_dropout(seen(x), passes=PASSES).mean(axis=0)
    found = corruption_benchmark(
        predictors, np.asarray(images[:CORRUPTED]), labels[:CORRUPTED], kind="probabilities", seed=seed
    )
    return {
        "predictors": found.predictors,
        "clean": {name: values.tolist() for name, values in found.clean.items()},
        "corrupted": {name: values.mean(axis=1).tolist() for name, values in found.corrupted.items()},
    }


# ------------------------------------------------------------------------------------------------------------- repeats


def measure(task: Task, repeat: int, work: Path, folders: dict[str, str]) -> dict[str, Any]:
    """Return what one repeat measured: trained if it is not there yet."""
    kept = work / task.name / f"repeat-{repeat}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    print(f"{task.name}: repeat {repeat}", file=sys.stderr)
    started = time.process_time()
    recipe, folder = task.recipe(repeat, folders), work / task.name / f"repeat-{repeat}"
    found = train_procedures(task, recipe, folder / "study", repeat)
    study = rs.open_study(folder / "study")
    validation, test = Outputs(study, "validation"), Outputs(study, "test")
    inputs, _ = load_split(recipe, "test")
    rows = procedure_rows(found, test)
    for size in SIZES:
        deep = found[f"deep, K={size}"]
        rows[f"MC dropout, K={size}"] = mc_dropout_row(study, deep, recipe.data, inputs, test.labels)
    facts: dict[str, Any] = {"rows": rows, "sizes": sizes_curves(found, validation, test)}
    if repeat <= task.batch_repeats:
        for size in SIZES:
            rows |= batch_rows(recipe, folder, repeat, size, controls=size == min(SIZES))
    if repeat <= task.corrupted_repeats:
        single = make_ensemble(study, found["deep, K=3"].member_ids[:1], data=recipe.data)
        several = {name: found[f"{name}, K=3"].ensemble() for name in CORRUPTED_KINDS}
        if repeat <= task.batch_repeats:
            several |= {name: rs.load_ensemble(folder / f"{name}, K=3") for name in ("batch", "hyper-batch")}
        facts["corruption"] = corruption_rows(recipe, task.pool, repeat, {"single": single, **several})
    facts["runs"], facts["cpu seconds"] = len(study.runs), time.process_time() - started
    kept.write_text(json.dumps(facts, indent=1, default=float))
    return facts


def keep_to_one_core(cores: Any) -> None:
    """Give each process a core of its own where the system can: small networks gain nothing by sharing them."""
    if hasattr(os, "sched_setaffinity"):
        there = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {there[cores.get() % len(there)]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", help="folder with train.parquet and test.parquet of MNIST")
    parser.add_argument("--cifar10", help="the same of CIFAR-10")
    parser.add_argument("--work", type=Path, default=Path("runs/ensembles"))
    parser.add_argument("--only", action="append", choices=[task.name for task in TASKS], help="some of the tasks")
    parser.add_argument("--repeats", type=int, default=99, help="at most so many repeats of each")
    parser.add_argument("--processes", type=int, default=2, help="repeats that are measured at once")
    arguments = parser.parse_args()
    folders = {"mnist": arguments.mnist, "cifar10": arguments.cifar10}
    tasks = [task for task in TASKS if task.name in (arguments.only or [task.name])]
    jobs = [(task, repeat) for task in tasks for repeat in range(1, min(task.repeats, arguments.repeats) + 1)]
    context = get_context("spawn")
    cores: Any = context.Queue()
    for number in range(arguments.processes):
        cores.put(number)
    with ProcessPoolExecutor(arguments.processes, context, keep_to_one_core, (cores,)) as pool:
        found = [pool.submit(measure, *job, arguments.work, folders) for job in jobs]
    measured: dict[Task, list[dict[str, Any]]] = {task: [] for task in tasks}
    for (task, _), future in zip(jobs, found, strict=True):
        measured[task].append(future.result())
    report(measured, arguments.work)


if __name__ == "__main__":
    main()
