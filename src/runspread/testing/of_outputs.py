"""What a source of outputs promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._reading.kinds import KINDS, SCALARS
from .._reading.outputs import RunOutputs, run_of
from .._results import Excluded

_LIMITS = (1, 100, 1000, 10**9)  # bytes of a chunk
_CLOSE = 1e-9  # the same sums in another order


class OutputsTests:
    """Tests of a source of outputs, which every method can then read: see `runspread.methods.RunOutputs`.

    Derive a class whose name starts with ``Test``, and say what is tested in `make_outputs`.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> class Blocks:
    ...     "Outputs that a program of mine keeps in blocks of runs."
    ...     def __init__(self, blocks, labels):
    ...         self.blocks, self.labels, self.excluded = blocks, labels, ()
    ...         self.run_ids = tuple(f"run {i}" for i in range(sum(map(len, blocks))))
    ...         self.shape = (len(self.run_ids), *blocks[0].shape[1:])
    ...     def chunks(self, max_bytes=2**26):
    ...         for block in self.blocks:
    ...             step = max(1, max_bytes // block[:1].nbytes)
    ...             yield from (block[k : k + step] for k in range(0, len(block), step))
    >>> class TestBlocks(rs.testing.OutputsTests):
    ...     def make_outputs(self):
    ...         rng = np.random.default_rng(0)
    ...         return Blocks([rng.normal(size=(4, 50, 3)) for _ in range(2)], rng.integers(3, size=50))
    >>> TestBlocks().test_chunks_join_to_all_runs()
    """

    def make_outputs(self) -> RunOutputs:
        """Return the source: at least four runs, no two alike, of finite outputs."""
        raise NotImplementedError

    def expected_array(self) -> NDArray[Any] | None:
        """Return the outputs that the source should give, where they are known: [runs, examples(, classes)]."""
        return None

    def test_the_shape_is_runs_examples_and_classes(self) -> None:
        """Two or three whole numbers, none of them 0; four runs are needed for the other tests."""
        shape = self.make_outputs().shape
        assert isinstance(shape, tuple)
        assert len(shape) in (2, 3), shape
        assert all(isinstance(length, int) and length > 0 for length in shape), shape
        assert shape[0] >= 4, "the contract is tested with four runs or more"

    def test_every_run_has_an_id_of_its_own(self) -> None:
        """As many ids as runs, all text, all different."""
        outputs = self.make_outputs()
        assert len(outputs.run_ids) == outputs.shape[0]
        assert all(isinstance(run, str) and run for run in outputs.run_ids), outputs.run_ids
        assert len(set(outputs.run_ids)) == len(outputs.run_ids), "two runs have one id"

    def test_labels_are_one_class_per_example(self) -> None:
        """Labels, where there are any, are int64 [examples] from 0."""
        outputs = self.make_outputs()
        if outputs.labels is not None:
            assert outputs.labels.dtype == np.int64
            assert outputs.labels.shape == outputs.shape[1:2]
            assert outputs.labels.min() >= 0

    def test_the_kind_is_one_that_methods_know(self) -> None:
        """`kind`, where the source has one, says what the numbers are; predicted classes are whole numbers."""
        outputs = self.make_outputs()
        kind = getattr(outputs, "kind", None)
        assert kind in (None, SCALARS, *KINDS), kind
        if len(outputs.shape) == 2 and kind in (None, "classes"):
            assert all(chunk.dtype.kind in "iub" for chunk in outputs.chunks()), "classes that are no whole numbers"

    def test_runs_left_out_are_named(self) -> None:
        """`excluded` names each run that is not read, with a reason, and no run that is."""
        outputs = self.make_outputs()
        assert isinstance(outputs.excluded, tuple)
        for item in outputs.excluded:
            assert isinstance(item, Excluded)
            assert item.run, "a run is excluded without its name"
            assert item.reason, f"{item.run} is excluded without a reason"
            assert item.run not in outputs.run_ids, f"{item.run} is both excluded and read"

    def test_chunks_join_to_all_runs(self) -> None:
        """However long a chunk may be, the chunks are all runs, in one order, with the same numbers."""
        outputs = self.make_outputs()
        whole = _array(outputs)
        assert whole.shape == outputs.shape
        for limit in _LIMITS:
            np.testing.assert_array_equal(_array(outputs, limit), whole, err_msg=f"chunks of {limit} bytes")
        expected = self.expected_array()
        if expected is not None:
            np.testing.assert_array_equal(whole, expected)

    def test_chunks_are_as_small_as_asked_for(self) -> None:
        """A chunk has at most `max_bytes`, or is one run."""
        outputs = self.make_outputs()
        for limit in _LIMITS:
            for chunk in outputs.chunks(limit):
                assert len(chunk) == 1 or chunk.nbytes <= limit, f"{chunk.nbytes} bytes where {limit} were asked for"

    def test_one_run_is_what_the_chunks_hold(self) -> None:
        """``source[index]``, where there is such, is that run."""
        outputs = self.make_outputs()
        for index, run in enumerate(_array(outputs)):
            np.testing.assert_array_equal(run_of(outputs, index), run, err_msg=f"run {index}")

    def test_methods_answer_alike_however_outputs_are_chunked(self) -> None:
        """`variance` and `compare` give the same numbers for any length of chunks."""
        outputs = self.make_outputs()
        if outputs.labels is None or getattr(outputs, "kind", None) == SCALARS:
            import pytest

            pytest.skip("variance and compare take outputs of classes with labels")
        expected = _answers(outputs, outputs)
        for limit in (1, 10**9):
            _assert_equal(_answers(_Rechunked(outputs, limit), outputs), expected, f"chunks of {limit} bytes")


class _Rechunked:
    """A source whose chunks are as long as this says, whatever is asked for."""

    def __init__(self, source: RunOutputs, limit: int) -> None:
        self._source, self._limit = source, limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return run_of(self._source, index)

    def chunks(self, max_bytes: int = 0) -> Iterator[NDArray[Any]]:
        """Yield the source's chunks."""
        del max_bytes
        return self._source.chunks(self._limit)


def _array(outputs: RunOutputs, limit: int = 10**9) -> NDArray[Any]:
    return np.concatenate(list(outputs.chunks(limit)))


def _answers(outputs: Any, plain: RunOutputs) -> dict[str, Any]:
    from ..methods.variance.comparing import compare
    from ..methods.variance.estimate import variance

    # The other side: the same predictions as classes with some examples forgotten, so that no run is in both.
    kind = getattr(plain, "kind", None)
    values = _array(plain)
    classes = values if values.ndim == 2 else _classes(values, kind)
    rng = np.random.default_rng(0)
    wrong = rng.random(classes.shape) < 0.3
    other = np.where(wrong, (classes + 1) % (int(classes.max()) + 1), classes)
    return {
        "variance": variance(outputs).to_dict(),
        "compare": compare(outputs, other, labels=plain.labels).to_dict(),
    }


def _classes(values: NDArray[Any], kind: str | None) -> NDArray[np.int64]:
    from .._reading.kinds import class_of

    return class_of(values, kind).astype(np.int64)


def _assert_equal(found: Any, expected: Any, where: str) -> None:
    """Compare what `to_dict` gave; numbers may differ by rounding, text that quotes them is left alone."""
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys(), where
        for name, value in expected.items():
            _assert_equal(found[name], value, f"{where}: {name}")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            _assert_equal(found[index], value, f"{where}[{index}]")
    elif isinstance(expected, (bool, str)) or expected is None:
        assert isinstance(expected, str) or found == expected, where
    else:
        np.testing.assert_allclose(found, expected, rtol=_CLOSE, atol=_CLOSE, err_msg=where)
