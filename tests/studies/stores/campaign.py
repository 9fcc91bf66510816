"""Many writers that die publish the same shards into a store that fails; what came of it is counted.

    python -m tests.studies.stores.campaign memory --writers 32 --shards 1000

For ``s3`` the environment variable ``RUNSPREAD_MOTO`` names a Python that has moto: `make test-stores` makes one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from runspread.studies.files import sha256_bytes
from runspread.studies.homes import StoreHome
from runspread.studies.layout import SHARD
from runspread.studies.stores.cleaning import clean
from runspread.studies.stores.marks import read_mark
from runspread.studies.stores.urls import open_store

from .servers import BUCKET, OPTIONS, FaultProxy, s3_server
from .writers import Dead, Work, kill_this_thread, publish_claimed, shard_id

ROOT = Path(__file__).parents[3]


@dataclass
class Told:
    """What writers said: who published which shard, how often one was killed, and how often a verb failed."""

    winners: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    killed: int = 0
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, writer: int, said: dict) -> None:
        with self.lock:
            self.failed += "failed" in said
            if said.get("done"):
                self.winners[said["at"]].add(writer)

    def died(self) -> int:
        with self.lock:
            self.killed += 1
            return self.killed


def as_process(place: str, work: Work, told: Told, living: dict[int, subprocess.Popen], env: dict[str, str]) -> None:
    """Let a process publish; where it dies another begins anew."""
    command = [sys.executable, "-m", "tests.studies.stores.writers", place]
    while True:
        process = subprocess.Popen(
            [*command, json.dumps(asdict(work))], stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **env}
        )
        living[work.writer] = process
        for line in process.communicate()[0].splitlines():
            told.hear(work.writer, json.loads(line))
        if process.returncode >= 0:
            assert process.returncode == 0, f"writer {work.writer} ended with {process.returncode}"
            return
        work = replace(work, seed=1000 * told.died() + work.writer)


def as_thread(place: str, work: Work, told: Told) -> None:
    """Let a thread publish; where it dies another begins anew."""
    while True:
        try:
            return publish_claimed(open_store(place), work, partial(told.hear, work.writer), die=kill_this_thread)
        except Dead:
            work = replace(work, seed=1000 * told.died() + work.writer)


@contextmanager
def killing(living: dict[int, subprocess.Popen], every: float | None) -> Iterator[None]:
    """Kill any of some processes from time to time."""
    ended, draws = threading.Event(), random.Random(1)

    def kill() -> None:
        while not ended.wait(every):
            alive = [process for process in list(living.values()) if process.poll() is None]
            if alive:
                draws.choice(alive).kill()

    if every:
        threading.Thread(target=kill, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def publish_all(
    place: str, writers: int, shards: int, dies: float, *, claimants: int | None = None, fails: float = 0.0,
    every: float | None = None, **env: str,
) -> Counter[str]:  # fmt: skip
    """Let many writers publish the same shards, starting those that die again; return what came of it."""
    told, living = Told(), {}
    works = [Work(w, writers, shards, claimants or writers, w, dies, fails) for w in range(writers)]
    with tempfile.TemporaryDirectory() as mirrors, killing(living, every), ThreadPoolExecutor(writers) as pool:
        if place.startswith("memory:"):
            ended = [pool.submit(as_thread, place, work, told) for work in works]
        else:
            place_of = {"TMPDIR": mirrors, **env}
            ended = [pool.submit(as_process, place, work, told, living, place_of) for work in works]
        for one in ended:
            one.result()
    counts = judged(home_of(place, env.get("S3")), set(told.winners), shards)
    double = sum(len(winners) > 1 for winners in told.winners.values())
    counts.update({"killed": told.killed, "failed": told.failed, "double": double})
    return counts


def home_of(place: str, endpoint: str | None = None) -> StoreHome:
    return StoreHome(open_store(place, {**OPTIONS, "endpoint": endpoint} if endpoint else None))


def judged(home: StoreHome, reported: set[str], shards: int) -> Counter[str]:
    """Return how many shards are published, half-visible, lost or missing, and how many ids are void."""
    store, counts, there = home.store, Counter(), set()
    home.refresh()
    for prefix in store.list("shards/").prefixes:
        try:
            mark = read_mark(store.read(f"{prefix}{SHARD}"))
        except KeyError:
            continue
        if mark.void:
            counts["void"] += 1
            continue
        there.add(prefix.split("/")[1])
        try:
            bodies = {file: store.read(f"{prefix}{mark.at}/{file}") for file in mark.files}
        except KeyError:
            bodies = {}
        whole = all(sizes(bodies.get(file, b"")) == tuple(mark.files[file]) for file in mark.files)
        counts["published" if whole else "half-visible"] += 1
    counts["lost"] = len(reported - there)
    counts["missing"] = sum(not any(name.startswith(shard_id(k)) for name in there) for k in range(shards))
    return counts


def sizes(data: bytes) -> tuple[int, str]:
    return len(data), sha256_bytes(data)


def left_over(home: StoreHome, shards: int) -> int:
    """Clean what died left, and return how many objects are there beyond three files of each shard."""
    clean(home.store, "shards/", SHARD, older_than=-60)
    attempts = [one for shard in home.store.list("shards/").prefixes for one in home.store.list(shard).prefixes]
    return sum(len(home.store.list(attempt).objects) for attempt in attempts) - 3 * shards


def run(options: argparse.Namespace) -> Counter[str]:
    """Run a campaign on one store."""
    settings = {"claimants": options.claimants, "every": options.every or None}
    size = (options.writers, options.shards, options.dies)
    if options.store == "s3":
        with s3_server() as address:
            proxy, place = FaultProxy(address, options.fails, late=True), f"s3://{BUCKET}/campaign"
            counts = publish_all(place, *size, **settings, S3=proxy.address)
            time.sleep(1)  # what is late has come
            counts.update({"failed": proxy.faults.total(), "left over": left_over(home_of(place, address), size[1])})
            return counts
    with tempfile.TemporaryDirectory() as folder:
        place = folder if options.store == "folder" else "memory://campaign"
        counts = publish_all(place, *size, fails=options.fails, **settings)
        counts["left over"] = left_over(home_of(place), size[1])
        return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=("folder", "memory", "s3"))
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--claimants", type=int, default=2, help="Writers, of other bytes, that publish a shard.")
    parser.add_argument("--dies", type=float, default=0.002, help="Chance of a kill before and after each verb.")
    parser.add_argument("--fails", type=float, default=0.05, help="Chance of a failure at each verb or request.")
    parser.add_argument("--every", type=float, default=5.0, help="Seconds between kills by timer; 0: none.")
    options = parser.parse_args()
    counts = run(options)
    names = ("published", "lost", "half-visible", "double", "missing", "left over", "void", "killed", "failed")
    said = ", ".join(f"{counts[name]:,} {name}" for name in names)
    sys.stdout.write(f"{options.store}, {options.writers} writers x {options.shards:,} shards: {said}\n")
    broken = any(counts[name] for name in ("lost", "half-visible", "double", "missing", "left over"))
    sys.exit(1 if broken or counts["published"] != options.shards else 0)


if __name__ == "__main__":
    main()
