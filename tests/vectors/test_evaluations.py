"""Evaluations against the vectors: every case, size and parameter comes from the file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from runspread._results import flat_fields
from runspread.methods._statistics import holm_adjusted
from runspread.methods.evaluations import bars, cells, differences, plans, spread, tries
from runspread.methods.variance.clusters import Grouping, single_groups
from tests.conftest import SHARED

from .loading import Vectors

vectors = Vectors("evals")
LEVEL, ALPHA, POWER = 0.95, 0.05, 0.8
OF_THE_GATE = {"perm", "permties", "wealth", "tolfac", "noise"}
CASES = sorted({key.partition("__")[0] for key in vectors} - OF_THE_GATE)
EXPECTED = {
    case: [key.split("__exp__")[1] for key in sorted(vectors) if key.startswith(f"{case}__exp__")] for case in CASES
}


def has(case: str, *names: str) -> bool:
    return all(f"{case}__{name}" in vectors for name in names)


def having(*names: str) -> list[str]:
    return [case for case in CASES if has(case, *names)]


def given(case: str, name: str):
    value = vectors[f"{case}__{name}"]
    return value.item() if value.ndim == 0 else value


def check(case: str, found: dict) -> None:
    for name in EXPECTED[case]:
        expected = vectors[f"{case}__exp__{name}"]
        relative = float(vectors[f"{case}__tol__{name}"]) if has(case, f"tol__{name}") else 1e-9
        np.testing.assert_allclose(
            np.asarray(found[name], float), expected, rtol=relative, atol=1e-12, err_msg=f"{case} {name}"
        )


def grouping_of(case: str, items: int) -> Grouping:
    return Grouping.of(given(case, "cluster"), items) if has(case, "cluster") else single_groups(items)


def rows_of(correct: np.ndarray, samples: int) -> dict[str, np.ndarray]:
    """One row per answer; which of the samples are right does not matter."""
    seed, item, sample = (axis.ravel() for axis in np.indices((*correct.shape, samples)))
    return {"seed": seed, "item": item, "score": (sample < correct[seed, item]).astype(float)}


def cells_of(rows: dict[str, np.ndarray]) -> cells.Cells:
    prompt = rows.get("prompt", np.zeros_like(rows["item"]))
    return cells.cells_of(rows["seed"], prompt, rows["item"], rows["score"])


def components(found: cells.Cells, cluster: np.ndarray | None) -> dict[str, float]:
    factors = spread.factors_of(found, cluster)
    one = spread.Levels(factors).spread(found.mean, found.noise, found.decode)
    return {f"comp_{name}": value for name, value in one.parts.items()} | {"comp_decode": one.decode}


@pytest.mark.parametrize("case", having("correct"))
def test_one_model(case):
    correct = given(case, "correct")
    seeds, items = correct.shape
    samples = int(given(case, "samples")) if has(case, "samples") else 1
    found, grouping = cells_of(rows_of(correct, samples)), grouping_of(case, items)
    x = found.item_means(items)
    by_seed = found.by(found.seed, seeds, items)
    of_seeds = [(*bars.over_seeds(by_seed, grouping), seeds)] if seeds > 1 else []
    one = bars.variances(x, grouping, of_seeds)
    mean, bar = float(x.mean()), bars.bar_of(one, "models")
    numbers = dict(flat_fields(one)) | {
        "mean": mean,
        "ci_items_t": bars.interval(mean, bar, LEVEL, len(grouping), bounded=False),
        "n_eff": bars.effective_items(mean, bar.variance, len(grouping), len(found) * samples),
        "ci_items": bars.interval(mean, bar, LEVEL, len(grouping), most=seeds * items * samples),
        "ci_new": bars.interval(mean, bars.bar_of(one, "distribution"), LEVEL, len(grouping)),
        "flip_within": np.mean(tries.flips_within(found.n, found.mean * found.n)),
        "flip_across": np.mean(tries.flips_across(by_seed)) if seeds > 1 else math.nan,
    }
    check(case, numbers | components(found, given(case, "cluster") if has(case, "cluster") else None))


@pytest.mark.parametrize("case", having("score", "prompt"))
def test_rows_with_missing_cells(case):
    columns = {name: given(case, name) for name in ("seed", "prompt", "cluster", "item")}
    rows = {name: np.unique(values, return_inverse=True)[1] for name, values in columns.items()}
    pairs, rows["item"] = np.unique(np.stack([rows["cluster"], rows["item"]]), axis=1, return_inverse=True)
    rows["score"] = given(case, "score")
    found = cells_of(rows)
    numbers = components(found, pairs[0])
    means = {"mean_item_equal": found.item_means(pairs.shape[1]).mean(), "mean_row_equal": rows["score"].mean()}
    check(case, numbers | means)


@pytest.mark.parametrize("case", having("correct_a", "correct_b"))
def test_two_models(case):
    correct = {side: given(case, f"correct_{side}") / given(case, "samples") for side in "ab"}
    items = correct["a"].shape[1]
    grouping = grouping_of(case, items)
    d = correct["b"].mean(axis=0) - correct["a"].mean(axis=0)
    seeds = {side: (*bars.over_seeds(x, grouping), len(x)) for side, x in correct.items()}
    one, more = bars.variances(d, grouping, list(seeds.values())), differences.add_two(d, grouping)
    on_items = differences.difference_of(d.mean(), bars.bar_of(one, "models"))
    on_new = differences.difference_of(d.mean(), bars.bar_of(one, "distribution"))
    numbers = dict(flat_fields(one)) | {
        "diff": d.mean(),
        "diff_shrunk": more.value,
        "var_add_two": more.bar.variance,
        "df_add_two": more.bar.df,
        "ci_add_two": differences.difference_of(more.value, more.bar).interval(LEVEL),
        "ci_items": on_items.interval(LEVEL),
        "ci_new": on_new.interval(LEVEL),
        "p_items": on_items.p(),
        "p_new": on_new.p(),
        "p_not_worse_05": on_new.p_above(-0.05),
    }
    numbers |= {f"var_{name}_{side}": seeds[side][at] for side in "ab" for at, name in ((0, "seeds"), (1, "inter"))}
    check(case, numbers)


@pytest.mark.parametrize("case", having("a", "b"))
def test_discordant_items(case):
    check(case, differences.mcnemar(given(case, "a"), given(case, "b"))._asdict())


@pytest.mark.parametrize("case", having("n_c_k"))
def test_several_tries(case):
    rows = given(case, "n_c_k").tolist()
    check(
        case,
        {
            "pass_at_k": [tries.one_of(n, c, k) for n, c, k in rows],
            "pass_hat_k": [tries.all_of(n, c, k) for n, c, k in rows],
        },
    )


@pytest.mark.parametrize("case", having("p"))
def test_correction_for_several_models(case):
    check(case, {"adjusted": holm_adjusted(given(case, "p"))})


@pytest.mark.parametrize("case", having("gap", "items_max"))
def test_plans(case):
    target = (
        given(case, name) for name in ("sigma2_seed_item_inter_decode", "cost_training_item_sample", "gap", "items_max")
    )
    cost, design = [], []
    for sigma, costs, gap, most in zip(*target, strict=True):
        variance = plans.target_variance(gap, ALPHA, POWER)
        found = plans.cheapest(list(plans.designs(plans.Spreads(*sigma), plans.Costs(*costs), variance, most)))
        cost.append(found[0].cost if found else math.nan)
        design.append((found[0].seeds, found[0].items, found[0].samples) if found else [math.nan] * 3)
    check(case, {"cost": cost, "seeds_items_samples": design})


@pytest.mark.parametrize("case", [case for case in CASES if case == "humaneval"])
def test_counts_of_real_models(case):
    file = Path(SHARED) / "evals" / "humaneval_counts.csv"
    if not file.is_file():
        pytest.skip("no folder of shared files")
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    for row in csv.DictReader(file.read_text().splitlines()):
        counts.setdefault(row["model"], {})[row["item"]] = (int(row["samples"]), int(row["correct"]))
    numbers: dict[str, float] = {}
    shares = {}
    for model, by_item in counts.items():
        n, c = np.array([by_item[item] for item in sorted(by_item)]).T
        shares[model] = c / n
        numbers |= {
            f"{model}__mean": shares[model].mean(),
            f"{model}__se_items": math.sqrt(bars.over_items(shares[model], single_groups(len(n))).variance),
            f"{model}__pass_at_5": tries.one_of(n, c, 5).mean(),
            f"{model}__pass_hat_5": tries.all_of(n, c, 5).mean(),
            f"{model}__flip_within": tries.flips_within(n, c.astype(float)).mean(),
        }
    for name in EXPECTED[case]:
        b, minus, a = name.removeprefix("se__").partition("__minus__")
        if minus:
            d = shares[b] - shares[a]
            se = math.sqrt(bars.over_items(d, single_groups(len(d))).variance)
            numbers[name] = se if name.startswith("se__") else d.mean()
    check(case, numbers)


def test_every_expected_key_was_compared():
    left = {key for key in vectors.unread() if "__exp__" in key and key.partition("__")[0] not in OF_THE_GATE}
    if not (Path(SHARED) / "evals").is_dir():
        left = {key for key in left if not key.startswith("humaneval")}
    assert left == set()
