"""Corpora with planted answers, identities, tests that keep their level, tables from everywhere, and studies."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods import Table
from runspread.methods._statistics import holm_adjusted
from runspread.methods.corpus import grid_scores
from runspread.methods.corpus.associations import association, split_associations
from runspread.methods.corpus.resampling import resampled
from runspread.methods.spectra import StudySpectra, study_spectra


def planted(kind: str, seed: int = 0, n: int = 16) -> dict[str, list]:
    """Three depths of `n` models whose metric is planted to be of one verdict."""
    rng = np.random.default_rng(seed)
    depth = np.repeat([1, 2, 4], n)
    inner, other, step = rng.normal(size=3 * n), rng.normal(size=3 * n), np.repeat([0.0, 3.0, 6.0], n)
    metric, target = {
        "reversal": (inner + 2 * step, step - inner),
        "masked": (inner + np.repeat([0.0, 6.0, 0.0], n), inner + np.repeat([0.0, 0.0, 6.0], n)),
        "aggregate_only": (other + 2 * step, step + inner),
        "consistent": (inner, inner),
        "none": (inner, other),
    }[kind]
    noise = 0.3 * rng.normal(size=3 * n)
    return {"run": [f"r{k}" for k in range(3 * n)], "depth": depth, "test_accuracy": target + noise, "metric": metric}


@pytest.mark.parametrize("kind", ["reversal", "masked", "aggregate_only", "consistent", "none"])
def test_planted_verdicts(kind):
    analysis = rs.paradox(planted(kind, seed=1), n_resamples=500)
    assert analysis["metric"].verdict == kind
    assert kind.replace("_", " ") in analysis.sentence()
    assert "not a cause" in analysis["metric"].sentence()
    assert len(analysis["metric"].table()) == 4


def test_small_partitions_do_not_vote():
    table = planted("reversal", n=5)
    analysis = rs.paradox(table, n_resamples=500)
    assert analysis["metric"].verdict != "reversal"
    assert any("fewer than 6" in note for note in analysis.warnings)


@pytest.mark.parametrize("value", [0.1, 0.8, 1 / 3, 3.0])
def test_constant_columns_have_no_association_whatever_their_rounding(value):
    """Rounding leaves 1e-17 of seven times 0.1 less their mean: a spread, and a correlation with anything."""
    x, y = np.full(7, value), np.arange(7.0) ** 2
    assert np.isnan([association(x, y).pearson, association(x, y).slope, association(y, x).pearson]).all()
    inside = split_associations(np.repeat([value, 7 * value, 3 * value], 7), np.tile(y, 3), np.repeat([0, 1, 2], 7))
    assert np.isnan([inside.slope_within, inside.r2_within]).all()
    assert inside.weight_within == 0


def test_against_scipy():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 8, 40).astype(float), rng.integers(0, 8, 40).astype(float)
    found = association(x, y)
    assert found.tau_b == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    line = stats.linregress(x, y)
    assert (found.slope, found.intercept, found.pearson) == pytest.approx((line.slope, line.intercept, line.rvalue))
    assert found.rmse == pytest.approx(np.sqrt(np.mean((y - line.intercept - line.slope * x) ** 2)))


def test_within_slope_is_that_with_dummies():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 4, 50)
    x, y = rng.normal(size=50) + groups, rng.normal(size=50) - groups
    design = np.column_stack([x, *(groups == g for g in range(4))]).astype(float)
    coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
    found = split_associations(x, y, groups)
    assert found.slope_within == pytest.approx(coefficients[0])
    total = found.pair_weight * found.tau_within + (1 - found.pair_weight) * found.tau_between
    assert total == pytest.approx(association(x, y).tau_a, abs=1e-12)
    slopes = found.weight_within * found.slope_within + (1 - found.weight_within) * found.slope_between
    assert slopes == pytest.approx(found.slope_all, abs=1e-12)


def test_one_partition_and_constant_metrics():
    x = np.arange(10.0)
    alone = split_associations(x, x**2, np.zeros(10, dtype=int))
    assert (alone.tau_within, alone.pair_weight) == (1, 1)
    assert np.isnan(alone.tau_between)
    analysis = rs.paradox({"depth": [1] * 10, "test_accuracy": x, "a": x, "b": [1.0] * 10}, ["a", "b"], n_resamples=50)
    assert analysis["b"].verdict == "none"
    assert np.isnan(analysis["b"].overall.tau_b)
    assert any("share one depth" in note for note in analysis.warnings)


def test_holm():
    found = holm_adjusted(np.array([0.01, 0.04, np.nan, 0.03]))
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06])


@pytest.mark.slow
def test_permutation_tests_keep_their_level():
    """Under no association, both p-values fall below 0.05 in about 5 % of corpora, whatever the partitions do."""
    rng = np.random.default_rng(3)
    low = np.zeros(2)
    for _ in range(400):
        groups = np.repeat([0, 1, 2], 8)
        x, y = rng.normal(size=24), rng.normal(size=24) + groups
        found = resampled(x, y, groups, n_resamples=200, level=0.95, rng=rng)
        low += [found.p_all < 0.05, found.p_within < 0.05]
    assert all(stats.binomtest(int(count), 400, 0.05).pvalue > 0.001 for count in low)


@pytest.mark.slow
def test_bootstrap_interval_of_the_inside_correlation_covers():
    """Bivariate normal inside each partition: tau is 2/pi arcsin(rho)."""
    rng = np.random.default_rng(4)
    truth, groups, covered = 2 / np.pi * np.arcsin(0.5), np.repeat([0, 1, 2], 20), 0
    for _ in range(200):
        x = rng.normal(size=60)
        y = 0.5 * x + np.sqrt(0.75) * rng.normal(size=60) - 5 * groups
        low, high = resampled(x + groups, y, groups, n_resamples=400, level=0.95, rng=rng).tau_within_interval
        covered += low <= truth <= high
    assert 0.88 <= covered / 200 <= 1


def test_missing_rows_are_named():
    table = planted("consistent")
    table["test_accuracy"] = [None if k == 0 else v for k, v in enumerate(table["test_accuracy"])]
    table["depth"] = [None if k == 1 else v for k, v in enumerate(table["depth"])]
    table["metric"] = [np.nan if k == 2 else v for k, v in enumerate(table["metric"])]
    analysis = rs.paradox(table, n_resamples=20)
    assert {(e.run, e.reason) for e in analysis.excluded} == {
        ("r0", "no finite test_accuracy"), ("r1", "no depth"),
    }  # fmt: skip
    assert [e.run for e in analysis["metric"].excluded] == ["r2"]
    assert analysis.n == 46
    assert analysis["metric"].overall.n == 45


@pytest.mark.parametrize("kind", ["mapping", "table", "frame", "rows", "csv", "tsv", "parquet"])
def test_tables_from_everywhere(tmp_path, kind):
    columns = {name: list(column) for name, column in planted("reversal").items()}
    frame = pd.DataFrame(columns)
    source = {
        "mapping": lambda: columns,
        "table": lambda: Table(columns),
        "frame": lambda: frame,
        "rows": lambda: frame.to_dict("records"),
        "csv": lambda: frame.to_csv(tmp_path / "t.csv", index=False) or tmp_path / "t.csv",
        "tsv": lambda: frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t") or str(tmp_path / "t.tsv"),
        "parquet": lambda: frame.to_parquet(tmp_path / "t.parquet") or tmp_path / "t.parquet",
    }[kind]()
    analysis = rs.paradox(source, n_resamples=50)
    assert [one.metric for one in analysis.analyses] == ["metric"]
    assert analysis["metric"].overall.tau_b == pytest.approx(
        rs.paradox(columns, n_resamples=50)["metric"].overall.tau_b
    )
    assert list(analysis["metric"].partitions) == ["1", "2", "4"]


def test_results_do_not_depend_on_the_other_metrics():
    table = planted("consistent")
    alone = rs.paradox(table, "metric", n_resamples=100, seed=1)["metric"]
    beside = rs.paradox(table | {"other": table["metric"][::-1]}, n_resamples=100, seed=1)["metric"]
    assert alone.tests == beside.tests


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"target": "accuracy"},
            "^the table has no column 'accuracy'. Expected one of run, depth, test_accuracy, metric. "
            "Did you mean 'test_accuracy'[?]$",
        ),
        ({"partition": "depths"}, "no column 'depths'"),
        ({"metrics": "run"}, "numbers"),
        ({"n_resamples": 0}, "a whole number from 1"),
        ({"spectra_options": {"mp_fit": True}}, "studies alone"),
    ],
)
def test_bad_questions_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        rs.paradox(planted("none"), **change)


def test_bad_tables_are_refused(tmp_path):
    unequal = {"a": [1], "b": []}
    for source, message in (
        (3, "the table has type int"),
        ({}, "has no rows"),
        (tmp_path / "no.csv", "does not exist"),
        (unequal, "length"),
    ):
        with pytest.raises(InputError, match=message):
            rs.paradox(source)
    (tmp_path / "t.xlsx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"\.csv"):
        rs.paradox(tmp_path / "t.xlsx")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(InputError, match=r"row 2 of .* has 1 cells"):
        rs.paradox(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("depth;m;test_accuracy\n1;2;0,5\n")
    with pytest.raises(InputError, match=r"holds a single column.*separated by commas.*separated by ';'"):
        rs.paradox(tmp_path / "t.csv")
    (tmp_path / "t.tsv").write_text("depth,m\n1,2\n")
    with pytest.raises(InputError, match=r"separated by tabs.*separated by ','"):
        rs.paradox(tmp_path / "t.tsv")
    with pytest.raises(InputError, match="at least 3"):
        rs.paradox({"depth": [1, 1], "test_accuracy": [0.1, 0.2], "m": [1, 2]})


def test_grid_scores_of_a_perfect_metric():
    grid = [(w, d, b) for w in (1, 2, 3) for d in (0, 1) for b in ("a", "b")]
    gap = np.random.default_rng(0).permutation(len(grid)) / 10
    columns = dict(zip(("width", "decay", "batch"), map(list, zip(*grid, strict=True)), strict=True))
    perfect = grid_scores(gap, gap, columns | {"constant": [1] * len(grid)})
    assert perfect.axes == ("width", "decay", "batch")
    assert perfect.Psi == 1
    assert grid_scores(-gap, gap, columns).Psi == -1
    assert perfect.score == pytest.approx(1, abs=1e-9)
    holes = grid_scores(gap[:-1], gap[:-1], {name: column[:-1] for name, column in columns.items()})
    assert np.isfinite(holes.Psi)
    hole = {"a": ["x", "x", "y"], "b": ["u", "v", "u"]}
    assert np.isnan(grid_scores([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], hole).score)
    with pytest.raises(InputError, match="more than one value"):
        grid_scores([1.0, 2.0], [1.0, 2.0], {"a": [1, 1]})


def test_grid_scores_reach_the_analysis():
    rng = np.random.default_rng(0)
    rows = [(d, w, b) for d in (1, 2) for w in (64, 128, 256) for b in (16, 64)]
    depth, width, batch = map(list, zip(*rows, strict=True))
    accuracy = rng.normal(size=len(rows))
    table = {"depth": depth, "width": width, "batch": batch, "test_accuracy": accuracy, "m": accuracy}
    analysis = rs.paradox(table, hyperparameters=["depth", "width", "batch"], n_resamples=20)
    assert [one.metric for one in analysis.analyses] == ["m"]
    assert analysis["m"].grid.Psi == -1  # it falls where the gap rises
    assert analysis.table()["Psi"] == [-1]


# --------------------------------------------------------------- studies


@pytest.fixture
def study(tmp_path):
    """Eight runs of two widths with weights at two steps, one of them diverged, one without weights."""
    labels = np.arange(20) % 4
    made = rs.create_study(tmp_path / "s", splits={"test": labels})
    rng = np.random.default_rng(0)
    for seed in range(10):
        width = 60 if seed % 2 else 64
        with made.record(seeds=rs.Seeds(init=seed, order=seed, augment=seed), hyperparameters={"width": width}) as run:
            if seed == 8:
                run.diverged("loss is NaN")
                continue
            run.predictions("test", rng.normal(size=(20, 4)))
            if seed == 9:
                continue
            for step, strength in ((10, 0.0), (None, 0.8)):
                weight = rng.normal(size=(80, width)) * np.arange(1, width + 1) ** -strength
                run.weights({"fc.weight": weight.astype(np.float32), "fc.bias": np.zeros(80, np.float32)}, step)
    return made


def test_spectra_of_a_study(study):
    found = rs.spectra(study)
    assert len(found.runs) == 8
    assert {e.reason for e in found.excluded} == {"diverged", "no weights"}
    assert found.values("alpha").shape == (8, 1)
    one = rs.spectra(study.weights(found.runs[3]))
    assert found.values("alpha")[3, 0] == one.means["alpha"]
    assert found.values("fc.weight/alpha")[3, 0] == one["fc.weight"]["alpha"]
    assert "Excluded: 2 runs" in found.sentence()
    assert json.loads(found.to_json())["steps"] == [None]


def test_differences_between_checkpoints_against_seed_noise(study):
    found = study_spectra(study, steps="all", workers=1)
    assert found.steps == (10, None)
    change = found.difference("alpha", 10, None)
    values = found.values("alpha")
    assert change.difference == pytest.approx(np.mean(values[:, 1] - values[:, 0]))
    test = stats.ttest_rel(values[:, 1], values[:, 0])
    assert change.interval == pytest.approx(tuple(test.confidence_interval()))
    assert change.p_value == pytest.approx(test.pvalue)
    assert "more than seed noise" in change.sentence()
    groups = np.array([k % 2 for k in range(8)])
    pooled = np.sqrt(np.mean([np.var(values[groups == g, 1], ddof=1) for g in (0, 1)]))
    assert found.seed_sd("alpha")[1] == pytest.approx(pooled)
    near = found.compare("alpha", 3.0, 3.0 + 0.1 * pooled)
    far = found.compare("alpha", 3.0, 3.0 + 10 * pooled)
    assert near.p_value > 0.5
    assert far.p_value < 0.01
    assert "not shown" in near.sentence()
    with pytest.raises(InputError, match="step 5"):
        found.difference("alpha", 5, None)
    with pytest.raises(InputError, match="weights at step 77"):
        study_spectra(study, steps=[77])


def test_spread_over_seeds_that_is_not_known_is_said():
    values = {"alpha": np.arange(6.0).reshape(3, 2)}
    found = StudySpectra(
        source="s", runs=("a", "b", "c"), steps=(1, None), metrics=values, hyperparameters={"lr": [1, 2, 3]}
    )
    assert "3.00 (1.00 to 5.00). No two runs differ in seeds alone" in found.sentence()
    assert "needs runs of one configuration" in found.difference("alpha", 1, None).sentence()


def changed(changes):
    """A study whose runs' metric changes by these from step 1 to the end."""
    values = np.stack([np.zeros(len(changes)), changes], axis=1)
    names = tuple(f"r{run}" for run in range(len(changes)))
    return StudySpectra(source="s", runs=names, steps=(1, None), metrics={"alpha": values}).difference("alpha", 1, None)


