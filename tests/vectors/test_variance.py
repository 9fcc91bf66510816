"""The variance methods against the vectors: every case, size and parameter comes from the file."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import (
    RunStatistics,
    RunSums,
    best_seed_model,
    pair_deviations,
    plan_runs,
    plan_superiority,
    plan_variance,
    poisson_binomial_pmf,
    predicted_classes,
    two_group_tasks,
)

from .loading import Vectors

vectors = Vectors("variance")
CASES = sorted({key.partition("__")[0] for key in vectors})
EXPECTED = {
    case: [key.split("__exp__")[1] for key in sorted(vectors) if key.startswith(f"{case}__exp__")] for case in CASES
}

# Fixed by the specification (section 14.1) for packed cases and for the others.
GROUPS = {True: 20, False: 5}
PAIR_THRESHOLD = {True: 0.05, False: 0.10}
QUANTILES = ("ci_", "p_", "nu_", "df_", "t_")  # through chi-square, t or normal quantiles and quadratures


def has(case: str, *names: str) -> bool:
    return all(f"{case}__{name}" in vectors for name in names)


def assert_expected(case: str, name: str, actual) -> None:
    expected = vectors[f"{case}__exp__{name}"]
    if expected.dtype.kind == "U":
        assert str(actual) == str(expected), (case, name)
        return
    assert np.shape(actual) == expected.shape, (case, name)
    if expected.dtype.kind == "i":
        np.testing.assert_array_equal(np.asarray(actual), expected, err_msg=f"{case} {name}")
    else:
        rtol = 1e-6 if name.startswith(QUANTILES) else 1e-9
        actual = np.asarray(actual, np.float64)
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-13, equal_nan=True, err_msg=f"{case} {name}")


def unpacked(case: str) -> np.ndarray:
    bits = vectors[f"{case}__Xbits"]
    return np.unpackbits(bits, axis=1, count=int(vectors[f"{case}__shape"][1]))


def correctness(case: str) -> np.ndarray:
    return unpacked(case) if has(case, "Xbits") else vectors[f"{case}__X"]


MATRICES = [c for c in CASES if has(c, "Xbits") or (has(c, "X") and vectors[f"{c}__X"].ndim == 2)]
SPLIT_KEYS = {"all_split_cov", "mean_split_cov"}
SUMS = {"T1": "t1", "T2": "t2", "S2": "s2"}


def variance_of(case: str) -> dict:
    packed = has(case, "Xbits")
    forms = {}
    if has(case, "cluster"):
        forms["clusters"] = vectors[f"{case}__cluster"]
    if has(case, "weights"):
        forms["weights"] = vectors[f"{case}__weights"]
    result = rs.variance(
        correct=correctness(case), groups=GROUPS[packed], pair_threshold=PAIR_THRESHOLD[packed], pairs="all", **forms
    )
    return result.to_dict()


@pytest.mark.parametrize("case", MATRICES)
def test_decomposition(case):
    found = variance_of(case)
    for name in EXPECTED[case]:
        if name not in SPLIT_KEYS and name not in SUMS:
            assert_expected(case, name, found[name])


@pytest.mark.parametrize("case", [c for c in MATRICES if set(EXPECTED[c]) >= SPLIT_KEYS])
def test_mean_over_all_balanced_splits(case):
    matrix = correctness(case)
    examples = matrix.shape[1]
    covariances = []
    for half in itertools.combinations(range(examples), examples // 2):
        first = np.isin(np.arange(examples), half)
        covariances.append(rs.variance(correct=matrix, first_half=first, pairs="none").halves.covariance)
    assert_expected(case, "all_split_cov", covariances)
    assert_expected(case, "mean_split_cov", np.mean(covariances))
    assert np.mean(covariances) == pytest.approx(rs.variance(correct=matrix).var_dist, rel=1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "Xbits")])
def test_streamed_in_parts(case):
    runs, examples = (int(value) for value in vectors[f"{case}__shape"])
    bits = vectors[f"{case}__Xbits"]
    rng = np.random.default_rng(0)
    edges = np.unique(np.concatenate([[0, runs], rng.integers(1, runs, 13)]))
    parts = []
    for start, stop in rng.permutation(list(itertools.pairwise(edges.tolist()))):
        part = RunStatistics(n_examples=examples, n_runs=runs, groups=GROUPS[True])
        part.update_correct(bits[start:stop], start=int(start), packed=True)
        parts.append(part)
    total = parts[0]
    for part in parts[1:]:
        total.merge(part)
    found = rs.variance(total).to_dict()
    for name in EXPECTED[case]:
        if name in SUMS:
            assert_expected(case, name, getattr(total.sums, SUMS[name]))
        elif not name.startswith("pair_dev"):
            assert_expected(case, name, found[name])


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "T1", "T2", "S2", "R", "n")])
def test_from_sums_alone(case):
    names = ("R", "n", "T1", "T2", "S2")
    rows = zip(*(vectors[f"{case}__{name}"] for name in names), strict=True)
    found = [RunSums(*(int(value) for value in row)) for row in rows]
    for name in ("var_test", "var_ind", "var_dist"):
        assert_expected(case, name, [float(getattr(sums, name)) for sums in found])
    numerators, denominators = (vectors[f"{case}__exp__var_dist_{part}"] for part in ("num", "den"))
    expected = [Fraction(int(a), int(b)) for a, b in zip(numerators, denominators, strict=True)]
    assert [sums.var_dist for sums in found] == expected


@pytest.mark.parametrize("case", [c for c in CASES if "pmf" in EXPECTED[c]])
def test_poisson_binomial(case):
    pmf = poisson_binomial_pmf(vectors[f"{case}__p"])
    counts = np.arange(len(pmf))
    assert_expected(case, "pmf", pmf)
    assert_expected(case, "mean", pmf @ counts)
    assert_expected(case, "var", pmf @ (counts - pmf @ counts) ** 2)


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "Z")])
def test_predicted_classes(case):
    logits, broken = vectors[f"{case}__Z"], vectors[f"{case}__Znan"]
    assert_expected(case, "pred", predicted_classes(logits))
    assert_expected(case, "pred_nan_as_abstain", predicted_classes(broken, nan="abstain"))
    with pytest.raises(InputError, match="NaN"):
        predicted_classes(broken)


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "counts") and "dev" in EXPECTED[c]])
def test_published_pair(case):
    runs, first, second, both = (int(value) for value in vectors[f"{case}__counts"])
    only_first, only_second = first - both, second - both
    pattern = [(1, 1)] * both + [(1, 0)] * only_first + [(0, 1)] * only_second
    pattern += [(0, 0)] * (runs - len(pattern))
    found = pair_deviations(correct=np.array(pattern, np.uint8))
    for name in ("dev", "se", "z"):
        assert_expected(case, name, getattr(found, f"pair_{name}" if name == "dev" else f"pair_dev_{name}"))


def classes_of(case: str) -> int | None:
    return int(vectors[f"{case}__K"]) if has(case, "K") else None


PREDICTED = [c for c in CASES if has(c, "P", "y")]


@pytest.mark.parametrize("case", PREDICTED)
def test_calibration(case):
    result = rs.calibration(vectors[f"{case}__P"], vectors[f"{case}__y"], n_classes=classes_of(case))
    found = result.to_dict()
    for name in EXPECTED[case]:
        assert_expected(case, name, found[name])
    # the gap of the plug-in disagreement, pairs of a run with itself included, is at most the exact error
    plug_in = result.disagreement.rate * (result.n_runs - 1) / result.n_runs
    assert abs(plug_in - result.err) <= result.errors.cace_exact + 1e-12
    assert result.measured.var_ind == pytest.approx(
        result.disagreement.correctness / (2 * result.n_examples), rel=1e-12
    )


TASK_KEYS = {"err", "var_test", "var_ind", "var_dist"}


@pytest.mark.parametrize("case", [c for c in CASES if "err" in EXPECTED[c] and not has(c, "P")])
def test_two_group_tasks(case):
    """The case has no inputs of its own: it uses the predictions whose classes make as many tasks."""
    assert set(EXPECTED[case]) == TASK_KEYS
    count = len(vectors[f"{case}__exp__err"])
    candidates = (c for c in PREDICTED if "var_test" in EXPECTED[c])
    results = [two_group_tasks(vectors[f"{c}__P"], vectors[f"{c}__y"], n_classes=classes_of(c)) for c in candidates]
    (result,) = [result for result in results if len(result.mask) == count]
    for name in EXPECTED[case]:
        assert_expected(case, name, getattr(result, name))


@pytest.mark.parametrize("case", [c for c in PREDICTED if "var_test" in EXPECTED[c]])
def test_two_group_tasks_from_a_stream(case):
    predicted, labels, n_classes = vectors[f"{case}__P"], vectors[f"{case}__y"], classes_of(case)
    parts = [RunStatistics(labels, n_classes=n_classes, keep_confusion=True) for _ in range(2)]
    parts[0].update(predicted[:7])
    for row in predicted[7:]:
        parts[1].update(row[None])
    parts[0].merge(parts[1])
    assert two_group_tasks(parts[0]).to_json() == two_group_tasks(predicted, labels, n_classes=n_classes).to_json()


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "XA", "XB")])
def test_comparison(case):
    found = rs.compare(correct=(vectors[f"{case}__XA"], vectors[f"{case}__XB"])).to_dict()
    for name in EXPECTED[case]:
        assert_expected(case, name, found[name])


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "X") and vectors[f"{c}__X"].ndim == 4])
def test_crossed_sources(case):
    matrix = vectors[f"{case}__X"]
    levels = matrix.shape[:3]
    order = np.random.default_rng(0).permutation(int(np.prod(levels)))
    seeds = np.stack(np.unravel_index(order, levels), axis=1)
    flat = matrix.reshape(-1, matrix.shape[3])[order]
    for result in (rs.sources(correct=matrix), rs.sources(correct=flat, seeds=seeds)):
        found = result.to_dict()
        for name in EXPECTED[case]:
            assert_expected(case, name, found[name])


PLANS = [c for c in CASES if has(c, "VA", "VB", "delta", "tau2", "n")]


@pytest.mark.parametrize("case", PLANS)
def test_plan_runs(case):
    names = ("VA", "VB", "delta", "tau2", "n", "alpha", "power")
    columns = {name: vectors[f"{case}__{name}"] for name in names}
    plans = [
        plan_runs(
            row["delta"],
            variance=row["VA"],
            variance_b=row["VB"],
            tau2=row["tau2"],
            n_examples=row["n"],
            alpha=row["alpha"],
            power=row["power"],
        )
        for row in ({name: column[i].item() for name, column in columns.items()} for i in range(len(columns["VA"])))
    ]
    for name in EXPECTED[case]:
        assert_expected(case, name, [getattr(plan, name) for plan in plans])


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "rho")])
def test_plan_variance(case):
    rows = zip(*(vectors[f"{case}__{name}"].tolist() for name in ("rho", "alpha", "power")), strict=True)
    assert_expected(case, "runs", [plan_variance(rho, alpha=alpha, power=power) for rho, alpha, power in rows])


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "gamma")])
def test_plan_superiority(case):
    rows = zip(*(vectors[f"{case}__{name}"].tolist() for name in ("gamma", "alpha", "power")), strict=True)
    found = [plan_superiority(gamma, alpha=alpha, power=power, preset="paper") for gamma, alpha, power in rows]
    assert_expected(case, "runs", found)


@pytest.mark.parametrize("case", [c for c in CASES if has(c, "N", "lam")])
def test_selection_model(case):
    pairs = zip(vectors[f"{case}__lam"].tolist(), vectors[f"{case}__N"].tolist(), strict=True)
    models = [best_seed_model(1.0, lam, [count]) for lam, count in pairs]
    for name in EXPECTED[case]:
        assert_expected(case, name, [getattr(model, name)[0] for model in models])


def test_every_expected_key_was_read():
    """Runs last: it fails when a case of the file fits none of the patterns above."""
    unread = {key for key in vectors.unread() if "__exp__" in key}
    assert not unread
