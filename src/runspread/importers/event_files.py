"""One event file of TensorBoard: framing, checksums and the five fields that scalars need; all else is skipped."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .limits import Clock, opened
from .protobuf import BadRecordError, double, fields, fields_of, masked_crc, masked_crcs, signed, text_of, varint

_BLOCK = 8 * 2**20
_KINDS = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}  # types of tensors whose content is bytes
_HPARAMS = "_hparams_/"


class Scalars(NamedTuple):
    """Points of one block: number of the metric, step, value, wall time [points]; and where a session starts."""

    which: NDArray[np.int32]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]
    starts: list[int]


@dataclass
class EventFile:
    """What one event file holds.

    Attributes
    ----------
    names : list of str
        Tags of scalars; points refer to them by number.
    blocks : list of Scalars
        The points, in order.
    texts : dict of str to str
        Summaries of text, the last of each tag.
    hparams : dict of str to Any
        What the plugin for hyperparameters stored.
    left_out : Counter
        Summaries of other kinds.
    problem : str
        Why the file could not be read to its end.
    """

    names: list[str] = field(default_factory=list[str])
    blocks: list[Scalars] = field(default_factory=list[Scalars])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    hparams: dict[str, Any] = field(default_factory=dict[str, Any])
    left_out: Counter[str] = field(default_factory=Counter[str])
    problem: str = ""


def read_event_file(path: Path, clock: Clock, *, verify: bool = False) -> EventFile:
    """Return what an event file holds, up to its last whole record.

    Parameters
    ----------
    path : Path
        The file.
    clock : Clock
        Limits of time and memory.
    verify : bool
        Whether the checksums of data are checked too; those of lengths always are.
    """
    found = EventFile()
    parser = _Parser(found, verify=verify)
    with opened(path) as file:
        rest = b""
        while True:
            block = file.read(max(_BLOCK, parser.wanted - len(rest)))
            data = rest + block
            clock.check()
            used = parser.take(data, last=not block)
            clock.take(28 * parser.points)
            rest = data[used:]
            if not block or parser.stopped:
                break
            if parser.wanted > clock.limits.record_bytes + 16:
                found.problem = f"it declares a record of {parser.wanted - 16:,} bytes: read up to there"
                break
    if rest and not found.problem:
        found.problem = "it ends inside a record: read up to the last whole one"
    return found


class _Parser:
    """Splits blocks into records, and records into points."""

    def __init__(self, found: EventFile, *, verify: bool) -> None:
        self.found, self.verify = found, verify
        self.stopped = False
        self.wanted = 0
        self.points = 0
        self._plugins: dict[str, str] = {}
        self._number: dict[str, int] = {}
        self._templates: dict[tuple[int, bytes], int] = {}
        self._offsets: dict[int, list[int]] = {}  # length of a body -> where values were, from its end

    def take(self, data: bytes, *, last: bool) -> int:
        """Take the whole records of a block; return how many bytes they are."""
        starts, ends, used = self._frames(data)
        whole = np.frombuffer(data, np.uint8)
        good = len(starts)
        if good:
            heads = whole[(np.array(starts)[:, None] - 12) + np.arange(12)]
            wrong = np.flatnonzero(masked_crcs(heads[:, :8]) != heads[:, 8:].copy().view("<u4")[:, 0])
            if len(wrong):
                good = int(wrong[0])
                self._stop("a checksum of a length is wrong: read up to there")
        scalars = _Scanner(self, data, whole)
        for start, end in zip(starts[:good], ends[:good], strict=True):
            if self.verify and masked_crc(data[start:end]) != struct.unpack_from("<I", data, end)[0]:
                self._stop("a checksum of data is wrong: read up to there")
                break
            scalars.take(start, end)
        del last
        self.points = scalars.finish()
        return used

    def _stop(self, why: str) -> None:
        self.stopped, self.found.problem = True, why

    def _frames(self, data: bytes) -> tuple[list[int], list[int], int]:
        """Return where the data of each whole record begins and ends, and where the last of them ends."""
        starts: list[int] = []
        ends: list[int] = []
        at, size = 0, len(data)
        unpack = struct.Struct("<Q").unpack_from
        self.wanted = 0
        while at + 12 <= size:
            length = unpack(data, at)[0]
            end = at + 12 + length
            if end + 4 > size:
                head = np.frombuffer(data, np.uint8, 12, at)[None]
                if masked_crcs(head[:, :8])[0] != head[:, 8:].copy().view("<u4")[0, 0]:
                    self._stop("a checksum of a length is wrong: read up to there")
                else:
                    self.wanted = length + 16
                break
            starts.append(at + 12)
            ends.append(end)
            at = end + 4
        return starts, ends, at

    def number(self, tag: str) -> int:
        found = self._number.get(tag)
        if found is None:
            found = self._number[tag] = len(self.found.names)
            self.found.names.append(tag)
        return found


class _Scanner:
    """Reads the records of one block: a form that was seen before by comparing bytes, others field by field."""

    def __init__(self, parser: _Parser, data: bytes, whole: NDArray[np.uint8]) -> None:
        self.parser, self.data, self.whole = parser, data, whole
        self.which: list[int] = []
        self.steps: list[int] = []
        self.at_value: list[int] = []  # where the value is in the data, or -1 - its position in `others`
        self.at_time: list[int] = []
        self.others: list[float] = []
        self.starts: list[int] = []

    def take(self, start: int, end: int) -> None:
        data = self.data
        if data[start] != 0x09 or end - start < 12 or data[start + 9] != 0x10:
            self._read(start, end, None)
            return
        step = shift = 0
        at = start + 10
        while at < end:
            byte = data[at]
            at += 1
            step |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        length = end - at
        for offset in self.parser._offsets.get(length, ()):
            value = end - offset
            number = self.parser._templates.get((length, data[at:value] + data[value + 4 : end]))
            if number is not None:
                self.which.append(number)
                self.steps.append(step)
                self.at_value.append(value)
                self.at_time.append(start + 1)
                return
        self._read(start, end, at)

    def _read(self, start: int, end: int, body: int | None) -> None:
        """Read a record field by field; remember its form if it is one scalar of 4 bytes."""
        try:
            before = len(self.which)
            self._event(self.data[start:end], start)
            if body is not None and len(self.which) == before + 1:
                self._remember(body, end, self.others[-1])
        except BadRecordError:
            self.parser.found.left_out["unreadable records"] += 1

    def _remember(self, body: int, end: int, value: float) -> None:
        packed = struct.pack("<f", value) if abs(value) <= 3.4028234e38 or value != value else b""
        text = self.data[body:end]
        if not packed or text.count(packed) != 1 or struct.unpack("<f", packed)[0] != value:
            return
        position = text.index(packed)
        if position == 0 or text[position - 1] not in (0x15, 0x04):  # after the key of the value, or its length
            return
        offset = len(text) - position
        offsets = self.parser._offsets.setdefault(len(text), [])
        if offset not in offsets:
            offsets.append(offset)
        self.parser._templates[len(text), text[:position] + text[position + 4 :]] = self.which[-1]

    def _event(self, data: bytes, start: int) -> None:
        time, step = np.nan, 0
        values: list[bytes] = []
        del start
        for number, wire, value in fields(data):
            if number == 1 and wire == 1:
                time = double(value)
            elif number == 2 and wire == 0:
                step = signed(value)
            elif number == 5 and wire == 2:
                values += [item for key, kind, item in fields(value) if key == 1 and kind == 2]
            elif number == 7 and wire == 2 and fields_of(value).get(1) == 1:
                self.starts.append(len(self.which))
        for item in values:
            self._value(item, step, time)

    def _value(self, data: bytes, step: int, time: float) -> None:
        parts: dict[int, Any] = fields_of(data)
        tag = text_of(parts.get(1, b""))
        plugin, content = _plugin(parts.get(9, b""))
        known = self.parser._plugins
        plugin = known.setdefault(tag, plugin) or plugin
        if tag.startswith(_HPARAMS):
            _take_hparams(content, self.parser.found.hparams)
            return
        number = None
        if isinstance(parts.get(2), bytes) and len(parts[2]) == 4:
            number = float(struct.unpack("<f", parts[2])[0])
        elif 8 in parts and plugin in ("", "scalars"):
            number = _scalar_of_tensor(parts[8])
        if number is not None:
            self._add(tag, step, number, time)
        elif 8 in parts and plugin == "text":
            self.parser.found.texts[tag] = _text_of_tensor(parts[8])
        else:
            self.parser.found.left_out[_kind_of(parts, plugin)] += 1

    def _add(self, tag: str, step: int, value: float, time: float) -> None:
        self.others += [time, value]
        self.which.append(self.parser.number(tag))
        self.steps.append(step)
        self.at_value.append(-len(self.others))
        self.at_time.append(-len(self.others) + 1)

    def finish(self) -> int:
        """Gather the values that were only pointed to; return how many points there are."""
        if not self.which and not self.starts:
            return 0
        values = self._gather(np.array(self.at_value, np.int64), 4, "<f4")
        times = self._gather(np.array(self.at_time, np.int64), 8, "<f8")
        steps = np.array([signed(step) if step >= 1 << 63 else step for step in self.steps], np.int64)
        self.parser.found.blocks.append(Scalars(np.array(self.which, np.int32), steps, values, times, self.starts))
        return len(steps)

    def _gather(self, at: NDArray[np.int64], size: int, kind: str) -> NDArray[np.float64]:
        found = np.empty(len(at))
        inside = at >= 0
        rows = self.whole[at[inside][:, None] + np.arange(size)]
        found[inside] = rows.view(kind)[:, 0]
        if not inside.all():
            others = np.array(self.others)
            found[~inside] = others[-at[~inside] - 1]
        return found


def _plugin(metadata: Any) -> tuple[str, bytes]:
    """Return name and content of a summary's plugin."""
    if not isinstance(metadata, bytes):
        return "", b""
    inside = fields_of(metadata).get(1, b"")
    parts = fields_of(inside) if isinstance(inside, bytes) else {}
    content = parts.get(2, b"")
    return text_of(parts.get(1, b"")), content if isinstance(content, bytes) else b""