@pytest.mark.parametrize("runs", [2, 3, 4, 5, 8, 20])
def test_the_test_of_a_change_and_its_interval_agree(runs):
    """Sign flips of five runs or fewer have no p below 0.05: an interval of 0.9 to 1.1 was "not shown"."""
    rng = np.random.default_rng([6, runs])
    for size in (0.0, 0.5, 1.0, 3.0, 30.0):
        found = changed(size + rng.normal(size=runs))
        low, high = found.interval
        assert (found.p_value < 0.05) == (low > 0 or high < 0)
        assert (found.verdict == "undecided") == ("not shown to be" in found.sentence())
        assert found.to_dict()["verdict"] == found.verdict
    clear = changed(1 + 0.001 * rng.normal(size=runs))
    assert clear.verdict == "more"
    assert ": more than seed noise" in clear.sentence()
    assert changed(-1 + 0.001 * rng.normal(size=runs)).verdict == "less"


@pytest.mark.parametrize("change", [0.0, 0.1])
def test_a_change_that_is_the_same_in_all_runs_has_no_test(change):
    found = changed(np.full(3, change))
    assert np.isnan(found.p_value)
    assert found.verdict == "undecided"
    assert "in all 3 runs alike" in found.sentence()
    assert found.plot() is not None
    assert "nan" not in found.sentence()


