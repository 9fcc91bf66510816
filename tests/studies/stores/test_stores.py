"""The contract of stores: a folder, memory, and an S3 server through a proxy that fails."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import pytest

import runspread as rs
from runspread._reading.study_folders import is_url
from runspread.errors import InputError, MissingDependencyError, StorageError
from runspread.studies.stores.contract import TRIES, settled
from runspread.studies.stores.memory import MemoryStore
from runspread.studies.stores.probing import probe
from runspread.studies.stores.urls import open_store
from runspread.testing import StoreTests

from .servers import BUCKET, OPTIONS, FaultProxy, has_server, s3_server

_NUMBERS = itertools.count()


class TestFolder(StoreTests):
    def store(self, folder: Path):
        return open_store(folder / "objects")

    def test_what_is_in_progress_is_not_listed(self, tmp_path):
        store = self.store(tmp_path)
        store.write("a/b", b"1")
        (tmp_path / "objects" / "a" / ".tmp-x").write_bytes(b"half")
        assert [one.key for one in store.list("a/").objects] == ["a/b"]
        assert store.local_path("a/b").read_bytes() == b"1"

    def test_where_the_file_system_has_no_links(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(1, "no links here")

        monkeypatch.setattr("os.link", refuse)
        self.test_a_body_is_created_once(tmp_path)


class TestMemory(StoreTests):
    def store(self, folder: Path):
        return open_store(f"memory://{folder.name}-{next(_NUMBERS)}")


@pytest.fixture(scope="module")
def flaky():
    """A proxy before an S3 server."""
    pytest.importorskip("obstore")
    if not has_server():
        pytest.skip("moto is not installed: make test-stores")
    with s3_server() as address:
        proxy = FaultProxy(address, 0.12)
        yield proxy
        proxy.close()
    assert sum(proxy.faults.values()) > 20


class TestS3(StoreTests):
    """Through a proxy at which one request of eight fails."""

    @pytest.fixture(autouse=True)
    def proxied(self, flaky):
        self.address = flaky.address

    def store(self, folder: Path):
        options = {**OPTIONS, "endpoint": self.address}
        return open_store(f"s3://{BUCKET}/{folder.name}-{next(_NUMBERS)}", options)

    def test_secrets_are_neither_shown_nor_sent(self, tmp_path):
        store = self.store(tmp_path)
        assert b"canary" not in pickle.dumps(store)
        assert "canary" not in repr(store) + repr(vars(store)["url"])
        with pytest.raises(StorageError) as caught:
            open_store(f"s3://{BUCKET}-missing/x", {**OPTIONS, "endpoint": self.address}).write("a", b"1")
        assert "canary" not in str(caught.value)

    def test_a_bucket_that_is_not_there_is_one_clear_error(self):
        with pytest.raises(StorageError, match="no such bucket"):
            open_store("s3://missing/x", {**OPTIONS, "endpoint": self.address}).create("a", b"1")


# ------------------------------------------------------------------ what the answers to a creation mean


class Scripted:
    """A store whose answers to a creation follow a script: what lands, and what is said."""

    def __init__(self, script: str) -> None:
        self.steps, self.held = iter(script.split()), None

    def put(self) -> None:
        step = next(self.steps)
        if step in ("success", "lost") and self.held is None:
            self.held = b"ours"
        if step == "foreign":
            self.held = b"theirs"
        if step != "success":
            raise StorageError(step)

    def read(self) -> bytes:
        if self.held is None:
            raise KeyError("mark")
        return self.held


@pytest.mark.parametrize(
    ("script", "won"),
    [
        ("success", True),
        ("lost", True),  # carried out, and the answer lost
        ("foreign", False),
        ("nothing success", True),  # "conflict": nothing landed
        ("nothing nothing lost", True),
        ("nothing foreign", False),
    ],
)
def test_who_won_is_settled_by_reading(script, won):
    store = Scripted(script)
    assert settled(store.put, store.read, b"ours", "mark", pause=0) is won


def test_what_cannot_be_settled_is_said():
    store = Scripted(" ".join(["nothing"] * TRIES))
    with pytest.raises(StorageError, match="not known whether mark was published"):
        settled(store.put, store.read, b"ours", "mark", pause=0)


class Liar(MemoryStore):
    """Lets everybody win."""

    def create(self, key: str, data: bytes) -> bool:
        self.write(key, data)
        return True


class Forgetful(MemoryStore):
    """Lists only what it did a while ago."""

    def list(self, prefix: str = ""):
        return rs.studies.open_store("memory://nothing").list()


@pytest.mark.parametrize(("kind", "said"), [(Liar, "16 of 16 writers"), (Forgetful, "does not list")])
def test_the_probe_refuses_stores_that_break_a_promise(kind, said):
    with pytest.raises(StorageError, match=said):
        probe(kind())


# ------------------------------------------------------------------ urls


def test_urls_are_told_from_paths():
    assert is_url("s3://bucket/study")
    assert not is_url("C:/study")
    assert not is_url(Path("s3://bucket/study"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/x", "unknown kind"),
        ("s3://user:word@bucket/x", "a URL without"),
        ("s3://bucket/x?X-Amz-Signature=1", "a URL without"),
        ("file://elsewhere/x", "another machine"),
    ],
)
def test_urls_with_secrets_or_of_no_known_kind_are_refused(url, said):
    with pytest.raises(InputError, match=said) as caught:
        open_store(url)
    assert "word" not in str(caught.value)
    assert "Signature=1" not in str(caught.value)


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(MissingDependencyError, match="remote"):
        open_store("s3://bucket/study")


def test_a_file_url_is_a_folder(tmp_path):
    open_store((tmp_path / "a b").as_uri()).write("x", b"1")
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"
