"""W&B's local files: ``run-ID.wandb``, records of protocol buffers in LevelDB's framing; offline runs have no other."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .formats import Claim, Format, Taken, list_files
from .limits import Clock, SourceProblem, opened
from .options import Options
from .plain_yaml import read_yaml
from .protobuf import BadRecordError, fields, fields_of, signed, text_of, varint
from .records import NO_STEP, RawRun
from .statuses import CRASHED, FINISHED, running_or_killed
from .values import number_of, parsed_json
from .walking import Folder, Tree

_BLOCK = 32768
_MAGIC = b":W&B\xe1\xbe\x00"
_AXES = ("global_step", "trainer/global_step")
_OWN = ("_step", "_runtime", "_timestamp", "_wandb")
_ID = re.compile(r"run-(.+)\.wandb\Z")


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each run's folder; a copy of ``latest-run`` is one of a sibling."""
    del options
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        for name in sorted(folder.files):
            if _ID.match(name):
                alone = folder.name.startswith(("run-", "offline-run-", "dryrun-", "latest-run"))
                claims.append(Claim(folder, [folder.path / name], whole=alone))
    return claims


class _Reader:
    """Takes the records of one file for a run; rows of the history are kept as flat lists."""

    def __init__(self, run: RawRun) -> None:
        self.run = run
        self.exit: int | None = None
        self.media: set[str] = set()  # beginnings of names that describe pictures and tables
        self.names: dict[bytes, int] = {}
        self.which: list[int] = []  # number of the metric of each value
        self.values: list[float] = []
        self.ends: list[int] = []  # how many values there are after each row
        self.steps: list[int] = []

    def take(self, data: bytes) -> None:
        """Take one record."""
        for number, wire, value in fields(data):
            if wire != 2:
                continue
            if number == 2:
                self._whole_row(value)
            elif number == 3:
                self._summary(value)
            elif number == 5:
                self._config(value)
            elif number == 17:
                self._run(value)
            elif number == 18:
                self.exit = int(fields_of(value).get(1, 0))

    def _whole_row(self, data: bytes) -> None:
        """Take a row, or nothing of it."""
        before = len(self.which)
        try:
            self._history(data)
        except BadRecordError:
            del self.which[before:], self.values[before:]
            raise

    def _history(self, data: bytes) -> None:
        step, at, end = NO_STEP, 0, len(data)
        while at < end:
            key, length = data[at], data[at + 1] if at + 1 < end else 0
            at += 2
            if length >= 0x80:
                length, at = varint(data, at - 1)
            value = data[at : at + length]
            at += length
            if key == 0x0A:
                self._item(value)
            elif key == 0x12:
                step = signed(fields_of(value).get(1, 0))
            else:
                raise BadRecordError
        self.steps.append(step)
        self.ends.append(len(self.which))

    def _item(self, data: bytes) -> None:
        """Add the numbers of one item; the common form, a key and a short number, is read without its parser."""
        length = data[1] if len(data) > 1 else 0x80
        at = 4 + length
        if length < 0x80 and data[0] == 0x0A and data[at - 2 : at] == b"\x82\x01" and len(data) == at + 1 + data[at]:
            try:
                value = float(data[at + 1 :])
            except ValueError:
                pass
            else:
                self._put(data[2 : at - 2], value)
                return
        found: list[tuple[str, float]] = []
        name, value = _key_and_value(data)
        self._flatten(name, value, found)
        for key, number in found:
            self._put(key.encode(), number)

    def _put(self, name: bytes, value: float) -> None:
        number = self.names.get(name)
        if number is None:
            number = self.names[name] = len(self.names)
        self.which.append(number)
        self.values.append(value)

    def _flatten(self, name: str, value: Any, found: list[tuple[str, float]], depth: int = 0) -> None:
        if isinstance(value, dict) and depth < 20:
            for key, item in value.items():
                self._flatten(f"{name}.{key}", item, found, depth + 1)
            if "_type" in value:
                self.media.add(f"{name}.")
                self.run.left_out[f"media of type {str(value['_type'])[:40]}"] += 1
            return
        number = number_of(value)
        if number is not None:
            found.append((name, number))
        elif name.endswith("._type"):
            self.media.add(name.removesuffix("_type"))
        elif not name.endswith(("_type", "path", "sha256")):
            self.run.left_out[f"values of {name} that are no numbers"] += 1

    def _summary(self, data: bytes) -> None:
        for number, wire, item in fields(data):
            if number == 1 and wire == 2:
                name, value = _key_and_value(item)
                found: list[tuple[str, float]] = []
                if not name.startswith("_"):
                    self._flatten(name, value, found)
                self.run.summary |= {key: each for key, each in found if key.partition(".")[0] not in _OWN}

    def _config(self, data: bytes) -> None:
        for number, wire, item in fields(data):
            if number == 1 and wire == 2:
                name, value = _key_and_value(item)
                if name.partition(".")[0] != "_wandb":
                    _put(self.run.config, name.split(".") if "." in name else [name], value)
                    self.run.has_config = True

    def _run(self, data: bytes) -> None:
        for number, wire, value in fields(data):
            if number == 4 and wire == 2:
                self._config(value)
            elif number == 8 and wire == 2:
                self.run.name = text_of(value)
            elif number == 1 and wire == 2:
                self.run.id = text_of(value)
            elif number == 17 and wire == 2:
                seconds = fields_of(value).get(1)
                self.run.started = float(seconds) if isinstance(seconds, int) else None