def test_comparison_keeps_its_level():
    """Two models that differ by chance alone differ 'significantly' in about 5 % of cases."""
    rng = np.random.default_rng(5)
    low = 0
    for _ in range(2000):
        values = rng.normal(size=(8, 1))
        spread = StudySpectra(source="s", runs=tuple("abcdefgh"), steps=(None,), metrics={"alpha": values})
        first, second = rng.normal(size=2)
        low += spread.compare("alpha", first, second).p_value < 0.05
    assert stats.binomtest(low, 2000, 0.05).pvalue > 0.001


def test_paradox_of_studies(study):
    analysis = rs.paradox(study, ["alpha", "log_norm"], partition="width", n_resamples=20)
    assert analysis.n == 8
    assert list(analysis["alpha"].partitions) == ["60", "64"]
    everything = rs.paradox([study, rs.spectra(study)], partition="study", n_resamples=20)
    assert everything.n == 8  # the same runs twice are the same models
    assert len(everything.excluded) == 8
    assert {"alpha", "stable_rank", "entropy"} <= {one.metric for one in everything.analyses}
    assert "width" not in {one.metric for one in everything.analyses}


def test_a_study_without_weights_says_how_to_record_them(tmp_path):
    made = rs.create_study(tmp_path / "s", splits={"test": np.arange(4)})
    with made.record(seeds=1) as run:
        run.predictions("test", np.eye(4))
    with pytest.raises(InputError, match="Record them"):
        rs.spectra(made)
    with pytest.raises(InputError, match="Did you mean"):
        rs.spectra(made, mp_fits=True)


