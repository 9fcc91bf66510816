"""Logs as the libraries write them, made without them: for tests of importers."""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from pathlib import Path


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = b""
    while number >= 0x80:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def field(number: int, value: bytes | int | float) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3) + varint(value)


# ------------------------------------------------------------------ TensorBoard


def event(*, time=1.7e9, step=0, summary=b"", **others: bytes) -> bytes:
    data = field(1, float(time)) + (field(2, step) if step else b"") + (field(5, summary) if summary else b"")
    return data + b"".join(others.values())


def scalar(tag: str, value: float) -> bytes:
    return field(1, field(1, tag.encode()) + varint(2 << 3 | 5) + struct.pack("<f", value))


def tensor_scalar(tag: str, value: float, *, double=False) -> bytes:
    kind, content = (2, struct.pack("<d", value)) if double else (1, struct.pack("<f", value))
    tensor = field(1, kind) + field(2, b"") + field(4, content)
    return field(1, field(1, tag.encode()) + field(8, tensor) + field(9, field(1, field(1, b"scalars"))))


def text_summary(tag: str, text: str) -> bytes:
    tensor = field(1, 7) + field(8, text.encode())
    return field(1, field(1, tag.encode()) + field(8, tensor) + field(9, field(1, field(1, b"text"))))


def hparams_summary(values: dict) -> bytes:
    entries = b""
    for key, value in values.items():
        kind = field(4, int(value)) if isinstance(value, bool) else field(2, float(value)) if not isinstance(
            value, str) else field(3, value.encode())  # fmt: skip
        entries += field(1, field(1, key.encode()) + field(2, kind))
    content = field(3, entries)
    metadata = field(1, field(1, b"hparams") + field(2, content))
    return field(1, field(1, b"_hparams_/session_start_info") + field(9, metadata))


START = field(7, field(1, 1))


