"""Studies in stores: what a study promises, writers that die, cleaning, copying."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import CorruptShardError, FormatVersionError, InputError, NotAStudyError, StudyError
from runspread.methods.audit import auditing
from runspread.studies.homes import FolderHome, StoreHome
from runspread.studies.layout import SHARD, shard_folder
from runspread.studies.publishing import FolderExistsError
from runspread.studies.stores import pieces
from runspread.studies.stores.cleaning import clean
from runspread.studies.stores.marks import read_mark, void_bytes
from runspread.studies.stores.memory import MemoryStore
from runspread.studies.stores.urls import open_store
from runspread.testing import StudyTests

from .campaign import home_of, left_over, publish_all
from .servers import BUCKET, OPTIONS, FaultProxy, has_server, s3_server
from .writers import staged

_NUMBERS = itertools.count()
LABELS = np.arange(60) % 3


class InStores(StudyTests):
    def store_of(self, store):
        return store._home.store

    def reopen(self, store):
        return rs.open_study(store.location)

    def damage(self, store):
        objects = self.store_of(store)
        key = f"{objects.list('shards/').prefixes[0]}{SHARD}"
        objects.write(key, b"{")
        return key.split("/")[1]


class TestInMemory(InStores):
    def create(self, folder, splits):
        return rs.create_study(f"memory://{folder}", splits=splits)


@pytest.fixture(scope="module")
def s3():
    """A server whose proxy fails at one request of twelve, and comes late with some."""
    pytest.importorskip("obstore")
    if not has_server():
        pytest.skip("moto is not installed: make test-stores")
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        proxy = FaultProxy(address, 0.08, late=True)
        for name, value in OPTIONS.items():
            patch.setenv(f"AWS_{name.upper()}", value)
        patch.setenv("AWS_ENDPOINT_URL", proxy.address)
        yield proxy
        proxy.close()


@pytest.mark.slow
class TestInBucket(InStores):
    @pytest.fixture(autouse=True)
    def server(self, s3):
        pass

    def create(self, folder, splits):
        return rs.create_study(f"s3://{BUCKET}{folder}", splits=splits)


def recorded(place: str, runs: int = 4, shift: int = 0) -> rs.Study:
    study = rs.create_study(place, splits={"test": LABELS}, exist_ok=True)
    for seed in range(shift, shift + runs):
        with study.record(seeds=seed) as run:
            run.predictions("test", np.random.default_rng(seed).normal(size=(60, 3)) + 2 * np.eye(3)[LABELS])
    return rs.open_study(place)


# ------------------------------------------------------------------ the same everywhere a study is named


def test_methods_and_commands_take_urls(tmp_path):
    local, url = recorded(str(tmp_path / "local")), f"memory://{tmp_path}"
    assert rs.variance(recorded(url)).to_json() == rs.variance(local).to_json()
    assert rs.variance(url).to_json() == rs.variance(local).to_json()
    assert rs.variance(f"file://{tmp_path}/local").to_json() == rs.variance(local).to_json()
    answers = [CliRunner().invoke(cli, ["variance", place, "--json"]).output for place in (url, str(local.path))]
    assert json.loads(answers[0]) == json.loads(answers[1])
    for words in (["info", url], ["verify", url], ["compare", url, str(local.path)], ["check", url]):
        assert CliRunner().invoke(cli, words).exit_code in (0, 3), words


def test_outputs_come_when_they_are_asked_for(tmp_path):
    study = recorded(f"memory://{tmp_path}")
    assert not list(study.path.glob("shards/*/*.safetensors"))
    assert study.predictions("test").shape == (4, 60, 3)
    assert len(list(study.path.glob("shards/*/predictions.safetensors"))) == 4
    assert not list(study.path.glob("shards/*/metrics.safetensors"))


def test_what_takes_folders_alone_says_so(tmp_path):
    study = recorded(f"memory://{tmp_path}", runs=3)
    with pytest.raises(InputError, match="is a URL"):
        rs.report(study)
    assert rs.report(study, tmp_path / "page.html").exists()
    for words in (["digest", study.location], ["repair", study.location]):
        assert "is a URL" in CliRunner().invoke(cli, words).output
    with pytest.raises(InputError, match="storage= was given for a folder"):
        rs.open_study(tmp_path, storage={"region": "x"})
    with pytest.raises(NotAStudyError, match="holds no study"):
        rs.open_study("memory://nothing-here")


# ------------------------------------------------------------------ what may lie in a store


def test_a_shard_in_progress_is_not_seen_and_a_newer_mark_is_refused(tmp_path):
    study = recorded(f"memory://{tmp_path}", runs=1)
    store = open_store(study.location)
    store.write("shards/half/0123456789ab/metrics.safetensors", b"1")
    assert len(rs.open_study(study.location).runs) == 1
    assert rs.open_study(study.location).verify().ok
    store.create("shards/newer/shard.json", b'{"version": 9, "at": "x", "files": {}}')
    with pytest.raises(FormatVersionError, match="version 9"):
        rs.open_study(study.location)


def test_a_file_that_changed_is_named_and_the_rest_is_read(tmp_path):
    study = recorded(f"memory://{tmp_path}")
    store, name = open_store(study.location), study.shard_of(study.runs.ids[1])
    mark = read_mark(store.read(f"shards/{name}/{SHARD}"))
    key = f"shards/{name}/{mark.at}/predictions.safetensors"
    store.write(key, store.read(key)[:-1] + b"x")
    reader = rs.open_study(study.location).predictions("test")
    assert [item.run for item in reader.excluded] == [study.runs.ids[1]]
    with pytest.raises(CorruptShardError, match="differs from its mark"):
        rs.open_study(study.location).verify()


def test_a_folder_that_was_copied_into_a_bucket_opens(tmp_path):
    local, store = recorded(str(tmp_path / "local")), open_store(f"memory://{tmp_path}")
    for path in local.path.rglob("*"):
        if path.is_file() and ".cache" not in path.parts:
            store.write(path.relative_to(local.path).as_posix(), path)
    assert rs.variance(f"memory://{tmp_path}").to_json() == rs.variance(local).to_json()
    assert rs.open_study(f"memory://{tmp_path}").verify().ok


def test_there_and_back_is_the_same(tmp_path):
    local, url = recorded(str(tmp_path / "local")), f"memory://{tmp_path}"
    words = [["copy", str(local.path), url], ["copy", url, str(tmp_path / "back")]]
    assert "copied 4 shards" in CliRunner().invoke(cli, words[0]).output
    assert "copied 0 shards" in CliRunner().invoke(cli, words[0]).output
    assert CliRunner().invoke(cli, words[1]).exit_code == 0
    names = [path.relative_to(local.path) for path in local.path.glob("shards/*/*")]
    assert len(names) > 8
    for name in [*names, Path("study.json"), Path("labels.safetensors")]:
        assert (tmp_path / "back" / name).read_bytes() == (local.path / name).read_bytes()
    recorded(str(tmp_path / "other"), runs=1)
    with pytest.raises(StudyError, match="holds another study"):
        rs.create_study(tmp_path / "third", splits={"other": LABELS})
        rs.studies.copy_study(tmp_path / "third", url)


def test_marks_are_read_once_and_then_come_together(tmp_path, monkeypatch):
    monkeypatch.setattr("runspread.studies.stores.pieces._FEWEST", 5)
    monkeypatch.setattr("runspread.studies.stores.pieces._MOST", 2)
    store = recorded(f"memory://{tmp_path}", runs=12)._home.store
    store.delete([entry.key for entry in store.list(".cache/index/").objects])
    asked: Counter[str] = Counter()
    read = type(store).read

    def counting(self, key):
        asked[key.split("/")[0]] += 1
        return read(self, key)

    monkeypatch.setattr(type(store), "read", counting)
    expected = rs.open_study(store.url).runs.ids
    assert (len(expected), asked.pop("shards")) == (12, 12)
    assert rs.open_study(store.url).runs.ids == expected
    assert asked.pop("shards", 0) == 0
    (piece,) = store.list(".cache/index/").objects
    store.write(piece.key, store.read(piece.key)[:-3])  # torn: merely slower
    assert rs.open_study(store.url).runs.ids == expected
    assert asked.pop("shards") == 12
    recorded(store.url, runs=7, shift=12)
    for _ in range(3):
        assert len(rs.open_study(store.url).runs) == 19
    assert rs.open_study(store.url).verify().ok


def test_joined_pieces_hold_all_that_the_single_ones_held(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_FEWEST", 1)
    monkeypatch.setattr(pieces, "_MOST", 2)
    store, marks = open_store(f"memory://{tmp_path}"), {str(k): b"mark" for k in range(6)}
    for name, mark in marks.items():  # by a process that is open for long, and read no pieces since
        pieces.add_piece(store, ".cache/index/", {name: mark}, {})
    assert len(store.list(".cache/index/").objects) <= 2
    assert pieces.read_pieces(store, ".cache/index/") == marks


def test_who_copies_an_equal_shard_second_was_not_wrong(tmp_path):
    study, other = recorded(str(tmp_path / "study"), runs=2), recorded(str(tmp_path / "other"), runs=2, shift=7)
    home, (name, *_), (foreign, *_) = FolderHome(tmp_path / "copy"), study.shards, other.shards
    (home.path / "shards").mkdir(parents=True)
    for _ in range(2):
        home.add(name, shard_folder(study.path, name))
    with pytest.raises(FolderExistsError):
        home.add(name, shard_folder(other.path, foreign))


# ------------------------------------------------------------------ cleaning


def test_only_what_no_mark_names_is_taken_away(tmp_path):
    study = recorded(f"memory://{tmp_path}", runs=2)
    store = open_store(study.location)
    name = study.shard_of(study.runs.ids[0])
    store.write(f"shards/{name}/0123456789ab/metrics.safetensors", b"1")
    store.write("shards/dead/0123456789ab/metrics.safetensors", b"1")
    assert clean(store, "shards/", SHARD) == []  # too young
    wanted = sorted([f"shards/{name}/0123456789ab/metrics.safetensors", "shards/dead/0123456789ab/metrics.safetensors"])
    assert sorted(clean(store, "shards/", SHARD, older_than=-1, dry_run=True)) == wanted
    assert (
        "2 objects were taken away" in CliRunner().invoke(cli, ["clean", study.location, "--older-than", "0m"]).output
    )
    assert read_mark(store.read(f"shards/dead/{SHARD}")).void
    assert rs.open_study(study.location).verify().ok
    assert len(rs.open_study(study.location).runs) == 2


class Behind(MemoryStore):
    """Its clock is two hours behind."""

    def list(self, prefix: str = ""):
        found = super().list(prefix)
        return found._replace(objects=tuple(one._replace(changed=one.changed - 7200) for one in found.objects))


def test_age_is_told_by_the_clock_of_the_store():
    store = Behind()
    store.write("shards/new/0123456789ab/metrics.safetensors", b"1")
    assert clean(store, "shards/", SHARD, older_than=3600) == []
    assert store.list().objects == ()


def test_a_writer_whose_id_was_taken_publishes_under_the_next(tmp_path):
    study = recorded(f"memory://{tmp_path}", runs=1)
    other = recorded(str(tmp_path / "elsewhere"), runs=2)
    name = other.shard_of(other.runs.ids[1])
    open_store(study.location).create(f"shards/{name}/{SHARD}", void_bytes())
    with study.record(seeds=1) as run:
        run.predictions("test", np.random.default_rng(1).normal(size=(60, 3)))
    found = rs.open_study(study.location)
    assert len(found.runs) == 2
    assert found.shard_of(other.runs.ids[1]) == f"{name}-2"


# ------------------------------------------------------------------ writers that die


def check(counts: Counter[str], shards: int, home: StoreHome) -> None:
    assert [counts[name] for name in ("half-visible", "lost", "missing", "double")] == [0, 0, 0, 0]
    assert counts["published"] == shards
    assert left_over(home, shards) == 0  # three files each, and nothing that no mark names


def test_writers_that_die_leave_whole_shards_or_none(tmp_path):
    counts = publish_all(str(tmp_path), writers=3, shards=8, dies=0.01, fails=0.05)
    check(counts, 8, home_of(str(tmp_path)))


def test_writers_that_die_in_memory(tmp_path):
    counts = publish_all(f"memory://{tmp_path}", writers=16, shards=30, dies=0.01, fails=0.05, claimants=3)
    assert counts["killed"] > 3
    assert counts["failed"] > 3
    check(counts, 30, home_of(f"memory://{tmp_path}"))


@pytest.mark.slow
@pytest.mark.parametrize("store", ["folder", "memory"])
def test_32_writers_that_die_and_1000_shards(tmp_path, store):
    place = str(tmp_path) if store == "folder" else f"memory://{tmp_path}"
    counts = publish_all(place, writers=32, shards=1000, dies=0.002, fails=0.05, claimants=2)
    assert counts["killed"] > 3
    check(counts, 1000, home_of(place))


@pytest.mark.slow
def test_writers_that_die_before_a_store_that_fails(s3):
    place = f"s3://{BUCKET}/dying-{next(_NUMBERS)}"
    counts = publish_all(place, writers=8, shards=50, dies=0.005, S3=s3.address)
    assert counts["killed"] > 3
    assert sum(s3.faults.values()) > 50
    time.sleep(1)  # what is late has come
    check(counts, 50, home_of(place, s3.address))


def test_equal_content_is_the_same_and_other_content_is_told(tmp_path):
    first, second = (StoreHome(open_store(f"memory://{tmp_path}")) for _ in range(2))
    assert first.publish("a", staged(tmp_path / "one", 1))
    assert second.publish("a", staged(tmp_path / "two", 1))
    assert not second.publish("a", staged(tmp_path / "three", 2))
    assert len(first.store.list("shards/a/").prefixes) == 1  # the others took their parts away


def test_an_answer_does_not_fetch_all_weights_to_look_at_seeds(monkeypatch):
    """`variance` of a study in a bucket fetched every file of weights, to see whether two runs had equal ones."""
    labels = np.arange(300) % 10
    study = rs.create_study("memory://weights-stay", splits={"test": labels})
    for seed in range(3):
        with study.record(seeds=seed) as run:
            run.predictions("test", np.random.default_rng(seed).normal(size=(300, 10)))
            run.weights({"layer": np.random.default_rng(seed).normal(size=(60, 50))})
            run.log(0, loss=1.0 + seed)
    read: list[str] = []
    whole = MemoryStore.read
    monkeypatch.setattr(MemoryStore, "read", lambda self, key: (read.append(key), whole(self, key))[1])
    small = rs.variance("memory://weights-stay")
    assert sum("weights" in key for key in read) == 3  # so few bytes are looked at
    assert not any("not fetched" in note for note in small.warnings)
    monkeypatch.setattr(auditing, "_MOST_BYTES", 10_000)
    read.clear()
    found = rs.variance("memory://weights-stay")
    assert not any("weights" in key for key in read)
    assert sum("metrics" in key for key in read) == 3
    assert any("The weights of this study lie in a store" in note for note in found.warnings)
    assert found.mean_acc == small.mean_acc
    opened = rs.open_study("memory://weights-stay")
    assert any("weights" in note for note in rs.variance(opened).warnings)
    opened.weights(opened.runs[0])
    opened.weights(opened.runs[1])
    opened.weights(opened.runs[2])  # then they are here, and are looked at
    assert not any("not fetched" in note for note in rs.variance(opened).warnings)
    read.clear()
    rs.audit("memory://weights-stay")
    assert sum("weights" in key for key in read) == 3