# --------------------------------------------------------------- verdicts that claim no more than was shown


def follows_depth(seed: int, metrics: int, r: float = 0.0, groups: int = 4, n: int = 10) -> dict[str, np.ndarray]:
    """Models whose metrics follow depth, and the target inside it with correlation r."""
    rng = np.random.default_rng(seed)
    depth = np.repeat(np.arange(groups), n)
    inner = rng.normal(size=groups * n)
    noise = rng.normal(size=(metrics, groups * n))
    values = -2 * depth + r * inner + np.sqrt(1 - r * r) * noise
    return {"depth": depth, "test_accuracy": inner + 1.5 * depth} | {f"m{k}": row for k, row in enumerate(values)}


def test_metrics_that_follow_depth_alone_are_no_reversal():
    wrong = sum(
        any(one.verdict == "reversal" for one in rs.paradox(follows_depth(seed, 20)).analyses) for seed in range(8)
    )
    assert wrong <= 1  # at most 5 % of tables; the uncorrected share found 42 %


def test_absence_of_a_significant_association_is_not_aggregate_only():
    tables = [follows_depth(seed, 1, r=0.5, groups=3, n=6) for seed in range(40)]
    verdicts = [rs.paradox(table, n_resamples=200)["m0"].verdict for table in tables]
    assert verdicts.count("aggregate_only") <= 2
    assert verdicts.count("not_shown_inside") > 10


