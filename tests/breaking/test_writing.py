"""Promises 1 to 5: kills, failing writes, many writers, few handles. The same command always goes on."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import sys
import threading
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread.errors import CorruptShardError, RunspreadError, StorageError
from tests.breaking.tools import (
    LABELS,
    answers,
    copied,
    environment,
    failing,
    files_of,
    kill_at,
    make_study,
    record,
)

HEAD = """
import sys, numpy as np
from pathlib import Path
import runspread as rs
from tests.breaking import tools
folder = Path(sys.argv[1])
print("begun", flush=True)
"""
OPERATIONS = {
    "create": HEAD + "rs.create_study(folder, splits={'test': tools.LABELS, 'hard': tools.LABELS}, exist_ok=True)",
    "record": HEAD + "tools.make_study(folder, 6)",
    "merge": HEAD + "tools.make_study(folder, 0).merge(rs.open_study(sys.argv[2]))",
}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("other") / "study", 6).path


@pytest.fixture(scope="module")
def expected(other):
    return answers(rs.open_study(other))


def leftovers(folder):
    return list(folder.rglob(".tmp-*"))


def kills(operation, times, tmp_path, other, expected):
    """Kill an operation at random instants until it ends by itself; return how often it was killed."""
    rng, killed, number = random.Random(operation), 0, 0
    while killed < times:
        folder = tmp_path / f"study-{number}"
        number += 1
        while True:
            done = kill_at(OPERATIONS[operation], rng.uniform(0, 0.12), str(folder), str(other))
            if done is not None:
                assert done.returncode == 0, done.stderr
                break
            killed += 1
            if killed % 5 == 0:  # let it end, else a quick killer never would
                done = kill_at(OPERATIONS[operation], 60, str(folder), str(other))
                assert done is not None
                assert done.returncode == 0, done.stderr
                break
        study = rs.open_study(folder)
        assert study.verify().ok
        if operation != "create":
            assert answers(study) == expected
        record(study, 99)
        assert not leftovers(folder)
    return killed


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_few_kills_lose_and_double_nothing(operation, tmp_path, other, expected):
    assert kills(operation, 3, tmp_path, other, expected) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_two_hundred_kills_lose_and_double_nothing(operation, tmp_path, other, expected, tally):
    tally(f"kills of {operation}", kills(operation, 200, tmp_path, other, expected), 0)


# ---------------------------------------------------------------------- a write-like call fails


def create(folder, other):
    rs.create_study(folder, splits={"test": LABELS, "hard": LABELS}, exist_ok=True)


def record_all(folder, other):
    make_study(folder, 2)


def merge(folder, other):
    make_study(folder, 0).merge(rs.open_study(other))


def report(folder, other):
    from runspread._report.page import write_page
    from runspread._report.sections import Section

    write_page(make_study(folder, 1), [Section("one", "lead")])


def keep_plan(folder, other):
    from runspread.training.until import _keep_plan

    make_study(folder, 0)
    _keep_plan(folder, {"question": "gap=1"})


def save_ensemble(folder, other):
    torch = pytest.importorskip("torch")
    place = folder.with_name(f"{folder.name}-best")
    if not place.exists():
        rs.training.Ensemble.of([torch.nn.Linear(3, 2)]).save(place)
    rs.load_ensemble(place, network=torch.nn.Linear(3, 2))


def index(folder, other):
    from runspread.studies.index import stamps_of, write_index

    study = make_study(folder, 2)
    write_index(folder, study._shards, stamps_of(folder))
    assert len(rs.open_study(folder).runs) == 2


def failing_call(run, folder, other, k, for_good, code):
    with failing(k, for_good=for_good, code=code):
        run(folder, other)


def error_of(call):
    try:
        call()
    except RunspreadError as error:
        return error
    return None


WRITING = {f.__name__: f for f in (create, record_all, merge, report, keep_plan, save_ensemble, index)}


LONG = ("merge", "record_all", "index")


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        pytest.param(name, code, marks=[pytest.mark.slow] * (name in LONG or code != errno.ENOSPC))
        for name in WRITING
        for code in (errno.ENOSPC, errno.EACCES, errno.EIO)
    ],
)
def test_every_failing_write_is_one_error_and_the_same_call_goes_on(operation, code, tmp_path, other, tally):
    run = WRITING[operation]
    with failing(0) as counted:
        run(tmp_path / "counted", other)
    for for_good in (False, True):
        for k in range(1, counted.calls + 1):
            folder = tmp_path / f"{for_good}-{k}"
            said = error_of(partial(failing_call, run, folder, other, k, for_good, code))
            assert said is None or (isinstance(said, StorageError) and os.strerror(code) in str(said)), (k, said)
            run(folder, other)
            if operation != "save_ensemble":
                assert rs.open_study(folder).verify().ok
    tally(f"failing calls of {operation}", 2 * counted.calls, 0)


# ---------------------------------------------------------------------- many


RACE = (
    HEAD
    + """
study = rs.create_study(folder, splits={"test": tools.LABELS, "hard": tools.LABELS}, exist_ok=True)
for seed in range(int(sys.argv[2]), int(sys.argv[2]) + int(sys.argv[3])):
    tools.record(study, seed)
