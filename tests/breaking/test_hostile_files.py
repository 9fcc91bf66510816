"""Promise 7: hostile or odd files are refused in words, and stay within limits."""

from __future__ import annotations

import json
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread._reading.plain_files import UnfitJsonError, parse_log
from runspread._reading.safetensors import map_tensors
from runspread.errors import RunspreadError
from tests.breaking.tools import copied, make_study

DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
JSONS = {
    "empty": b"", "deep": DEEP, "list": b"[" * 10**5, "no text": b"\xff\xfe{", "null": b"null",
    "NaN": b'{"version": NaN}',
    "twice": b'{"version": 1, "version": 2}', "half": b'{"version": 1', "huge": b'{"version": 1' + b"0" * 10_000 + b"}",
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("hostile") / "study", 3).path


@pytest.mark.parametrize("name", JSONS)
def test_odd_json_makes_no_study_unopenable_but_its_own(whole, tmp_path, name):
    folder = copied(whole, tmp_path / "study")
    shard = next((folder / "shards").iterdir())
    (shard / "shard.json").write_bytes(JSONS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = rs.open_study(folder)
    assert len(study.runs) == 2
    assert list(study.corrupt) == [shard.name]
    (folder / "study.json").write_bytes(JSONS[name])
    with pytest.raises(RunspreadError):
        rs.open_study(folder)


def test_json_is_read_in_one_place():
    """Each reader of its own had other limits, or none."""
    source = Path(rs.__file__).parent
    others = [path for path in source.rglob("*.py") if "json.load" in path.read_text()]
    assert not others


def test_text_that_becomes_a_hundred_times_its_size_is_refused():
    for text in ("[" + "[]," * 2**21 + "1]", "[" + '{"a":1},' * 2**21 + "1]"):
        with pytest.raises(UnfitJsonError, match="objects and lists"):
            parse_log(text)
    assert len(parse_log("[" + "[]," * 1000 + "1]")) == 1001


@pytest.mark.parametrize("name", [*JSONS, "bomb"])
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".eval"])
def test_odd_json_is_no_log_of_an_evaluation(tmp_path, name, suffix):
    data = JSONS[name] if name in JSONS else b"[" + b"[]," * 2**20 + b"1]"
    (tmp_path / f"x{suffix}").write_bytes(data)
    with pytest.raises(RunspreadError):
        rs.evaluations(tmp_path / f"x{suffix}")


def header(entries, data=b"\0" * 64):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(16,), offsets=(0, 64)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


ONE = json.dumps(entry()).encode()
HEADERS = {
    "a list": b"[1, 2]", "a number": b"17", "deep": DEEP, "no dictionary": {"a": 3},
    "no offsets": {"a": {"dtype": "F32"}},
    "negative offsets": {"a": entry(offsets=(-64, 0))}, "beyond": {"a": entry(offsets=(0, 10**6), shape=(250_000,))},
    "reversed": {"a": entry(offsets=(64, 0))}, "negative shape": {"a": entry(shape=(-16,))},
    "huge shape": {"a": entry(shape=(2**62, 4))}, "huge": {"a": entry(shape=(10**30,))},
    "text": {"a": entry(shape="x")},
    "other bytes": {"a": entry(shape=(15,))}, "overlap": {"a": entry(), "b": entry()},
    "a hole": {"a": entry(shape=(4,), offsets=(48, 64))}, "many axes": {"a": entry(shape=(1,) * 100 + (16,))},
    "twice": b'{"a":%s,"a":%s}' % (ONE, ONE),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_odd_headers_of_safetensors_are_refused_in_words(tmp_path, name):
    path = tmp_path / "x.safetensors"
    path.write_bytes(header(HEADERS[name]))
    for read in (map_tensors, rs.spectra, lambda file: rs.open_outputs(file, np.arange(4) % 2)):
        with pytest.raises(RunspreadError):
            read(path)
    path.write_bytes(struct.pack("<Q", 2**63) + b"{")
    with pytest.raises(RunspreadError):
        map_tensors(path)


def npy(shape, dtype="<f4", data=b"\0" * 64):
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (64 - (11 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


SHAPES = ("(-16,)", "(4, -4)", "(10**9,)", "(17,)", "(" * 300, "(1000000000000,)", "'x'", "(1, " * 90 + ")" * 90)


@pytest.mark.parametrize("shape", SHAPES)
def test_odd_headers_of_numpy_are_refused_in_words(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(npy(shape))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("logits.npy", npy(shape))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(RunspreadError):
            rs.variance(rs.open_outputs(tmp_path / name, np.arange(4) % 2))
    with pytest.raises(RunspreadError, match=r"x\.npy cannot be read"):  # where it is asked what the file holds
        rs.compare(tmp_path / "x.npy", [0.1, 0.2], metric="loss")


def test_archives_that_unpack_to_far_more_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("logits.npy", "w") as stream:
        zeros = b"\0" * 2**24
        stream.write(npy("(402653184,)", data=b""))
        for _ in range(96):
            stream.write(zeros)
    assert path.stat().st_size < 2**22
    with pytest.raises(RunspreadError, match="unpack"):
        rs.open_outputs(path, np.arange(4) % 2)


@pytest.mark.parametrize("method", [99, 12])
def test_members_that_cannot_be_unpacked_are_refused_in_words(tmp_path, method):
    """A method of packing that is not known, and damaged packed data: NotImplementedError, and others."""
    path = tmp_path / "x.npz"
    np.savez_compressed(path, logits=np.random.default_rng(0).normal(size=(2, 20, 2)))
    data = path.read_bytes()
    packed = struct.pack("<H", 8)
    at, central = data.index(packed, 8), data.index(b"PK\x01\x02")
    for place in (at, data.index(packed, central + 10)):
        data = data[:place] + struct.pack("<H", method) + data[place + 2 :]
    path.write_bytes(data)
    with pytest.raises(RunspreadError):
        rs.variance(rs.open_outputs(path, np.arange(20) % 2))


TABLES = {
    "not text": b"arm,score\n\xff\xfe,1\n", "long cell": b"arm,score\n" + b"x" * 200_000 + b",1\n", "empty": b"",
    "underscores": b"arm,score\na,1_2\nb,3\n", "columns twice": b"arm,score,score\na,1,2\n",
    "ragged": b"arm,score\na\n", "many digits": b"arm,score\na,1" + b"9" * 400 + b"\nb,2\n",
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_odd_tables_are_refused_in_words(tmp_path, name):
    (tmp_path / "t.csv").write_bytes(TABLES[name])
    with pytest.raises(RunspreadError):
        rs.summary(tmp_path / "t.csv")


def test_garbage_is_no_parquet(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + b"\x15" * 100 + b"PAR1")
    with pytest.raises(RunspreadError):
        rs.summary(tmp_path / "t.parquet")


def test_cells_that_python_reads_as_one_number_stay_two(tmp_path):
    (tmp_path / "t.csv").write_text("arm,seed,score\na,1_2,0.5\na,12,0.6\n")
    from runspread._reading.tables import as_table

    assert as_table(tmp_path / "t.csv")["seed"] == ["1_2", 12]


def test_a_small_checkpoint_that_becomes_large_is_refused(tmp_path):
    """1.6 KB became 0.5 GiB."""
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(1).expand(2**27)}, tmp_path / "x.pt")
    assert (tmp_path / "x.pt").stat().st_size < 5000
    with pytest.raises(RunspreadError, match="unpack"):
        rs.spectra(rs.methods.spectra.from_torch_checkpoint(tmp_path / "x.pt"))