def test_an_equivalence_that_is_shown_is_aggregate_only():
    found = rs.paradox(follows_depth(0, 1, groups=4, n=40))["m0"]
    assert found.verdict == "aggregate_only"
    low, high = found.tests.tau_within_interval
    assert -0.3 < low < high < 0.3
    constant = rs.paradox({"depth": [1] * 8 + [2] * 8, "m": [1.0] * 8 + [2.0] * 8, "test_accuracy": np.arange(16.0)})
    assert constant["m"].verdict == "aggregate_only"


def test_ties_do_not_make_a_metric_look_negligible():
    table = follows_depth(3, 1, r=0.6, n=40)
    table["test_accuracy"] = np.round(table["test_accuracy"] / 2)
    assert rs.paradox(table, n_resamples=200)["m0"].verdict != "aggregate_only"


def test_a_hundred_metrics_get_permutations_enough_to_be_judged():
    table = follows_depth(1, 99, n=5) | {"good": follows_depth(1, 1, n=5)["test_accuracy"]}
    found = rs.paradox(table)
    assert found["good"].verdict == "consistent"
    assert found.n_resamples == 10_000
    few = rs.paradox(table, n_resamples=500)
    assert few["good"].verdict == "none"
    assert any("Use at least 2000 permutations" in note for note in few.warnings)


