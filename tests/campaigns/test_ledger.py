"""The ledger: appended to by many, killed at any time, cut, edited; nothing that was acknowledged is lost."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import time
import zlib
from pathlib import Path

import pytest

import runspread as rs
from runspread.campaigns import Gate, Ledger
from runspread.campaigns.lines import encoded
from runspread.errors import InputError, LedgerError


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "runs.gate.jsonl"


@pytest.fixture
def gate(path) -> Gate:
    gate = rs.gate(path, metric="loss")
    climb(gate, "start", [1.0, 1.1])
    return gate


def climb(gate: Gate, name: str, outcomes: list[float]) -> str:
    attempt = gate.attempt(name)
    for outcome in outcomes:
        attempt.next_seed()
        attempt.record(outcome)
    return attempt.decision


def told(gate: Gate) -> dict:
    return json.loads(gate.status().to_json())


def test_a_ledger_read_again_says_the_same(gate, path):
    climb(gate, "better", [0.5, 0.6])
    climb(gate, "worse", [3.0])
    assert told(rs.gate(path)) == told(gate)
    assert gate.status().kept == "better"


def test_every_line_is_json_with_sorted_keys_a_sum_and_the_sum_before(gate, path):
    lines = path.read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events[:3]] == ["init", "attempt", "seed"]
    for before, after in itertools.pairwise(events):
        assert after["prev"] == before["crc"]
        assert list(after) == sorted(after)


def test_a_flipped_byte_is_found_wherever_it_is(gate, path):
    whole = path.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == 10]
    for at in [*range(0, len(whole), 7), *ends[:-1]]:
        changed = bytearray(whole)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(LedgerError):
            rs.gate(path)
    path.write_bytes(whole)
    rs.gate(path)


def test_an_edit_is_named_by_its_line(gate, path):
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace("1.0", "0.0")
    path.write_text("".join(lines))
    with pytest.raises(LedgerError, match=r"line 4 of .* was changed"):
        rs.gate(path)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"event": "run", "id": 9}, "an event run of the ledger does not fit"),
        ({"event": "keep", "attempt": 99, "bar": 1.0}, "an event keep of the ledger does not fit"),
        (
            {"event": "certificate", "verdict": "begun", "trial": 0, "kind": "final", "spent": 7},
            "certificate .* not fit",
        ),
        ({"event": "keep", "attempt": 0, "bar": 10**400}, "an event keep of the ledger does not fit"),
    ],
)
def test_an_event_with_right_sums_that_makes_no_sense_is_refused(gate, path, event, said):
    last = json.loads(path.read_text().splitlines()[-1])["crc"]
    with path.open("ab") as file:
        file.write(encoded(event, last)[0])
    with pytest.raises(LedgerError, match=said):
        gate.status()
    with pytest.raises(LedgerError):  # and no answer from half of it
        gate.status()


@pytest.mark.parametrize("kind", ["later", "decided", "unselected", ""])
def test_an_event_of_a_later_version_changes_nothing(gate, path, kind):
    before = str(gate.status().to_dict())  # NaN is not itself
    last = json.loads(path.read_text().splitlines()[-1])["crc"]
    with path.open("ab") as file:
        file.write(encoded({"event": kind}, last)[0])
    assert str(gate.status().to_dict()) == before


def test_a_line_that_is_no_json_is_refused_though_its_sum_is_right(gate, path):
    last = json.loads(path.read_text().splitlines()[-1])["crc"]
    rest = b'{"event":"run",' + b"[" * 900 + b',"prev":%d}' % last
    with path.open("ab") as file:
        file.write(b'{"crc":%d,' % zlib.crc32(rest) + rest[1:] + b"\n")
    with pytest.raises(LedgerError, match="is no event"):
        rs.gate(path)


def test_a_missing_line_is_named(gate, path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(LedgerError, match=r"before line 3 of .* lines are missing"):
        rs.gate(path)


def test_a_ledger_that_was_cut_at_the_end_of_a_line_is_found(gate, path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-2]))
    with pytest.raises(LedgerError, match=r"holds 5 events, or others, where 7 were written"):
        rs.gate(path)
    path.with_name(path.name + ".lock").unlink()  # what the hint says
    assert rs.gate(path).status().cost.runs == 1


def test_a_ledger_that_is_gone_is_found(gate, path):
    path.unlink()
    with pytest.raises(LedgerError, match="holds 0 events"):
        rs.gate(path, metric="loss")


def test_a_ledger_that_shrank_under_a_reader_is_found(gate, path):
    path.write_text("")
    with pytest.raises(LedgerError):
        gate.status()


def test_a_torn_line_does_not_count_and_is_moved_by_the_next_writer(gate, path):
    with path.open("ab") as file:
        file.write(b'{"crc":12,"event":"ru')
    again = rs.gate(path)
    assert again.status().cost.runs == 2
    assert any("torn" in note for note in again.status().warnings)
    climb(again, "next", [0.5])
    assert path.with_name(path.name + ".torn").read_bytes() == b'{"crc":12,"event":"ru\n'
    assert told(rs.gate(path))["runs"] == 3


def test_lines_of_another_ledger_are_refused(gate, path, tmp_path):
    other = rs.gate(tmp_path / "other.gate.jsonl", metric="loss")
    climb(other, "start", [2.0, 2.1])
    with path.open("ab") as file:
        file.write(other.ledger.path.read_bytes().splitlines(keepends=True)[-1])
    with pytest.raises(LedgerError, match="come from another ledger"):
        rs.gate(path)


def test_a_newer_format_is_refused(path):
    path.write_bytes(encoded({"event": "init", "version": 99, "metric": "loss"}, 0)[0])
    with pytest.raises(LedgerError, match="version 99"):
        rs.gate(path)


@pytest.mark.parametrize("text", ["hello\n", "commit\tval_loss\n", '{"event": "init"}\n'])
def test_another_file_is_refused_and_left_as_it_is(path, text):
    path.write_text(text)
    with pytest.raises(LedgerError, match="line 1"):
        rs.gate(path, metric="loss")
    assert path.read_text() == text


def test_a_note_that_is_too_long_is_refused_and_nothing_is_lost(gate, path):
    before = path.read_bytes()
    with pytest.raises(InputError, match="fewer than 4096"):
        gate.attempt("next", note="x" * 5000)
    assert path.read_bytes() == before
    climb(gate, "next", [2.0])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(LedgerError, match="cannot be opened"):
        rs.gate(tmp_path / "none" / "runs.gate.jsonl", metric="loss")


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"metric": "accuracy"}, "metric 'loss'"), ({"higher": True}, "higher False"), ({"alpha": 0.1}, "alpha 0.05")],
)
def test_another_campaign_in_the_ledger_is_refused(gate, path, settings, said):
    with pytest.raises(InputError, match=said):
        rs.gate(path, **settings)


def test_one_writer_needs_no_lock(tmp_path):
    gate = rs.gate(tmp_path / "a.gate.jsonl", metric="loss", one_writer=True)
    climb(gate, "start", [1.0, 1.1])
    assert rs.gate(tmp_path / "a.gate.jsonl").status().bar == pytest.approx(1.05)


def test_append_needs_the_lock(path):
    with pytest.raises(RuntimeError):
        Ledger(path).append({"event": "init"})


def write(path: Path, log: Path, number: int, tries: int) -> None:
    """Climb, and say in a log what was acknowledged."""
    gate = rs.gate(path)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for k in range(tries):
        attempt = gate.attempt(f"w{number}.{os.getpid()}.{k}")
        while (seed := attempt.next_seed()) is not None:
            value = 1 + seed % 1000 / 1000
            attempt.record(value, seed=int(seed))
            os.write(out, f"{int(seed)} {value}\n".encode())


def stress(gate: Gate, writers: int, tries: int, kills: int) -> None:
    """Let processes write at once, kill some at random, and compare what was acknowledged with what is there."""
    path, rng, log = gate.ledger.path, random.Random(0), gate.ledger.path.with_suffix(".log")
    forked = multiprocessing.get_context("fork")  # what is imported here need not be imported again

    def begin(number: int) -> multiprocessing.process.BaseProcess:
        child = forked.Process(target=write, args=(path, log, number, tries))
        child.start()
        return child

    running = {number: begin(number) for number in range(writers)}
    while kills:
        time.sleep(rng.uniform(0.005, 0.03))
        number = rng.choice(list(running))
        if running[number].is_alive():
            running[number].kill()
            running[number].join()
            running[number] = begin(number)
            kills -= 1
        if not any(child.is_alive() for child in running.values()):
            break
    assert not kills, "the writers were done before all kills"
    for child in running.values():
        child.join(600)
        assert child.exitcode == 0
    acknowledged = [line.split() for line in log.read_text().splitlines() if len(line.split()) == 2]
    again = rs.gate(path)
    runs = [run for run in again.campaign.runs if run.role != "baseline"]
    found = {run.seed: run.outcome for run in runs}
    assert len(found) == len(runs), "a run is there twice"
    missing = [seed for seed, value in acknowledged if found.get(int(seed)) != float(value)]
    assert missing == []
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    seeds = [event["seed"] for event in events if event["event"] == "seed"]
    assert len(seeds) == len(set(seeds)), "a seed was handed out twice"
    assert len(acknowledged) >= writers * tries / 2
    fresh = Gate(path)
    assert told(fresh) == told(again)


@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal")
def test_writers_that_are_killed_lose_nothing(gate):
    stress(gate, writers=4, tries=60, kills=3)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal")
@pytest.mark.parametrize(("writers", "tries", "kills"), [(16, 70, 100), (32, 20, 50)])
def test_many_writers_that_are_killed_lose_nothing(gate, writers, tries, kills):
    stress(gate, writers, tries, kills)
