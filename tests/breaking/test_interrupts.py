"""Promise 19: an interrupt is polite, and no process outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import runspread as rs
from tests.breaking.tools import alive, environment

pytest.importorskip("torch")

TRAIN = """
import sys, runspread as rs
if __name__ == "__main__":
    recipe = rs.recipe("digits-mlp", epochs=400)
    print("begun", flush=True)
    rs.train(recipe, runs=8, out=sys.argv[1], workers=2, executor="processes")
"""


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def workers_of(process: subprocess.Popen[bytes], seconds: float = 120) -> list[int]:
    """Wait until two workers are there, and return all processes below."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        busy = [pid for pid in children(process.pid) if "loky" in Path(f"/proc/{pid}/cmdline").read_text()]
        if len(busy) >= 3:  # two workers, and what loky keeps resources with
            return busy
        time.sleep(0.2)
    raise AssertionError("no workers began")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(tmp_path, number, tally):
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "study")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    below = workers_of(process)
    time.sleep(1)
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    tally(f"workers after {number.name} of their parent", len(below), len(alive(below, 30)))


def test_a_worker_ends_with_its_parent(tmp_path):
    """Idle or computing: a thread of its own watches."""
    middle = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())])\n"
        "print(child.pid, flush=True)\ntime.sleep(100)\n"
    )
    busy = (
        f"import sys\nsys.path.insert(0, {str(Path(rs.__file__).parent / 'training')!r})\n"
        "import watching\nwatching.end_with(int(sys.argv[1]))\nwhile True: pass\n"
    )
    process = subprocess.Popen([sys.executable, "-c", middle, busy], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    time.sleep(1)
    assert not process.poll()
    assert alive([child], 0.1) == [child]
    process.kill()
    process.communicate()
    assert alive([child], 30) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_is_polite_and_the_same_command_goes_on(tmp_path, number):
    command = [sys.executable, "-m", "runspread", "train", "digits-mlp", "--runs", "4", "--workers", "1", "-o",
               str(tmp_path / "study"), "--set", "epochs=300"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    end = time.monotonic() + 120
    while not (tmp_path / "study" / "study.json").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert rs.open_study(tmp_path / "study").verify().ok


def test_two_interrupts_end_at_once_without_a_crash():
    code = (
        "import time\nfrom runspread._cli.interrupts import handle_signals\n"
        "handle_signals()\n"
        "try:\n    print('begun', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('once', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "once\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - started < 20