"""
)


def race(folder, processes, runs=1):
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    calls = [[sys.executable, "-c", RACE, str(folder), str(k * runs), str(runs)] for k in range(processes)]
    started = [subprocess.Popen(call, **pipes, env=environment()) for call in calls]
    errors = [process.communicate()[1].decode() for process in started]
    dead = [error for process, error in zip(started, errors, strict=True) if process.returncode]
    assert not dead, dead[0]
    study = rs.open_study(folder)
    assert len(study.runs) == processes * runs
    assert study.verify().ok
    return len(dead)


def test_several_processes_begin_one_study(tmp_path):
    assert race(tmp_path / "study", 4) == 0


@pytest.mark.slow
def test_thirty_two_processes_begin_one_study_twenty_times(tmp_path, tally):
    dead = sum(race(tmp_path / f"study-{k}", 32) for k in range(20))
    tally("processes on a new folder, 32 at once, 20 rounds", 640, dead)


@pytest.mark.slow
def test_thirty_two_processes_record_fifty_runs_each(tmp_path, tally):
    dead = race(tmp_path / "study", 32, 50)
    tally("processes that record 50 runs each into one study, 32 at once", 32, dead)


def test_threads_begin_one_study(tmp_path):
    errors = []

    def begin():
        try:
            rs.create_study(tmp_path / "s", splits={"test": LABELS}, exist_ok=True)
        except Exception as error:  # whatever it is
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_the_second_creation_without_exist_ok_is_refused(tmp_path):
    rs.create_study(tmp_path / "s", splits={"test": LABELS})
    with pytest.raises(RunspreadError, match="already holds a study"):
        rs.create_study(tmp_path / "s", splits={"test": LABELS})


HALVES = {
    "nothing": {},
    "shards": {"shards/": None},
    "labels": {"shards/": None, "labels.safetensors": b"half"},
    "old plan": {"shards/": None, "labels.safetensors": b"half", ".study.json": b"{"},
    "temporary": {"shards/": None, ".tmp-00000000-1-abc": b"x"},
}


@pytest.mark.parametrize("half", HALVES)
def test_a_half_made_folder_is_completed(tmp_path, half):
    folder = tmp_path / "study"
    folder.mkdir()
    for name, data in HALVES[half].items():
        (folder / name).mkdir() if data is None else (folder / name).write_bytes(data)
    assert rs.create_study(folder, splits={"test": LABELS}).splits["test"].tolist() == LABELS.tolist()
    assert rs.open_study(folder).verify().ok


@pytest.mark.parametrize("name", ["notes.txt", "shards/0123456789abcdef/x"])
def test_a_folder_with_somebodys_files_is_left_alone(tmp_path, name):
    path = tmp_path / "study" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(RunspreadError, match="not empty and holds no study"):
        rs.create_study(tmp_path / "study", splits={"test": LABELS})
    assert path.read_text() == "mine"
    assert files_of(tmp_path / "study") == [path]


@pytest.mark.parametrize("rounds", [3, pytest.param(334, marks=pytest.mark.slow)])
def test_readers_see_a_whole_page_or_none(tmp_path, rounds, tally):
    """Three writers of ten pages each, so many rounds: 90 pages, in the full form 10,020."""
    from runspread._report.page import write_text

    target, torn, done = tmp_path / "report.html", [], threading.Event()

    def read():
        while not done.is_set():
            text = target.read_text() if target.exists() else ""
            if text and text not in pages:
                torn.append(len(text))

    pages = [str(k) * (10**5 + k) for k in range(10)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    writers = [threading.Thread(target=lambda: [write_text(target, page) for page in pages * rounds]) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    for reader in readers:
        reader.join()
    assert not leftovers(tmp_path)
    tally("pages written while readers look", 3 * len(pages) * rounds, len(torn))


def test_large_maps_hold_no_descriptor(tmp_path):
    study = rs.create_study(tmp_path / "s", splits={"test": np.zeros(60_000, int)})
    for seed in range(3):
        with study.record(seeds=seed) as run:
            run.predictions("test", np.random.default_rng(seed).normal(size=(60_000, 10)))
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = list(rs.open_study(study.path).predictions().chunks(2**20))
    assert len(kept) == 3
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    expected = np.random.default_rng(0).normal(size=(60_000, 10))[-1, 0]
    assert float(kept[0][0, -1, 0]) == pytest.approx(expected, rel=1e-2)


def test_a_lack_of_handles_is_not_called_corruption(tmp_path, monkeypatch):
    study = make_study(tmp_path / "s", 2)
    opened = os.open

    def none_left(path, *args, **options):
        if str(path).endswith(".safetensors"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", none_left)
    with pytest.raises(StorageError, match="need not be damaged"):
        study.predictions()
    monkeypatch.undo()
    assert len(study.predictions()) == 2
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft <= hard


def verified(folder):
    """Open and read a study, and raise where something of it is damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = rs.open_study(folder)
        study.predictions()
        if not study.verify().ok:
            raise CorruptShardError(study.verify().sentence())


@pytest.mark.parametrize("kind", ["fifo", "folder", "zero"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    folder = copied(make_study(tmp_path / "s", 2).path, tmp_path / "copy")
    for name in ("study.json", "labels.safetensors", "predictions.safetensors", "shard.json", "SHA256SUMS"):
        path = next(folder.rglob(name))
        whole = path.read_bytes()
        path.unlink()
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero")
        assert error_of(lambda: verified(folder)) is not None, name
        path.rmdir() if kind == "folder" else path.unlink()
        path.write_bytes(whole)
    assert rs.open_study(folder).verify().ok
