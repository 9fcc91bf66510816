"""``runspread gate``: what it prints, its exit statuses, and commands that fail, hang or print no number or two."""

from __future__ import annotations

import itertools
import json
import sys

import pytest
from click.testing import CliRunner, Result

from runspread._cli import cli

TRAIN = """import random, sys
seed, state = int(sys.argv[1]), sys.argv[2]
mean = {"start": 1.0, "worse": 1.5, "better": 0.0}[state]
print("epoch 1: val_loss 9.0")
print("val_loss:", mean + 0.05 * random.Random(seed).gauss(0, 1))
"""
JSON_KEYS = {
    "decision", "why", "next", "bar", "noise_sd", "noise_df", "wealth", "runs", "seconds", "claim", "metric", "higher",
    "rule", "start", "kept", "spread_p", "alpha", "closed", "campaigns", "tries", "keeps", "failed", "seconds_a_run",
    "certificate_seconds", "early_drops", "attempts", "excluded", "warnings",
}  # fmt: skip


def gate(*words: str) -> Result:
    return CliRunner().invoke(cli, ["gate", *words])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbers = itertools.count()
    monkeypatch.setattr("runspread.campaigns.gates.new_name", lambda: f"test{next(numbers)}")  # the same seeds always
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


@pytest.fixture
def command():
    return [sys.executable, "train.py", "{seed}", "{state}"]


@pytest.fixture
def begun(folder, command):
    words = " ".join(command)
    assert gate("init", "--metric", "val_loss", "--command", words).exit_code == 0
    done = gate("try", "start", "--state", "start", "--run")
    assert done.exit_code == 0, done.output
    return folder


def test_a_whole_campaign(begun, command):
    worse = gate("try", "worse", "--state", "worse", "--", *command)
    assert worse.exit_code == 1
    assert worse.stdout.startswith("drop: its run, 1.")
    better = gate("try", "better", "--state", "better", "--run")
    assert better.exit_code == 0
    assert better.stdout.startswith("keep: the mean of its 2 runs")
    assert gate("keep?").exit_code == 0
    assert "Nothing may be claimed yet" in gate("status").stdout
    done = gate("certify", "--run")
    assert done.exit_code == 0
    assert done.stdout.startswith("Certified: the end state is better than the start by")
    again = gate("try", "more", "--value", "0.1")
    assert again.exit_code == 2
    assert "has its final certificate" in again.stderr


def test_runs_that_are_reported_one_by_one(begun):
    first = gate("try", "better", "--state", "better")
    assert first.exit_code == 3
    seed = int(first.stdout)
    second = gate("try", "better", "--value", "0.1", "--seed", str(seed), "--seconds", "12")
    assert second.exit_code == 3
    assert int(second.stdout) != seed
    assert gate("try", "better", "--value", "0.2").exit_code == 0
    wanted = gate("certify")
    assert wanted.exit_code == 3
    assert "run start with seed" in wanted.stderr
    refused = gate("certify", "--value", "1.0", "--seed", wanted.stdout.strip(), "--state", "better")
    assert refused.exit_code == 2
    assert "is of the state better" in refused.stderr
    then = gate("certify", "--value", "1.0", "--seed", wanted.stdout.strip())
    assert then.exit_code == 3
    assert "run better with seed" in then.stderr
    other = gate("next-seed", "--role", "certificate")
    assert other.exit_code == 0
    assert int(other.stdout) != int(then.stdout)


def test_the_keys_of_json_are_all_there(begun):
    done = gate("try", "better", "--state", "better", "--value", "0.1", "--json")
    assert done.exit_code == 3
    facts = json.loads(done.stdout)
    assert set(facts) == JSON_KEYS
    assert set(facts["next"]) == {"seed", "state", "role"}
    assert facts["decision"] == "run again"
    assert {"gain", "low", "high", "certified", "sentence"} <= set(facts["claim"])
    status = json.loads(gate("status", "--json").stdout)
    assert set(status) == JSON_KEYS
    assert status["next"] == facts["next"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["false", "{seed}"], 4, "exit status 1"),
        (["sh", "-c", "sleep 30; echo {seed}"], 4, "timed out after 0.3 s"),
        (["sh", "-c", "(sleep 30)& echo {seed}"], 4, "timed out after 0.3 s"),  # what it started outlives it
        (["echo", "loss", "{seed}", "2"], 2, "holds 2 numbers"),
        (["sh", "-c", "echo done; : {seed}"], 2, "holds no number"),
        (["sh", "-c", ": {seed}"], 2, "which is empty, holds no number"),
        (["sh", "-c", "echo nan; : {seed}"], 4, "failed"),
        (["echo", "1"], 2, "does not take the seed"),
        (["no-such-program", "{seed}"], 2, "cannot be started"),
    ],
)
def test_commands_that_go_wrong(begun, words, status, said):
    done = gate("try", "next", "--timeout", "0.3", "--", *words)
    assert done.exit_code == status, done.output
    assert said in done.output
    assert gate("status").exit_code == 0


def test_an_outcome_that_was_not_read_can_be_reported(begun):
    done = gate("try", "next", "--", "echo", "1", "{seed}")
    seed = done.stderr.partition("The run had seed ")[2].partition(".")[0]
    assert gate("try", "next", "--value", "0.5", "--seed", seed).exit_code == 3


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (["--pattern", r"final (\S+)"], "loss 3\nfinal 0.5\nseconds 9"),
        (["--json-key", "eval.loss"], '{"eval": {"loss": 0.5}}\nbye 1 2'),
        (["--pattern", r"loss (\S+)", "--last"], "loss 3\nloss 0.5\n"),
        ([], "1 2 3\nval_loss: 5e-1 (best)"),
    ],
)
def test_how_an_outcome_is_read(begun, options, printed):
    done = gate("try", "next", *options, "--", "sh", "-c", f"echo '{printed}'; : {{seed}}")
    assert done.exit_code in (0, 3), done.output
    assert json.loads(gate("status", "--json").stdout)["attempts"][-1][3][0] == 0.5