def framed(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    return head + masked(head) + data + masked(data)


def event_file(folder: Path, events: list[bytes], *, seconds=1700000000, host="myhost", number=0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{seconds}.{host}.4711.{number}"
    path.write_bytes(b"".join(map(framed, [event(version=field(3, b"brain.Event:2")), *events])))
    return path


def curve_events(tag: str, points: dict[int, float] | list, *, start=1.7e9, write=scalar) -> list[bytes]:
    pairs = points.items() if isinstance(points, dict) else points
    return [event(time=start + k, step=step, summary=write(tag, value)) for k, (step, value) in enumerate(pairs)]


# ------------------------------------------------------------------ W&B


def item(key: str, value: object, *, nested=()) -> bytes:
    names = b"".join(field(2, name.encode()) for name in nested) if nested else field(1, key.encode())
    text = value if isinstance(value, str) and value.startswith("raw:") else json.dumps(value)
    return field(1, names + field(16, text.removeprefix("raw:").encode()))


def history(step: int | None, **values: object) -> bytes:
    items = b"".join(item(key, value) for key, value in values.items())
    return field(2, items + (field(2, field(1, step)) if step is not None else b""))


def run_record(id: str, config: dict, name="") -> bytes:
    entries = b"".join(item(key, value) for key, value in config.items())
    return field(
        17, field(1, id.encode()) + field(4, entries) + field(8, name.encode()) + field(17, field(1, 1700000000))
    )


def exit_record(code: int) -> bytes:
    return field(18, field(1, code) if code else b"")


def wandb_file(folder: Path, id: str, records: list[bytes], *, cut: int | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    found = b":W&B\xe1\xbe\x00"
    for record in records:
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
    path = folder / f"run-{id}.wandb"
    path.write_bytes(found[:cut])
    return path


# ------------------------------------------------------------------ MLflow


def mlflow_run(folder: Path, id: str, *, metrics=None, params=None, tags=None, status=3, stage="active", key="run_id"):
    place = folder / id
    for name in ("metrics", "params", "tags", "artifacts"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "meta.yaml").write_text(
        f"artifact_uri: file:///home/someone/mlruns/1/{id}/artifacts\nend_time: null\nexperiment_id: '1'\n"
        f"lifecycle_stage: {stage}\n{key}: {id}\nstart_time: 1700000000000\nstatus: {status}\nuser_id: someone\n"
    )
    for name, lines in (metrics or {}).items():
        path = place / "metrics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{1700000000000 + 1000 * k} {line}\n" for k, line in enumerate(lines)))
    for kind, values in (("params", params), ("tags", tags)):
        for name, value in (values or {}).items():
            (place / kind / name).write_text(value)
    return place


def mlflow_database(path: Path, runs: dict[str, dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, "
        "start_time INTEGER, end_time INTEGER, lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);"
        "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);"
        "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
        "CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);"
    )
    for id, facts in runs.items():
        connection.execute(
            "INSERT INTO runs VALUES (?, ?, ?, 1700000000000, 0, ?, '', 1)",
            (id, facts.get("name", ""), facts.get("status", "FINISHED"), facts.get("stage", "active")),
        )
        for key, rows in facts.get("metrics", {}).items():
            connection.executemany(
                "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)",
                [(key, value, 1700000000000 + k, id, step, nan) for k, (step, value, nan) in enumerate(rows)],
            )
        connection.executemany(
            "INSERT INTO params VALUES (?, ?, ?)", [(k, v, id) for k, v in facts.get("params", {}).items()]
        )
        connection.executemany(
            "INSERT INTO tags VALUES (?, ?, ?)", [(k, v, id) for k, v in facts.get("tags", {}).items()]
        )
    connection.commit()
    connection.close()
    return path


# ------------------------------------------------------------------ others


def lightning_version(folder: Path, rows: str, hparams="seed: 0\nlr: 0.1\n", number=0) -> Path:
    place = folder / f"version_{number}"
    place.mkdir(parents=True, exist_ok=True)
    if rows:
        (place / "metrics.csv").write_text(rows)
    if hparams is not None:
        (place / "hparams.yaml").write_text(hparams)
    return place


def epochs(values, *, name="val_loss", per_epoch=8) -> str:
    rows = "".join(f"{k},{per_epoch * k + per_epoch - 1},{value}\n" for k, value in enumerate(values))
    return f"epoch,step,{name}\n{rows}"


def trainer_state(folder: Path, steps: int, *, most=40, seed_text="") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    history = [{"epoch": k / 10, "step": k, "loss": 1 / (k + 1), "eval_runtime": 0.1} for k in range(5, steps + 1, 5)]
    (folder / "trainer_state.json").write_text(
        json.dumps({"global_step": steps, "max_steps": most, "log_history": history})
    )
    if seed_text:
        (folder / "README.md").write_text(f"# model\n\n- learning_rate: 0.001\n- seed: {seed_text}\n")
    return folder


def sacred_run(
    folder: Path, number: int, *, status="COMPLETED", seed=1, metrics=None, result=None, config=None, **facts
):
    place = folder / str(number)
    place.mkdir(parents=True, exist_ok=True)
    (place / "run.json").write_text(
        json.dumps(
            {"experiment": {"name": "blobs"}, "heartbeat": "2020-01-01T00:00:00.000000", "status": status,
             "result": result, "start_time": "2020-01-01T00:00:00.000000", "host": {"hostname": "secret-host"},
             "command": "python secret.py"} | facts
        )
    )  # fmt: skip
    (place / "config.json").write_text(json.dumps({"seed": seed, "lr": 0.1} | (config or {})))
    curves = {
        name: {"steps": list(range(len(values))), "values": values,
               "timestamps": [f"2020-01-01T00:00:{k:02d}.000000" for k in range(len(values))]}
        for name, values in (metrics or {}).items()
    }  # fmt: skip
    (place / "metrics.json").write_text(json.dumps(curves))
    return place


def dvclive_run(folder: Path, name: str, *, curves=None, summary=None, params="seed: 1\nlr: 0.1\n"):
    place = folder / name
    for metric, points in (curves or {}).items():
        path = place / "plots" / "metrics" / f"{metric}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        column = metric.rpartition("/")[2]
        path.write_text(f"step\t{column}\n" + "".join(f"{step}\t{value}\n" for step, value in points))
    (place / "metrics.json").write_text(json.dumps(summary or {"step": 1}))
    (place / "params.yaml").write_text(params)
    return place


def trackio_database(path: Path, runs: dict[str, dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, "
        "step INTEGER NOT NULL, metrics TEXT NOT NULL); CREATE TABLE configs (id INTEGER PRIMARY KEY, run_name TEXT, "
        "config TEXT, created_at TEXT);"
    )
    for name, facts in runs.items():
        connection.executemany(
            "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?)",
            [(f"2024-01-01T00:00:{k:02d}", name, k, json.dumps(row)) for k, row in enumerate(facts["rows"])],
        )
        connection.execute(
            "INSERT INTO configs (run_name, config, created_at) VALUES (?, ?, '')", (name, json.dumps(facts["config"]))
        )
    connection.commit()
    connection.close()
    return path