def test_two_columns_of_one_name_are_refused(tmp_path):
    frame = pd.DataFrame([[1, 0.1, 2.0, 3.0]] * 4, columns=["depth", "test_accuracy", "m", "m"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    for source in (frame, tmp_path / "t.csv"):
        with pytest.raises(InputError, match=r"2 columns named 'm'.*Rename"):
            rs.paradox(source)


@pytest.mark.parametrize("named", [True, False])
def test_rows_exported_twice_count_once_and_are_named(named):
    table = planted("consistent")
    if not named:
        del table["run"]
    twice = {name: [*column, *column] for name, column in table.items()}
    once, again = rs.paradox(table, n_resamples=200), rs.paradox(twice, n_resamples=200)
    assert again["metric"].p_within == once["metric"].p_within
    assert again.n == once.n == 48
    assert len(again.excluded) == 48
    assert again.excluded[0].reason == "row 49 is row 1 again"
    assert any("48 rows of the table stood there before" in note for note in again.warnings)


def test_models_with_equal_numbers_are_named():
    table = planted("consistent") | {"other": list(np.random.default_rng(0).normal(size=48))}
    for column in table.values():
        column[5] = column[5] if column is table["run"] else column[4]
    assert any("r4 and r5" in note for note in rs.paradox(table, n_resamples=50).warnings)


def test_the_normal_approximation_agrees_with_permutations():
    from runspread.methods.corpus import resampling

    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(5), 50)
    x = rng.integers(0, 30, 250) + 0.0
    y = np.round(0.12 * x / 8 + rng.normal(size=250), 1)
    exact = resampled(x, y, groups, n_resamples=4000, level=0.95, rng=rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "MATRIX", 10)
        normal = resampled(x, y, groups, n_resamples=4000, level=0.95, rng=rng)
    assert normal.n_resamples == 0
    assert normal.p_all == pytest.approx(exact.p_all, abs=0.02)
    assert normal.p_within == pytest.approx(exact.p_within, abs=0.02)


@pytest.mark.parametrize("n", [1, 2, 7, 257, 1000])
@pytest.mark.parametrize("values", [4, 10**6])
def test_pairs_by_merging_are_those_by_the_matrix_of_signs(n, values, monkeypatch):
    from runspread.methods.corpus import kendall

    rng = np.random.default_rng(n)
    x, y = rng.integers(0, values, size=(2, n)).astype(float)
    monkeypatch.setattr(kendall, "MATRIX", 0)
    merged = kendall.pairs_of(x, y).balance
    monkeypatch.setattr(kendall, "MATRIX", n)
    np.testing.assert_array_equal(merged, kendall.pairs_of(x, y).balance)


def test_variance_of_kendalls_sum_over_all_orders():
    from itertools import permutations

    from runspread.methods.corpus.kendall import balance_variance, pairs_of

    x, y = np.array([1.0, 1, 2, 3, 3, 3]), np.array([1.0, 2, 2, 3, 4, 4])
    sums = [pairs_of(x, np.array(order)).balance.sum() for order in permutations(y)]
    assert balance_variance(x, y) == pytest.approx(np.var(sums))


def test_ten_thousand_models_take_seconds():
    import time

    table = follows_depth(0, 2, r=0.3, groups=5, n=2000)
    start = time.process_time()
    assert rs.paradox(table)["m0"].verdict == "reversal"
    assert time.process_time() - start < 20  # ten metrics take about 3 s; the matrix of signs would take hours


def test_a_fine_grid_has_the_scores_of_a_coarse_count(monkeypatch):
    from runspread.methods.corpus import granulated as module

    rng = np.random.default_rng(4)
    columns = {"a": list(np.arange(72) % 3), "b": list(np.arange(72) // 3 % 4), "c": list(np.arange(72) // 36)}
    metric, gap = rng.normal(size=(2, 72)).round(1)
    once = grid_scores(metric, gap, columns).information
    monkeypatch.setattr(module, "_CELLS", 1)
    monkeypatch.setattr(module, "_PAIRS", 500)
    np.testing.assert_array_equal(grid_scores(metric, gap, columns).information, once)
    every = {"a": list(range(72)), "b": list(range(72))}
    assert np.isnan(grid_scores(metric, gap, every).score)


def test_ties_by_rounding_are_ties():
    """Differences of accuracies with few decimals: 0.93 - 0.92 and 0.92 - 0.91 are equal, whatever the processor."""
    rng = np.random.default_rng(0)
    train, test = rng.integers(80, 99, 60), rng.integers(60, 99, 60)
    exact, rounded = (train - test) / 100, train / 100 - test / 100
    metric, columns = rng.normal(size=60), {"a": list(np.arange(60) % 3), "b": list(np.arange(60) % 2)}
    first, second = (grid_scores(metric, gap, columns) for gap in (exact, rounded))
    np.testing.assert_array_equal(first.psi, second.psi)
    assert first.score == second.score
    assert association(metric, exact).tau_b == association(metric, rounded).tau_b


def _models(n=24, seed=1):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    return {
        "model": [f"m{i}" for i in range(n)],
        "depth": [1 + i % 4 for i in range(n)],
        "a": a.tolist(),
        "b": b.tolist(),
        "acc": (0.35 * a + rng.normal(size=n)).tolist(),
    }


@pytest.mark.parametrize("number", ["Unnamed: 0", "", "index"])
def test_rows_exported_twice_with_row_numbers_count_once(number):
    once = _models()
    twice = {number: list(range(48)), **{name: column + column for name, column in once.items()}}
    found = rs.paradox(twice, target="acc", partition="depth")
    assert found.n == 24  # 48 before, and "consistent: a" at half the p-value
    assert [one.metric for one in found.analyses] == ["a", "b"]
    assert [one.p_all for one in found.analyses] == [
        one.p_all for one in rs.paradox(once, target="acc", partition="depth").analyses
    ]
    assert any("24 rows" in note for note in found.warnings)
    assert any("it numbers the rows" in note for note in found.warnings)


def test_a_row_that_differs_in_a_column_that_is_not_judged_is_the_same_model():
    once = _models()
    twice = {**{name: column + column for name, column in once.items()}, "exported": ["May"] * 24 + ["June"] * 24}
    assert rs.paradox(twice, metrics=["a", "b"], target="acc", partition="depth").n == 24


def test_columns_that_are_not_judged_are_named_with_the_reason():
    table = {
        **_models(),
        "c": [1.0] * 24,
        "empty": [None] * 24,
        "cell": [*range(23), "n/a"],
        "few": [1.0, 2.0, *[None] * 22],
    }
    note = next(note for note in rs.paradox(table, target="acc", partition="depth").warnings if "not judged" in note)
    assert "c (the same in every row), empty (it is empty), cell (it holds 'n/a')" in note
    assert "few (fewer than 3 finite numbers)" in note  # ended the whole analysis before


def test_whole_numbers_of_numpy_are_a_metric():
    table = {**_models(), "width": np.arange(24) % 7}
    assert "width" in [one.metric for one in rs.paradox(table, target="acc", partition="depth").analyses]


def test_models_without_a_value_are_counted_where_the_metric_is_judged():
    table = _models()
    table["a"][3] = float("inf")
    found = rs.paradox(table, target="acc", partition="depth")
    assert "Judged without the models that have no finite value: a by 1 model." in found.warnings


def test_models_of_equal_quality_are_refused():
    with pytest.raises(InputError, match="acc is 1 for all 24 models"):
        rs.paradox({**_models(), "acc": [1.0] * 24}, target="acc", partition="depth")


def test_inside_one_partition_is_overall():
    for seed in range(12):
        table = {**_models(20, seed), "depth": [1] * 20}
        for one in rs.paradox(table, target="acc", partition="depth", n_resamples=200).analyses:
            assert one.p_all == one.p_within  # 0.055 and 0.040: "masked" in 1 of 60 tables before
            assert one.verdict in ("none", "consistent")


def test_partitions_of_one_model_each_say_nothing_of_the_inside():
    found = rs.paradox({**_models(), "depth": list(range(24))}, target="acc", partition="depth")
    assert any("No two models share a depth" in note for note in found.warnings)
    assert not any("do not vote" in note for note in found.warnings)


def test_the_order_of_the_rows_changes_nothing():
    table = _models(40, seed=2)
    order = np.random.default_rng(0).permutation(40)
    turned = {name: [column[row] for row in order] for name, column in table.items()}
    first, second = (rs.paradox(rows, target="acc", partition="depth") for rows in (table, turned))
    for a, b in zip(first.analyses, second.analyses, strict=True):
        assert (a.p_all, a.p_within, a.verdict) == (b.p_all, b.p_within, b.verdict)  # 0.176 and 0.168 before
        assert a.tests.p_opposite == pytest.approx(b.tests.p_opposite)


def test_memory_does_not_grow_with_the_square_of_the_models():
    """Signs of all pairs of 66,667 models took 33 GiB; of these 6,000, 144 MB."""
    import tracemalloc

    rng = np.random.default_rng(0)
    quality = rng.normal(size=6000)
    table = {"depth": rng.integers(0, 4, 6000), "test_accuracy": quality, "m": quality + rng.normal(size=6000)}
    tracemalloc.start()
    try:
        assert rs.paradox(table).sentence()
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