@pytest.mark.parametrize(
    ("printed", "status"),
    [
        ("[" * 100_000, 2),
        ('{"loss": ' + '{"a": ' * 90 + "1" + "}" * 91, 2),
        ('{"loss": NaN}', 4),
        ('{"loss": 1e999}', 4),
    ],
)
def test_json_that_no_training_prints_is_refused_or_a_failed_run(begun, printed, status):
    (begun / "printed.txt").write_text(printed)
    done = gate("try", "next", "--json-key", "loss", "--", "sh", "-c", "cat printed.txt; : {seed}")
    assert done.exit_code == status, done.output[-300:]


def test_several_matches_that_differ_are_refused(begun):
    done = gate("try", "next", "--pattern", r"loss (\S+)", "--", "sh", "-c", "echo loss 3; echo loss 2; : {seed}")
    assert done.exit_code == 2
    assert "holds 2 numbers" in done.stderr


def test_certify_refuses_a_command_without_the_state(begun):
    gate("try", "better", "--state", "better", "--run")
    done = gate("certify", "--", sys.executable, "train.py", "{seed}")
    assert done.exit_code == 2
    assert "does not take the state" in done.stderr


def test_a_damaged_ledger_is_exit_status_2(begun):
    ledger = begun / "runspread.gate.jsonl"
    ledger.write_text(ledger.read_text().replace("completed", "finished!"))
    done = gate("status")
    assert done.exit_code == 2
    assert "was changed" in done.stderr


def test_no_ledger_says_how_to_begin_one(folder):
    done = gate("try", "start", "--value", "1")
    assert done.exit_code == 2
    assert "runspread gate init --metric val_loss" in done.stderr
    assert gate("init", "--metric", "val_loss").exit_code == 0
    assert gate("init", "--metric", "val_loss").exit_code == 2


def test_import_and_report(folder):
    (folder / "results.tsv").write_text("commit\tval_loss\tstatus\na\t1.0\tkeep\nb\t0.9\tkeep\nc\t1.1\tdiscard\n")
    done = gate("import", "results.tsv")
    assert done.exit_code == 0, done.output
    assert "2 tries, 1 kept, 0 crashed." in done.stdout
    assert "runspread gate certify" in done.stdout
    assert gate("report").exit_code == 0
    page = (folder / "runspread.gate.html").read_text()
    for heading in ("What may be claimed", "The climb claims nothing", "Noise", "Cost"):
        assert heading in page
    assert "Nothing may be claimed yet" in page


def test_merge(begun):
    for name in ("a", "b"):
        ledger = ["--ledger", f"{name}.gate.jsonl"]
        assert gate("init", "--metric", "val_loss", *ledger).exit_code == 0
        for value in ("1.0", "1.1"):
            gate("try", "start", "--value", value, *ledger)
    done = gate("merge", "a.gate.jsonl", "b.gate.jsonl", "--out", "both.gate.jsonl")
    assert done.exit_code == 0, done.output
    assert "Nothing may be claimed yet" in done.stdout


def test_void(begun):
    gate("try", "next", "--value", "0.5")
    assert gate("void", "2", "--reason", "the disk was full").exit_code == 0
    assert gate("void", "2", "--reason", " ").exit_code == 2


def certified_by_hand(begun, better: float, *options: str) -> Result:
    """Report every run of a certificate by hand, at a mean of 1 for the start, and return the last answer."""
    done, noise = gate("certify", *options), itertools.cycle([0.0, 0.01, 0.02, 0.03, 0.04])
    while done.exit_code == 3:
        mean = 1.0 if "run start" in done.stderr else better
        done = gate("certify", "--value", str(mean + next(noise)), "--seed", done.stdout.strip())
    return done


@pytest.mark.parametrize(("better", "status", "said"), [(0.5, 0, "Certified: "), (1.5, 1, "Not certified after ")])
def test_an_interim_certificate_answers_for_itself(begun, better, status, said):
    """It answered with the decision on the last try: a drop after a certificate that holds, a keep after one not."""
    for name, value in (("better", "0.1"), ("other", "9.0" if better < 1 else "0.05")):
        gate("try", name, "--state", name, "--value", value)
        gate("try", name, "--value", value)
    done = certified_by_hand(begun, better, "--interim")
    assert (done.exit_code, done.stdout[: len(said)]) == (status, said)
    assert gate("keep?").exit_code == 1 - status  # of the last try


def test_runs_that_do_not_vary_are_no_verdict_and_the_climb_goes_on(begun):
    gate("try", "better", "--state", "better", "--run")
    done = gate("certify", "--", "sh", "-c", "echo 1.0; : {seed} {state}")
    assert done.exit_code == 2
    assert "do not vary" in done.stdout
    assert gate("try", "worse", "--state", "worse", "--run").exit_code == 1
    assert gate("keep?").exit_code == 1


def test_keep_prints_the_seed_that_is_wanted_and_hands_out_no_other(begun):
    first = gate("try", "better", "--state", "better", "--value", "0.1")
    asked = gate("keep?")
    assert asked.exit_code == 3
    assert asked.stdout == first.stdout
    assert gate("keep?").stdout == first.stdout