def _put(config: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        inside = config.setdefault(name, {})
        if not isinstance(inside, dict):
            return
        config = inside
    config[names[-1]] = value


def _key_and_value(data: bytes) -> tuple[str, Any]:
    """Return the key, dotted where it is nested, and the value of an item."""
    key, nested, value = "", [], b"null"
    for number, wire, each in fields(data):
        if wire == 2 and number == 1:
            key = text_of(each)
        elif wire == 2 and number == 2:
            nested.append(text_of(each))
        elif wire == 2 and number == 16:
            value = each
    try:
        found = parsed_json(text_of(value), "a value")
    except SourceProblem:
        found = None
    return ".".join(nested) or key, found


def records(file: IO[bytes], clock: Clock) -> Iterator[bytes]:
    """Yield the whole records of a file; raise with what was wrong where it ends before its end.

    Raises
    ------
    SourceProblem
        It does not begin as such a file, a checksum is wrong, or a record is too long.
    """
    head = file.read(7)
    if head[:4] != _MAGIC[:4]:
        raise SourceProblem("it is no W&B file")
    parts: list[bytes] = []
    for kind, data in _chunks(file):
        parts.append(data)
        if sum(map(len, parts)) > clock.limits.record_bytes:
            raise SourceProblem(f"a record has more than {clock.limits.record_bytes:,} bytes (a limit)")
        if kind in (1, 4):
            yield parts[0] if len(parts) == 1 else b"".join(parts)
            parts = []
    if parts:
        raise SourceProblem("it ends inside a record: read up to the last whole one")


def _chunks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield type and data of each chunk: 1 is a whole record, 2 to 4 the first, a middle and the last part of one."""
    offset = 7
    while True:
        left = _BLOCK - offset % _BLOCK
        if left < 7:
            offset += len(file.read(left))
            if offset % _BLOCK:
                return
            continue
        header = file.read(7)
        length, kind = int.from_bytes(header[4:6], "little"), header[6] if len(header) == 7 else 0
        if len(header) < 7 or (kind == 0 and not length):  # the end, or zeros that were written ahead
            return
        data = file.read(length)
        offset += 7 + length
        if len(data) < length:
            raise SourceProblem("it ends inside a record: read up to the last whole one")
        if zlib.crc32(data, zlib.crc32(header[6:7])) != int.from_bytes(header[:4], "little"):
            raise SourceProblem("a checksum is wrong: read up to there")
        yield kind, data


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one file; `join` puts those of one id together."""
    path, folder = claim.files[0], claim.folder
    match = _ID.match(path.name)
    run = RawRun(match[1] if match else path.stem, "wandb", folder.relative, files=[path])
    reader = _Reader(run)
    with opened(path) as file:
        try:
            for count, data in enumerate(records(file, clock)):
                if count % 256 == 0:
                    clock.check()
                clock.take(len(data))
                try:
                    reader.take(data)
                except BadRecordError:
                    run.left_out["unreadable records"] += 1
        except SourceProblem as problem:
            if "is no W&B" in str(problem) or "(a limit" in str(problem):
                raise
            run.notes.append(f"{path.name}: {problem}")
    if path.lstat().st_size <= 7:
        run.notes.append(f"{path.name} has {path.lstat().st_size} bytes: nothing was flushed before the run was killed")
    rows = _Rows(reader)
    run.media = {name for name in (*rows.names, *run.summary) if name.startswith(tuple(reader.media))}
    _add_rows(run, rows, options)
    _say_status(run, reader.exit, rows, options)
    _add_config_file(run, folder, options)
    list_files(run, folder)
    return [run]


class _Rows:
    """The history of one file as arrays: number of the metric, value and row of each point, step of each row."""

    def __init__(self, reader: _Reader) -> None:
        self.names = [name.decode("utf-8", errors="replace") for name in reader.names]
        self.which, self.values = np.array(reader.which, np.int32), np.array(reader.values, np.float64)
        counts = np.diff(np.array([0, *reader.ends], np.int64))
        self.row = np.repeat(np.arange(len(counts)), counts)[: len(self.which)]
        self.which, self.values = self.which[: len(self.row)], self.values[: len(self.row)]
        self.steps = np.array(reader.steps, np.int64)
        logged = self.column("_step")
        lacking = (self.steps == NO_STEP) & (np.abs(logged) < 2**62)  # not NaN either
        self.steps[lacking] = logged[lacking].astype(np.int64)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a metric's value in each row, NaN where there is none."""
        found = np.full(len(self.steps), np.nan)
        if name in self.names:
            own = self.which == self.names.index(name)
            found[self.row[own]] = self.values[own]
        return found

    def used(self) -> NDArray[np.bool_]:
        """Return which points are of metrics, and not W&B's own."""
        own = np.array([name.startswith(_OWN) for name in self.names], bool)
        return ~own[self.which] if len(self.names) else np.zeros(0, bool)


def _add_rows(run: RawRun, rows: _Rows, options: Options) -> None:
    """Add the rows of a history, on a logged step where every row has one that does not decrease."""
    used = rows.used()
    axis = _axis(rows, used, options)
    steps = rows.steps
    if axis is not None:
        run.notes.append(f"{axis} is the step, not the count of calls")
        column = rows.column(axis)
        steps = np.where(np.isnan(column), NO_STEP, column).astype(np.int64)
        used &= rows.which != rows.names.index(axis)
    there = np.flatnonzero(used)
    numbers = np.zeros(len(rows.names), np.int32)
    for number in np.unique(rows.which[there]).tolist():
        numbers[number] = run.log.number(rows.names[number])
    run.log.extend(
        numbers[rows.which[there]],
        steps[rows.row[there]],
        rows.values[there],
        rows.column("_timestamp")[rows.row[there]],
    )


def _axis(rows: _Rows, used: NDArray[np.bool_], options: Options) -> str | None:
    needed = np.unique(rows.row[used])
    for name in (options.step,) if options.step else (*_AXES, "epoch"):
        values = rows.column(name)[needed]
        if not len(values) or not bool(np.isfinite(values).all()) or bool((values != np.floor(values)).any()):
            continue
        if values[0] >= 0 and values[-1] > values[0] and bool((np.diff(values) >= 0).all()):
            return name
    return None


def _say_status(run: RawRun, code: int | None, rows: _Rows, options: Options) -> None:
    if code is not None:
        run.status = FINISHED if code == 0 else CRASHED
        run.evidence = f"exit code {code}"
        return
    times = rows.column("_timestamp")
    latest = float(np.nanmax(times)) if np.isfinite(times).any() else None
    run.status, run.evidence = running_or_killed(run.files, options.stale, "no exit record", latest)


def _add_config_file(run: RawRun, folder: Folder, options: Options) -> None:
    """Add keys of ``files/config.yaml`` that the records lack; what W&B keeps there of its own is never taken."""
    inside = folder.folders.get("files")
    if inside is None or "config.yaml" not in inside.files:
        return
    try:
        found = read_yaml(inside.path / "config.yaml", options.limits, run.left_out)
    except SourceProblem as problem:
        run.notes.append(str(problem))
        return
    for name, item in found.items() if isinstance(found, dict) else ():
        if name not in ("_wandb", "wandb_version") and isinstance(item, dict) and "value" in item:
            run.config.setdefault(str(name), item["value"])
            run.has_config = True


def join(runs: list[RawRun]) -> list[RawRun]:
    """Put the folders of one id together, in order of time; equal ones are copies."""
    by_id: dict[str, list[RawRun]] = defaultdict(list)
    for run in runs:
        by_id[run.id].append(run)
    joined: list[RawRun] = []
    for parts in by_id.values():
        parts.sort(key=lambda run: (_time_of(run.path), run.path))
        distinct: list[RawRun] = []
        for part in parts:
            if not any(_same(part, other) for other in distinct):
                distinct.append(part)
        first = distinct[0]
        for part in distinct[1:]:
            _append(first, part)
        joined.append(first)
    return joined


def _time_of(path: str) -> str:
    found = re.search(r"(\d{8}_\d{6})", path)
    return found[1] if found else "9"


def _same(a: RawRun, b: RawRun) -> bool:
    sizes = {path.lstat().st_size for path in (a.files[0], b.files[0])}
    return len(sizes) == 1 and a.files[0].read_bytes() == b.files[0].read_bytes()


def _append(run: RawRun, later: RawRun) -> None:
    """Add a later session of the same run."""
    run.log.begin_segment()
    points = later.log.points()
    numbers = [run.log.number(name) for name in later.log.names]
    if len(points.which):
        run.log.extend(np.array(numbers, np.int32)[points.which], points.steps, points.values, points.times)
    run.config |= later.config
    run.has_config |= later.has_config
    run.summary |= later.summary
    run.status, run.evidence = later.status, f"{later.evidence}, in the last of its sessions"
    run.files += later.files
    run.notes += [note for note in later.notes if note not in run.notes]
    run.left_out.update(later.left_out)
    run.outputs += later.outputs


FORMAT = Format("wandb", "W&B", "run-ID.wandb", find, read, join)
