"""Importing large logs: time and memory, each in a process of its own, and TensorBoard's reader beside."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sqlite3
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

from runspread.importers.protobuf import masked_crcs

PATTERN = r"step:(?P<step>\d+)/\d+ train_loss:(?P<train_loss>[\d.]+) val_loss:(?P<val_loss>[\d.]+)"
OURS = """
import json, resource, sys, time
import runspread as rs
options = json.loads(sys.argv[2])
started = time.perf_counter()
runs = rs.import_runs(sys.argv[1], **options)
points = sum(len(curve.values) for run in runs for curve in run.curves.values())
total = sum(float(curve.values.sum()) for run in runs for curve in run.curves.values())
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - started, time.process_time(), most, points, total]))
"""
THEIRS = """
import json, resource, sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
started = time.perf_counter()
found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
found.Reload()
curves = {tag: found.Scalars(tag) for tag in found.Tags()["scalars"]}
points = sum(map(len, curves.values()))
total = sum(sum(point.value for point in curve) for curve in curves.values())
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - started, time.process_time(), most, points, total]))
"""


def varint(number: int) -> bytes:
    found = b""
    while number >= 0x80:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def framed(records: list[bytes]) -> bytes:
    """Return records with their checksums; those of one length are summed together."""
    sums: list[bytes] = [b""] * len(records)
    lengths = np.array([len(record) for record in records])
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        data = np.frombuffer(b"".join(records[row] for row in rows), np.uint8).reshape(len(rows), length)
        for row, crc in zip(rows, masked_crcs(data), strict=True):
            sums[row] = struct.pack("<I", crc)
    heads = {int(length): struct.pack("<Q", length) for length in np.unique(lengths)}
    crcs = {
        length: struct.pack("<I", masked_crcs(np.frombuffer(head, np.uint8)[None])[0]) for length, head in heads.items()
    }
    return b"".join(
        heads[len(record)] + crcs[len(record)] + record + total for record, total in zip(records, sums, strict=True)
    )


def write_events(folder: Path, points: int, tags: int = 10) -> None:
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).random(points).astype("f4")
    records = [b"\x09" + struct.pack("<d", 1.7e9) + field(3, b"brain.Event:2")]
    for row, value in enumerate(values):
        step, tag = divmod(row, tags)
        summary = field(1, field(1, b"train/metric_%d" % tag) + b"\x15" + struct.pack("<f", value))
        at = b"\x10" + varint(step) if step else b""
        records.append(b"\x09" + struct.pack("<d", 1.7e9 + row / 100) + at + field(5, summary))
    (folder / "events.out.tfevents.1700000000.host.1.0").write_bytes(framed(records))


def write_texts(folder: Path, files: int, lines: int) -> None:
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).random((8, lines, 2))
    texts = [
        "".join(
            f"[12:00:00] step:{k}/{lines} train_loss:{a:.4f} val_loss:{b:.4f} lr:0.1\n" for k, (a, b) in enumerate(rows)
        )
        for rows in values
    ]
    for number in range(files):
        (folder / f"seed_{number}.txt").write_text(texts[number % len(texts)])


def write_database(path: Path, points: int, runs: int = 10) -> None:
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, "
        "start_time INTEGER, end_time INTEGER, lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);"
        "CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL, run_uuid "
        "VARCHAR(32) NOT NULL, step BIGINT NOT NULL, is_nan BOOLEAN NOT NULL, "
        "PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));"
        "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
        "CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);"
    )
    values, each = np.random.default_rng(0).random(points), points // runs
    for run in range(runs):
        id = f"{run:032x}"
        connection.execute("INSERT INTO runs VALUES (?, '', 'FINISHED', 0, 0, 'active', '', 1)", (id,))
        rows = [(f"metric_{k % 5}", values[run * each + k], 1700000000000 + k, id, k // 5, 0) for k in range(each)]
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()


def write_wandb(folder: Path, points: int, each: int = 5) -> None:
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).random((points // each, each))
    found = bytearray(b":W&B\xe1\xbe\x00")
    for step, row in enumerate(values):
        items = [
            field(1, field(1, b"metric_%d" % k) + field(16, repr(float(value)).encode())) for k, value in enumerate(row)
        ]
        items.append(field(1, field(1, b"_timestamp") + field(16, b"1700000000.5")))
        record = field(2, b"".join(items) + field(2, b"\x08" + varint(step)))
        first = True
        while True:
            room = 32768 - len(found) % 32768
            if room < 7:
                found += bytes(room)
                room = 32768
            part, record = record[: room - 7], record[room - 7 :]
            kind = 1 if first and not record else 2 if first else 3 if record else 4
            found += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part
            first = False
            if not record:
                break
    (folder / "run-abc.wandb").write_bytes(bytes(found))


def measured(interpreter: str, code: str, path: Path, options: dict[str, object]) -> str:
    command = [interpreter, "-c", code, str(path), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    wall, processor, megabytes, points, total = json.loads(done.stdout.splitlines()[-1])
    return f"{wall:6.2f} s ({processor:.2f} s of processor)  {megabytes:6.0f} MB  {points:,} points, sum {total:.6f}"


def write(root: Path, points: int, texts: int) -> None:
    write_events(root / "events" / "run", points)
    write_texts(root / "texts", texts, 2000)
    write_database(root / "mlflow" / "mlflow.db", points)
    write_wandb(root / "wandb" / "run-20240101_000000-abc", points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--tensorboard", metavar="PYTHON", help="An interpreter that has tensorboard.")
    parser.add_argument("--folder", type=Path, help="Where the logs are written, or were.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = given.folder or Path(temporary)
        if not (root / "wandb").exists():  # by another process: its memory would count for those that it starts
            writing = multiprocessing.get_context("spawn").Process(target=write, args=(root, given.points, given.texts))
            writing.start()
            writing.join()
        jobs = {
            f"event file, {given.points:,} scalars": (root / "events", {}),
            f"{given.texts:,} text logs of 2,000 lines": (root / "texts", {"pattern": PATTERN}),
            f"MLflow SQLite, {given.points:,} points": (root / "mlflow", {}),
            f"W&B file, {given.points:,} points": (root / "wandb", {}),
        }
        for name, (path, options) in jobs.items():
            print(f"{name:38s} {measured(sys.executable, OURS, path, options)}", flush=True)
        if given.tensorboard:
            beside = measured(given.tensorboard, THEIRS, root / "events" / "run", {})
            print(f"{'the same with EventAccumulator':38s} {beside}")


if __name__ == "__main__":
    main()
