"""Campaigns: decisions, fresh seeds, certificates and their wealth; each trap of the specification with its test."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread.campaigns import Gate, merge_ledgers
from runspread.campaigns.histories import adopt, history_sentences, read_history
from runspread.errors import InputError


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "runs.gate.jsonl"


def climb(gate: Gate, name: str, outcomes: list[float], **facts: object) -> str:
    attempt = gate.attempt(name)
    for outcome in outcomes:
        attempt.record(outcome, seed=attempt.next_seed(), **facts)
    return attempt.decision


def begun(path: Path, **settings: object) -> Gate:
    gate = rs.gate(path, metric="loss", **settings)
    climb(gate, "start", [1.0, 1.1])
    return gate


def improved(path: Path, **settings: object) -> Gate:
    gate = begun(path, **settings)
    assert climb(gate, "better", [0.2, 0.3]) == "keep"
    return gate


def trained(values: dict[str, float], spread: float = 0.1) -> Callable[[str, int], float]:
    return lambda state, seed: values[state] + spread * float(np.random.default_rng(seed).normal())


# ---------------------------------------------------------------------- the climb


def test_the_bar_is_the_mean_of_the_runs_of_the_kept_state(path):
    gate = begun(path)
    assert gate.status().bar == pytest.approx(1.05)
    assert climb(gate, "no", [1.06]) == "drop"
    assert climb(gate, "perhaps", [0.9, 1.3]) == "drop"
    assert climb(gate, "yes", [0.9, 0.8]) == "keep"
    assert gate.status().bar == pytest.approx(0.85)
    assert gate.status().kept == "yes"


def test_higher_is_better(path):
    gate = rs.gate(path, metric="accuracy", higher=True)
    climb(gate, "start", [0.8, 0.9])
    assert climb(gate, "worse", [0.7]) == "drop"
    assert climb(gate, "better", [0.9, 0.95]) == "keep"
    claim = gate.certify(trained({"start": 0.85, "better": 0.95}, 0.005))
    assert claim.certified
    assert claim.bounds.gain == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("rule", "runs"), [("one", 1), ("two", 2), ("three", 3), ("two-more", 4)])
def test_rules_have_their_number_of_runs(path, rule, runs):
    gate = rs.gate(path, metric="loss", rule=rule)
    assert climb(gate, "start", [1.0] * (runs - 1) + [1.2]) == "start"
    assert climb(gate, "better", [0.5] * runs) == "keep"


def test_the_start_may_have_more_runs(path):
    gate = rs.gate(path, metric="loss", start_runs=4)
    assert climb(gate, "start", [1.0, 1.1, 1.2]) == "run again"
    assert climb(gate, "start", [1.3]) == "start"
    assert gate.status().bar == pytest.approx(1.15)
    assert gate.status().noise.noise_df == 3


def test_a_failed_run_of_the_start_is_no_bar(path):
    gate = rs.gate(path, metric="loss")
    assert climb(gate, "start", [1.0, math.nan, 1.2]) == "start"
    assert gate.status().bar == pytest.approx(1.1)
    assert gate.status().cost.failed == 1


def test_a_failed_try_is_dropped_and_stays(path):
    gate = begun(path)
    assert climb(gate, "crash", [math.nan]) == "drop"
    assert climb(gate, "late", [0.5, math.inf]) == "drop"
    assert gate.status().cost.runs == 5
    assert "failed" in gate.campaign.tried[-1].why


def test_a_try_before_the_start_is_finished_is_refused(path):
    gate = rs.gate(path, metric="loss")
    climb(gate, "start", [1.0])
    with pytest.raises(InputError, match="'start', has 1 run, which is too few"):
        gate.attempt("next")


def test_a_try_that_was_decided_takes_no_more_runs(path):
    gate = begun(path)
    attempt = gate.attempt("no")
    attempt.record(2.0)
    with pytest.raises(InputError, match="was decided: drop"):
        attempt.record(0.1)


def test_the_same_report_twice_is_one_run(path):
    gate = begun(path)
    attempt = gate.attempt("next")
    seed = attempt.next_seed()
    attempt.record(0.5, seed=seed)
    attempt.record(0.5, seed=seed)
    assert gate.status().cost.runs == 3
    with pytest.raises(InputError, match=r"was reported before, as 0\.5"):
        attempt.record(0.4, seed=seed)


def test_trap_4_a_run_can_be_void_but_not_deleted(path):
    gate = begun(path)
    attempt = gate.attempt("next")
    attempt.record(0.5)
    gate.void(2, "the disk was full")
    attempt.record(0.6)
    assert attempt.decision == "run again"
    attempt.record(0.7)
    assert attempt.decision == "keep"
    assert gate.status().cost.runs == 5
    with pytest.raises(InputError, match="a try that was decided"):
        gate.void(3, "I do not like it")


def test_trap_7_the_noise_leaves_the_first_runs_of_kept_tries_out(path):
    gate = improved(path)
    assert gate.campaign.unselected() == {"start": [1.0, 1.1], "better": [0.3]}
    assert gate.status().noise.noise_sd == pytest.approx(np.std([1.0, 1.1], ddof=1))


def test_trap_8_the_bar_is_not_reported_as_a_result(path):
    sentence = improved(path).claim().sentence()
    assert sentence == "1 try, 1 kept, 4 runs. Nothing may be claimed yet: the bar (0.25) is the best of many."


# ---------------------------------------------------------------------- seeds


def test_trap_3_seeds_are_handed_out_once_and_streams_do_not_meet(path):
    gate = improved(path)
    lost = [int(gate.attempt("lost").next_seed()) for _ in range(20)]
    gate.certify(trained({"start": 1.0, "better": 0.2}))
    seeds = [event["seed"] for event in map(json.loads, path.read_text().splitlines()) if event["event"] == "seed"]
    assert len(seeds) == len(set(seeds)) == 4 + 20 + 10
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert set(lost) <= set(seeds)


def test_a_seed_of_another_state_is_refused(path):
    gate = begun(path)
    first = gate.attempt("a").next_seed()
    with pytest.raises(InputError, match=f"the seed {int(first)} was used before, for a"):
        gate.attempt("b").record(0.5, seed=int(first))


def test_seeds_of_ones_own_run_out(path, tmp_path):
    (tmp_path / "seeds.txt").write_text("11\n12\n13\n")
    gate = rs.gate(path, metric="loss", seeds=str(tmp_path / "seeds.txt"))
    climb(gate, "start", [1.0, 1.1])
    attempt = gate.attempt("next")
    assert attempt.next_seed() == 13
    with pytest.raises(InputError, match=r"the 3 seeds of .* are used up"):
        attempt.next_seed()


# ---------------------------------------------------------------------- certificates


def test_trap_1_the_certificate_has_runs_of_its_own_taken_in_turn(path):
    gate, order = improved(path), list[str]()

    def run(state: str, seed: int) -> float:
        order.append(state)
        return trained({"start": 1.0, "better": 0.2})(state, seed)

    claim = gate.certify(run)
    assert order == ["start", "better"] * 5
    assert claim.certified
    assert claim.bounds.gain == pytest.approx(0.8, abs=0.2)
    assert claim.bounds.low < claim.bounds.gain < claim.bounds.high
    assert "Certified: the end state is better than the start by" in claim.sentence()


def test_trap_5_it_looks_at_its_looks_alone(path):
    gate = improved(path)
    looks = list[int]()
    claim = gate.certify(trained({"start": 1.0, "better": 0.97}))
    looks = [event["runs"] for event in _events(path) if event["event"] == "certificate" and "look" in event]
    assert looks in ([5], [5, 10], [5, 10, 16])
    assert claim.runs == looks[-1]


def test_nothing_kept_is_nothing_to_certify(path):
    gate = begun(path)
    climb(gate, "no", [3.0])
    with pytest.raises(InputError, match="nothing to certify before a try is kept"):
        gate.certify()


def test_trap_6_a_final_certificate_closes_the_campaign(path):
    gate = improved(path)
    gate.certify(trained({"start": 1.0, "better": 1.0}))
    assert gate.status().closed
    assert gate.status().wealth == 0
    for again in (gate.certify, lambda: gate.attempt("more")):
        with pytest.raises(InputError, match="has its final certificate"):
            again()


def test_trap_6_interim_certificates_spend_half_and_get_it_back_if_certified(path):
    gate = improved(path)
    assert gate.certify(trained({"start": 1.0, "better": 0.2}), interim=True).certified
    assert gate.status().wealth == pytest.approx(0.05)
    assert climb(gate, "better yet", [0.05, 0.1]) == "keep"
    claim = gate.certify(trained({"better": 0.2, "better yet": 0.4}), interim=True)
    assert not claim.certified
    assert claim.start == "better"
    assert gate.status().wealth == pytest.approx(0.025)
    assert climb(gate, "last", [0.0, 0.05]) == "keep"
    final = gate.certify(trained({"better": 0.2, "last": 0.0}, 0.01))
    assert final.alpha == pytest.approx(0.025)
    assert final.certified


def test_runs_that_do_not_vary_are_not_certified(path):
    gate = improved(path)
    claim = gate.certify(trained({"start": 1.0, "better": 0.2}, 0.0))
    assert not claim.certified
    assert claim.sentence().startswith("These runs do not vary")
    assert gate.status().wealth == pytest.approx(0.05)


def test_a_run_that_was_handed_out_is_wanted_until_it_is_reported(path):
    gate = improved(path)
    gate.certify()
    first = gate.wanted()
    assert gate.wanted() == first
    second = gate.wanted(more=True)
    assert (first.state, second.state) == ("start", "better")
    assert second != first
    gate.report(0.2, int(second))
    assert gate.wanted() == first
    assert any("handed out counts" in note for note in gate.status().warnings)


def test_a_fresh_run_of_another_state_or_seed_is_refused(path):
    gate = improved(path)
    gate.certify()
    seed = gate.wanted()
    with pytest.raises(InputError, match="is of the state better"):
        gate.report(0.5, int(seed), state="better")
    with pytest.raises(InputError, match="was not handed out for this certificate"):
        gate.report(0.5, 123)


def test_runs_of_a_certificate_cannot_be_void(path):
    gate = improved(path)
    gate.certify()
    gate.report(0.5, int(gate.wanted()))
    with pytest.raises(InputError, match="of a certificate"):
        gate.void(4, "it was slow")


def test_pairs_have_common_seeds(path):
    gate = improved(path, pair=True)
    runs = list[tuple[str, int]]()

    def run(state: str, seed: int) -> float:
        runs.append((state, seed))
        common = float(np.random.default_rng(seed).normal())
        return {"start": 1.0, "better": 0.9}[state] + 10 * common

    assert gate.certify(run).certified
    assert all(first[1] == second[1] for first, second in zip(runs[::2], runs[1::2], strict=True))
    assert len({seed for _, seed in runs}) == len(runs) / 2 == 8


def test_a_fixed_design_has_one_look(path):
    gate = improved(path, fixed=8)
    claim = gate.certify(trained({"start": 1.0, "better": 0.2}))
    assert claim.certified
    assert claim.runs == 8
    assert claim.bounds.gain == claim.bounds.gain_unbiased


def test_medians_are_certified_where_runs_go_astray(path):
    """One run in five of both is 50 off: means see nothing, ranks do, and the gain is that of the others."""
    astray = lambda state, seed: {"start": 1.05, "better": 0.2}[state] + seed % 7 / 70 + 50 * (seed % 5 == 0)  # noqa: E731
    claim = improved(path, statistic="median").certify(astray)
    assert claim.certified
    assert claim.bounds.gain == pytest.approx(0.85, abs=0.1)
    assert claim.bounds.low > 0
    assert rs.gate(path, statistic="median").claim().bounds.gain == claim.bounds.gain


def test_where_all_runs_of_a_side_fail_there_is_no_gain_and_no_nan_is_said(path, tmp_path):
    fails = lambda failing: lambda state, seed: math.nan if state == failing else 1 + seed % 7 / 100  # noqa: E731
    worse, better = improved(path).certify(fails("better")), improved(tmp_path / "b.gate.jsonl").certify(fails("start"))
    assert worse.sentence() == "Not certified after 5 fresh runs each. The keep may be chance."
    assert better.sentence().startswith("Certified: the end state is better than the start on 5 fresh runs each; false")
    train = trained({"start": 1.0, "better": 0.2})
    often = lambda state, seed: math.nan if state == "better" and seed % 3 else train(state, seed)  # noqa: E731
    median = improved(tmp_path / "c.gate.jsonl", statistic="median").certify(often)
    assert "nan" not in median.sentence()
    assert "inf" not in median.sentence()


@pytest.mark.parametrize("value", ["x", None, [1.0], object(), 10**400])
def test_what_is_no_number_is_refused_and_nothing_is_lost(path, value):
    gate = improved(path)
    attempt = gate.attempt("next")
    seed = attempt.next_seed()
    with pytest.raises(InputError, match="the outcome is"):
        attempt.record(value, seed=seed)
    with pytest.raises(InputError, match="the guard memory is"):
        attempt.record(1.0, seed=seed, guards={"memory": value})
    assert attempt.record(2.0, seed=seed) == "drop"
    with pytest.raises(InputError, match="the outcome is"):
        gate.certify(lambda state, seed: value)


@pytest.mark.parametrize("other", [{"pair": True}, {"test": "welch-min"}])
def test_the_median_has_one_test(path, other):
    with pytest.raises(InputError, match="statistic='median'"):
        rs.gate(path, metric="loss", statistic="median", **other)


def test_two_more_runs_of_what_is_kept_are_the_bar_and_drift_is_said(path):
    gate = rs.gate(path, metric="loss", rule="two-more")
    climb(gate, "start", [1.0, 1.1, 1.2, 1.1])
    assert climb(gate, "better", [0.5, 0.7, 0.9, math.nan]) == "keep"
    assert gate.status().bar == pytest.approx(0.7)
    assert "the mean of its 2 runs, 0.6, is below the bar 1.1" in gate.attempt("other").gate.campaign.tried[1].why
    assert any("drifts" in note for note in gate.status().warnings)


def test_a_guard_that_gets_worse_holds_the_certificate_up(path):
    gate = rs.gate(path, metric="loss", guards=["memory+5%", "seconds+10%"])
    climb(gate, "start", [1.0, 1.1], guards={"memory": 10.0}, seconds=1.0)
    climb(gate, "better", [0.2, 0.3], guards={"memory": 12.0}, seconds=1.0)
    gate.certify()
    rng = np.random.default_rng(0)
    while (seed := gate.wanted()) is not None:
        memory = 10.0 if seed.state == "start" else 12.0
        value = (1.0 if seed.state == "start" else 0.2) + 0.05 * rng.normal()
        gate.report(value, int(seed), guards={"memory": memory + 0.01 * rng.normal()}, seconds=1 + 0.01 * rng.normal())
    assert not gate.claim().certified
    assert gate.claim().p <= 0.001


def test_a_run_without_its_guard_is_refused(path):
    gate = rs.gate(path, metric="loss", guards=["memory+5%"])
    with pytest.raises(InputError, match="no value of memory"):
        climb(gate, "start", [1.0])


@pytest.mark.parametrize("text", ["memory", "memory+0", "memory+x", "+5%"])
def test_a_guard_without_a_margin_is_refused(path, text):
    with pytest.raises(InputError, match="has another form"):
        rs.gate(path, metric="loss", guards=[text])


def test_trap_15_a_changed_evaluation_cannot_go_on(path, tmp_path):
    file = tmp_path / "evaluate.py"
    file.write_text("print(1)")
    gate = begun(path, evaluation=[str(file)])
    file.write_text("print(0)")
    with pytest.raises(InputError, match=r"the evaluation changed since the campaign began: .*evaluate\.py"):
        gate.attempt("next")


def test_two_campaigns_in_a_folder_are_said(path, tmp_path):
    begun(tmp_path / "other.gate.jsonl")
    status = begun(path).status()
    assert status.campaigns == 2
    assert any("2 campaigns" in note for note in status.warnings)


def test_a_seed_that_is_not_used_is_noticed(path):
    gate = rs.gate(path, metric="loss")
    climb(gate, "start", [1.0, 1.0])
    assert any("is the seed used?" in note for note in gate.status().warnings)


# ---------------------------------------------------------------------- strict


def test_strict_confirms_on_fresh_runs_of_both_states(path):
    """Trap 2: the kept state is run afresh too."""
    gate = rs.gate(path, metric="loss", rule="strict")
    climb(gate, "start", [1.0, 1.1])
    attempt, run, states = gate.attempt("better"), trained({"start": 1.0, "better": 0.2}), list[str]()
    while (seed := attempt.next_seed()) is not None:
        states.append(seed.state)
        attempt.record(run(seed.state, int(seed)), seed=int(seed))
    assert states == ["better", "better"] + ["start", "better"] * 8
    assert attempt.kept
    assert gate.status().wealth == pytest.approx(0.05)
    assert gate.status().bar == pytest.approx(0.2, abs=0.1)


def test_strict_spends_on_what_it_refuses(path):
    gate = rs.gate(path, metric="loss", rule="strict")
    climb(gate, "start", [1.0, 1.1])
    attempt, outcomes = gate.attempt("lucky"), iter([0.1, 0.2])
    while (seed := attempt.next_seed()) is not None:
        fresh = 1 + 0.1 * float(np.random.default_rng(int(seed)).normal())
        attempt.record(next(outcomes, fresh), seed=int(seed))
    assert attempt.decision == "drop"
    assert gate.status().wealth == pytest.approx(0.04)
    assert "not confirmed on 8 fresh runs each" in attempt.why


# ---------------------------------------------------------------------- histories

HISTORY = """commit\tval_bpb\tmemory_gb\tstatus\tdescription
a1\t0.9979\t44.0\tkeep\tbaseline
b2\t0.9932\t44.2\tkeep\tincrease LR
c3\t1.0050\t44.0\tdiscard\tGeLU
d4\t0.0000\t0.0\tcrash\tdouble width
e5\t0.9900\t44.1\tkeep\twarm up longer
"""


def test_a_history_is_adopted_and_certifies_nothing_by_itself(path, tmp_path):
    table = tmp_path / "results.tsv"
    table.write_text(HISTORY)
    metric, rows = read_history(table)
    gate = rs.gate(path, metric=metric)
    adopt(gate, rows, "results.tsv")
    status = gate.status()
    assert (status.start, status.kept, status.cost.keeps, status.cost.failed) == ("a1", "e5", 2, 1)
    assert not status.claim.certified
    said = " ".join(history_sentences(rows, higher=False))
    assert "4 tries, 2 kept, 1 crashed." in said
    assert "by 0.0079" in said
    assert "deviation of 0.0093, the best of 3 tries that change nothing is as much better on average" in said
    assert "run a1 and e5 5 times each" in said
    assert table.read_text() == HISTORY
    assert gate.certify(trained({"a1": 0.9979, "e5": 0.99}, 0.0001)).certified


def test_a_history_in_the_other_direction_is_not_better_by_less_than_nothing(tmp_path):
    """It was better by -0.0079, and a standard deviation of -0.0093 explained it."""
    (tmp_path / "results.tsv").write_text(HISTORY)
    _, rows = read_history(tmp_path / "results.tsv")
    said = " ".join(history_sentences(rows, higher=True))
    assert "is not better than the first if higher is better" in said
    assert "-0.0" not in said


def test_repeats_in_a_history_are_noise(path, tmp_path):
    table = tmp_path / "results.tsv"
    table.write_text(HISTORY + "e5\t0.9910\t44.1\tdiscard\tthe same again\n")
    metric, rows = read_history(table)
    gate = rs.gate(path, metric=metric)
    adopt(gate, rows, "results.tsv")
    assert gate.status().noise.noise_sd == pytest.approx(0.001 / math.sqrt(2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has the columns none"),
        ("commit\tval_bpb\tstatus\n", "has no tries"),
        ("commit\tx\tstatus\na\t1\tkeep\n", "has the columns commit, x, status"),
        ("commit\tval_bpb\tstatus\na\tone\tkeep\n", "line 2 has val_bpb 'one'"),
        ("commit\tval_bpb\tstatus\na\t1\tmaybe\n", "status 'maybe'"),
    ],
)
def test_a_table_that_is_no_history_is_refused(tmp_path, text, said):
    (tmp_path / "results.tsv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_history(tmp_path / "results.tsv")


def _events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---------------------------------------------------------------------- two machines


def test_trap_13_ledgers_of_two_machines_become_one(path, tmp_path):
    first, other = begun(path), begun(tmp_path / "b.gate.jsonl")
    assert climb(first, "a1", [0.8, 0.7]) == "keep"
    assert climb(other, "b1", [0.9, 0.95]) == "keep"
    assert climb(other, "b2", [0.2, 0.3]) == "keep"
    gate = merge_ledgers([path, tmp_path / "b.gate.jsonl"], tmp_path / "both.gate.jsonl")
    status = gate.status()
    assert (status.start, status.kept, status.bar) == ("start", "b2", pytest.approx(0.25))
    assert status.cost.runs == 10
    assert {row.name for row in status.attempts} == {"start", "a1", "b1", "b2"}
    assert json.loads(rs.gate(tmp_path / "both.gate.jsonl").status().to_json()) == json.loads(status.to_json())
    assert gate.certify(trained({"start": 1.0, "b2": 0.2})).certified


def test_ledgers_that_share_a_seed_are_refused(path, tmp_path):
    begun(path)
    copy = tmp_path / "copy.gate.jsonl"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="both have the seed"):
        merge_ledgers([path, copy], tmp_path / "both.gate.jsonl")


def test_ledgers_of_two_kinds_are_refused(path, tmp_path):
    begun(path)
    other = rs.gate(tmp_path / "b.gate.jsonl", metric="accuracy")
    climb(other, "start", [1.0, 1.1])
    with pytest.raises(InputError, match="has metric 'accuracy'"):
        merge_ledgers([path, other.ledger.path], tmp_path / "both.gate.jsonl")
    with pytest.raises(InputError, match="two or more"):
        merge_ledgers([path], tmp_path / "both.gate.jsonl")


def test_a_ledger_with_a_certificate_comes_first(path, tmp_path):
    begun(path)
    other = improved(tmp_path / "b.gate.jsonl")
    other.certify(trained({"start": 1.0, "better": 0.2}), interim=True)
    with pytest.raises(InputError, match="has a certificate of its own"):
        merge_ledgers([path, other.ledger.path], tmp_path / "both.gate.jsonl")
    assert merge_ledgers([other.ledger.path, path], tmp_path / "both.gate.jsonl").claim().certified
