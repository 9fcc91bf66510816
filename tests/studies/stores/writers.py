"""A writer that may be killed: it publishes small shards into a store. Called as a process of its own.

Arguments: where the store is, number of shards, which writer this is, seed, and the share of steps at which it dies.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from runspread.studies.facts import read_facts
from runspread.studies.files import checksum_lines, json_bytes, sha256
from runspread.studies.homes import StoreHome
from runspread.studies.layout import CHECKSUMS, METRICS, PROVENANCE, SHARD, ShardMetadata
from runspread.studies.stores.urls import open_store

from .servers import OPTIONS


def shard_id(number: int) -> str:
    return hashlib.sha256(f"shard {number}".encode()).hexdigest()[:16]


def staged(folder: Path, writer: int) -> Path:
    """Return a folder with a shard's files, whose bytes are this writer's own, as sums on a GPU are."""
    folder.mkdir()
    (folder / METRICS).write_bytes(f"metrics by {writer}".encode() * 20)
    (folder / PROVENANCE).write_bytes(json_bytes({"writer": writer}))
    (folder / SHARD).write_bytes(json_bytes(ShardMetadata(version=1, position=0, runs=(), labels={})))
    (folder / CHECKSUMS).write_bytes(checksum_lines({name: sha256(folder / name) for name in (METRICS, SHARD)}))
    assert read_facts(folder)
    return folder


class Mortal:
    """A store whose writer may die before or after everything that it does."""

    def __init__(self, store, chance: float, draws: random.Random) -> None:
        self.store, self.chance, self.draws, self.url = store, chance, draws, store.url

    def __getattr__(self, verb: str):
        def act(*words):
            self.perhaps_die()
            answer = getattr(self.store, verb)(*words)
            self.perhaps_die()
            return answer

        return act

    def perhaps_die(self) -> None:
        if self.draws.random() < self.chance:
            os.kill(os.getpid(), signal.SIGKILL)


def main(place: str, shards: int, writer: int, seed: int, chance: float) -> None:
    draws = random.Random(seed)
    options = {**OPTIONS, "endpoint": os.environ["S3"]} if place.startswith("s3:") else None
    home = StoreHome(Mortal(open_store(place, options), chance, draws))
    numbers = list(range(shards))
    draws.shuffle(numbers)
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            name, attempt, done = shard_id(number), 1, False
            while not done:
                at = name if attempt == 1 else f"{name}-{attempt}"
                done = home.publish(at, staged(Path(folder) / f"{attempt}", writer))
                if not done and at not in home.taken:
                    break  # another's content counts
                attempt += 1
            sys.stdout.write(json.dumps([name, at, done]) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:5]), float(sys.argv[5]))