def _scalar_of_tensor(data: bytes) -> float | None:
    """Return the one number in a tensor; None where it has another size or type."""
    kind, content, numbers = 0, b"", []
    for number, wire, value in fields(data):
        if number == 1 and wire == 0:
            kind = value
        elif number == 4 and wire == 2:
            content = value
        elif number in (5, 6) and wire in (1, 2, 5):
            numbers += np.frombuffer(value, "<f4" if number == 5 else "<f8").tolist() if value else []
        elif number in (7, 10):
            numbers += [signed(value)] if wire == 0 else _packed(value)
    if content and kind in _KINDS:
        numbers = np.frombuffer(content, _KINDS[kind]).tolist() if len(content) in (4, 8) else []
    return float(numbers[0]) if len(numbers) == 1 else None


def _packed(data: bytes) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(signed(value))
    return found


def _text_of_tensor(data: bytes) -> str:
    return "\n".join(text_of(value) for number, wire, value in fields(data) if number == 8 and wire == 2)


def _kind_of(parts: dict[int, Any], plugin: str) -> str:
    if 4 in parts or plugin == "images":
        return "images"
    if 5 in parts or plugin == "histograms":
        return "histograms"
    if 6 in parts or plugin == "audio":
        return "audio"
    return plugin or "other summaries"


def _take_hparams(content: bytes, hparams: dict[str, Any]) -> None:
    start = fields_of(content).get(3) if content else None
    if not isinstance(start, bytes):
        return
    for number, wire, entry in fields(start):
        if number == 1 and wire == 2:
            parts = fields_of(entry)
            hparams[text_of(parts.get(1, b""))] = _protobuf_value(parts.get(2, b""))


def _protobuf_value(data: bytes) -> Any:
    for number, _, value in fields(data):
        if number == 2:
            return double(value)
        if number == 3:
            return text_of(value)
        if number == 4:
            return bool(value)
    return None
