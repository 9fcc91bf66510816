"""Promise 7 again: files of the wrong size or kind in a study, and in a file's place, end in words and at once."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import RunspreadError
from tests.breaking.tools import copied, environment, make_study

LARGE = 10**12  # bytes of a sparse file, which takes no room and whose sum would take an hour


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("odd") / "study", 2).path


@pytest.fixture
def study(whole, tmp_path):
    return copied(whole, tmp_path / "study")


def shard_of(study):
    return sorted((study / "shards").iterdir())[0]


def answer(*words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(cli, [str(word) for word in words])
    assert isinstance(done.exception, (SystemExit, type(None))), (words, done.exc_info)
    return done.exit_code, done.output


@pytest.mark.parametrize("name", ["predictions.safetensors", "weights.safetensors", "shard.json"])
def test_a_file_that_is_far_too_long_is_named_at_once(study, tmp_path, name):
    os.truncate(shard_of(study) / name, LARGE)
    status, said = answer("verify", study)
    assert (status, shard_of(study).name in said) == (1, True)
    assert answer("copy", study, tmp_path / "copy")[0] == 2
    bad = shard_of(study).name
    answer("repair", study)
    assert (study / "damaged" / bad).is_dir()
    assert answer("verify", study)[0] == 0


@pytest.mark.parametrize("line", [b"a\0b", b"\xff", b"../../x", b"/etc/passwd"])
def test_odd_names_in_the_list_of_sums_are_problems_of_their_shard(study, line):
    (shard_of(study) / "SHA256SUMS").write_bytes(b"0" * 64 + b"  " + line + b"\n")
    assert answer("verify", study)[0] == 1
    assert answer("digest", study)[0] in (0, 2)
    assert answer("repair", study)[0] in (0, 1)
    assert answer("verify", study)[0] == 0


@pytest.mark.parametrize("data", [b"[" * 10**5, b'{"python": NaN}'])
def test_a_page_needs_no_record_of_the_environment(study, tmp_path, data):
    (shard_of(study) / "provenance.json").write_bytes(data)
    assert "not available: Environment" not in answer("report", study, "-o", tmp_path / "page.html")[1]


def test_a_pipe_in_place_of_a_folder_or_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for words in (["repair"], ["verify"], ["info"], ["spectra"], ["digest"], ["variance"], ["cite"]):
        assert answer(*words, tmp_path / "pipe")[0] == 2, words


@pytest.mark.parametrize("text", ['{"a":' * 10**4, '{"a": 1, "a": 2}', "", "[]", '{"x": NaN}', "\udcff"])
def test_what_is_no_result_is_cited_in_words(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode(errors="surrogateescape"))
    assert answer("cite", tmp_path / "x.json")[0] == 2


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_that_is_far_too_long_is_refused_at_once(tmp_path, suffix):
    (tmp_path / f"t.{suffix}").write_bytes(b"arm,score\na,1\n")
    os.truncate(tmp_path / f"t.{suffix}", LARGE)
    with pytest.raises(RunspreadError, match="cannot be read"):
        rs.summary(tmp_path / f"t.{suffix}")


def test_a_small_parquet_table_that_becomes_large_is_refused(tmp_path):
    """75 KB became 20 million cells, in half a minute."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    arms = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(2 * 10**6, np.int32)), ["a"])
    parquet.write_table(arrow.table({"arm": arms, "score": arms}), tmp_path / "t.parquet", compression="zstd")
    with pytest.raises(RunspreadError, match="unpack to 4,000,000 cells"):
        rs.summary(tmp_path / "t.parquet")


AS_NOBODY = """
import os, sys, warnings
import runspread as rs
from click.testing import CliRunner
from runspread._cli import cli
warnings.simplefilter("ignore")
COMMANDS = ["info", "verify", "variance", "audit", "digest", "copy", "repair", "ensemble"]
def call(command, study):
    return CliRunner().invoke(cli, [command, study] + [study + "-copy"] * (command == "copy"))
def opened(study):
    try:
        return str(rs.open_study(study).predictions().to_array())
    except rs.errors.RunspreadError as error:
        return str(error)
warm = [call(command, sys.argv[2]) for command in COMMANDS], opened(sys.argv[2])  # nobody may read what is imported
if os.geteuid() == 0:
    os.seteuid(65534)
for command in COMMANDS:
    done = call(command, sys.argv[1])
    assert isinstance(done.exception, (SystemExit, type(None))), (command, done.exc_info)
    assert done.exit_code in (1, 2), (command, done.output)
    assert done.exit_code == 1 or done.output.count("error: ") == 1, (command, done.output)
print(opened(sys.argv[1]))
"""


@pytest.mark.parametrize("place", [".", "shards", "study.json"])
def test_what_may_not_be_read_is_one_error(study, whole, tmp_path, place):
    """It ended in a PermissionError."""
    kept = (study / place).stat().st_mode
    for folder in study.parents:
        if folder.stat().st_uid == os.geteuid() and folder != folder.parent and "pytest" in folder.name:
            folder.chmod(folder.stat().st_mode | 0o055)
    (study / place).chmod(0)
    try:
        call = [sys.executable, "-c", AS_NOBODY, str(study), str(copied(whole, tmp_path / "other"))]
        done = subprocess.run(call, capture_output=True, text=True, env=environment(), check=False)
    finally:
        (study / place).chmod(kept)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "cannot be" in done.stdout


def test_a_name_that_is_too_long_is_one_error(tmp_path, whole):
    name = tmp_path / ("n" * 300)
    for words in (
        ["info"],
        ["copy", whole],
        ["ensemble", whole, "--split", "test", "-o"],
        ["gate", "init", "--ledger"],
    ):
        assert answer(*words, name)[0] == 2, words
    with pytest.raises(RunspreadError, match="cannot be looked at"):
        rs.open_study(name)
