"""A writer that may be killed: it publishes small shards into a store. Called as a process of its own.

Arguments: where the store is, and the fields of `Work` as JSON. It prints a line for each shard and each failure.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runspread.errors import StorageError
from runspread.studies.facts import read_facts
from runspread.studies.files import checksum_lines, json_bytes, sha256
from runspread.studies.homes import StoreHome
from runspread.studies.layout import CHECKSUMS, METRICS, PROVENANCE, SHARD, ShardMetadata
from runspread.studies.stores.urls import open_store

from .servers import OPTIONS


@dataclass(frozen=True)
class Work:
    """What one writer does: each shard has some claimants, which are this writer and its neighbours."""

    writer: int
    writers: int
    shards: int
    claimants: int
    seed: int
    dies: float  # the chance before and after each verb
    fails: float = 0.0  # the chance that a verb fails, half of these after it was carried out

    def numbers(self) -> list[int]:
        return [n for n in range(self.shards) if (self.writer - n) % self.writers < self.claimants]


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


class Dead(BaseException):
    """A writer that is a thread was killed: it does nothing any more."""


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_this_thread() -> None:
    raise Dead


class Mortal:
    """A store whose writer may die before or after everything that it does, and that fails at times."""

    def __init__(self, store, work: Work, draws: random.Random, die: Callable[[], None] = kill_this_process) -> None:
        self.store, self.work, self.draws, self.url, self.die = store, work, draws, store.url, die
        self.dead = False

    def __getattr__(self, verb: str):
        def act(*words):
            self.perhaps_die()
            fails = self.draws.random() < self.work.fails
            if fails and self.draws.random() < 0.5:
                raise StorageError(f"{verb} failed before it was carried out")
            answer = getattr(self.store, verb)(*words)
            self.perhaps_die()
            if fails:
                raise StorageError(f"{verb} failed after it was carried out")
            return answer

        return act

    def perhaps_die(self) -> None:
        if self.dead or self.draws.random() < self.work.dies:
            self.dead = True
            self.die()


def publish_claimed(store, work: Work, note: Callable[[object], None], die=kill_this_process) -> None:
    """Publish the shards of a writer, each until it is known what came of it."""
    draws = random.Random(work.seed)
    home = StoreHome(Mortal(store, work, draws, die))
    numbers = work.numbers()
    draws.shuffle(numbers)
    for number in numbers:
        name, attempt, done = shard_id(number), 1, False
        while not done:
            at = name if attempt == 1 else f"{name}-{attempt}"
            try:
                with tempfile.TemporaryDirectory() as folder:
                    done = home.publish(at, staged(Path(folder) / "shard", work.writer))
            except StorageError as error:
                note({"failed": str(error)})
                continue
            if not done and at not in home.taken:
                break  # another's content counts
            attempt += 1
        note({"shard": name, "at": at, "done": done})


def main(place: str, work: Work) -> None:
    options = {**OPTIONS, "endpoint": os.environ["S3"]} if place.startswith("s3:") else None

    def note(said: object) -> None:
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()

    publish_claimed(open_store(place, options), work, note)


if __name__ == "__main__":
    main(sys.argv[1], Work(**json.loads(sys.argv[2])))
