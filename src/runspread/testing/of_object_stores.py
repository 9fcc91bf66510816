"""What a store of objects promises: six verbs, and creation that one of many writers wins."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import StorageError

_WRITERS, _ROUNDS, _MANY = 16, 5, 30


class StoreTests:
    """Tests of a store of objects, which `open_study` and `create_study` may be pointed at.

    Derive a class whose name starts with ``Test``, and say how a store is opened (`store`). Passing them, and the probe
    that is one of them, rejects coarse races between writers; it cannot prove that there are no finer ones.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import runspread as rs
    >>> class TestFolders(rs.testing.StoreTests):
    ...     def store(self, folder):
    ...         return rs.studies.open_store(folder / "objects")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TestFolders().test_one_of_many_creators_wins(Path(folder))
    """

    def store(self, folder: Path) -> Any:
        """Return an empty store.

        Parameters
        ----------
        folder : Path
            A folder of the test, for a store that needs one.
        """
        raise NotImplementedError

    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        """From memory and from a file; a later write takes the place of an earlier one."""
        store, body = self.store(tmp_path), bytes(range(256)) * 40
        file = tmp_path / "body"
        file.write_bytes(body)
        store.write("a/first", body)
        store.write("a/second", file)
        store.write("empty", b"")
        assert store.read("a/first") == store.read("a/second") == body
        assert store.read("empty") == b""
        store.write("a/first", b"new")
        assert store.read("a/first") == b"new"

    def test_what_is_not_there_is_a_key_error(self, tmp_path: Path) -> None:
        """Also what is a prefix of something."""
        store = self.store(tmp_path)
        store.write("a/b", b"1")
        for key in ("nothing", "a", "a/b/c"):
            _refused(KeyError, lambda key=key: store.read(key))
            _refused(KeyError, lambda key=key: store.read_ranges(key, [(0, 1)]))

    def test_keys_stay_within_the_store(self, tmp_path: Path) -> None:
        """No way leads up or out."""
        store = self.store(tmp_path)
        for key in ("../out", "/out", "a//b", "a/../../out", "", "a/"):
            _refused(StorageError, lambda key=key: store.write(key, b"1"))

    def test_one_level_is_listed_completely(self, tmp_path: Path) -> None:
        """Objects with their sizes, prefixes with a slash, whole names only."""
        store = self.store(tmp_path)
        store.write("top", b"123")
        for number in range(_MANY):
            store.write(f"many/{number:03d}/mark", b"1")
        store.write("many-others/x", b"1")
        top = store.list()
        assert [(one.key, one.size) for one in top.objects] == [("top", 3)]
        assert top.prefixes == ("many-others/", "many/") or top.prefixes == ("many/", "many-others/")
        assert sorted(store.list("many/").prefixes) == [f"many/{number:03d}/" for number in range(_MANY)]
        assert [one.key for one in store.list("many/007/").objects] == ["many/007/mark"]
        assert store.list("nothing/") == ((), ())

    def test_ranges_are_exact(self, tmp_path: Path) -> None:
        """And what lies behind the end is an error, never less than was asked for."""
        store, body = self.store(tmp_path), bytes(range(200))
        store.write("key", body)
        assert store.read_ranges("key", [(0, 5), (190, 200), (7, 8)]) == [body[:5], body[190:], body[7:8]]
        assert store.read_ranges("key", []) == []
        _refused(StorageError, lambda: store.read_ranges("key", [(190, 210)]))

    def test_a_body_is_created_once(self, tmp_path: Path) -> None:
        """True if and only if it is ours that stands there, however often it is sent."""
        store = self.store(tmp_path)
        assert store.create("mark", b"mine")
        assert store.create("mark", b"mine")
        assert not store.create("mark", b"theirs")
        assert store.read("mark") == b"mine"

    def test_one_of_many_creators_wins(self, tmp_path: Path) -> None:
        """By the answers and by what stands there."""
        store = self.store(tmp_path)
        for turn in range(_ROUNDS):
            bodies = [f"{writer} {uuid.uuid4().hex}".encode() for writer in range(_WRITERS)]
            with ThreadPoolExecutor(_WRITERS) as pool:
                won = list(pool.map(lambda body, key=f"marks/{turn}": store.create(key, body), bodies))
            (winner,) = (body for body, first in zip(bodies, won, strict=True) if first)
            assert store.read(f"marks/{turn}") == winner

    def test_what_is_deleted_is_gone(self, tmp_path: Path) -> None:
        """What was never there is, too."""
        store = self.store(tmp_path)
        store.write("a/b", b"1")
        store.write("a/c", b"1")
        store.delete(["a/b", "never"])
        _refused(KeyError, lambda: store.read("a/b"))
        assert [one.key for one in store.list("a/").objects] == ["a/c"]
        store.delete(["a/c"])
        assert store.list().prefixes == ()

    def test_the_probe_passes(self, tmp_path: Path) -> None:
        """And leaves nothing."""
        from ..studies.stores.probing import probe

        store = self.store(tmp_path)
        probe(store)
        assert store.list() == ((), ())


def _refused(kind: type[Exception], action: Any) -> None:
    try:
        action()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")
