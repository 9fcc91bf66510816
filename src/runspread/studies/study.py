"""A study: a designed set of runs, and the folder that holds it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_choice, check_mapping
from ..errors import CorruptShardError, DuplicateRunError, InputError, StudyError
from .attempts import counting_rows, free_name
from .choosing import chosen_runs, groups_of, labels_of
from .digests import digests_beside
from .facts import holds, read_facts
from .files import storage_errors
from .homes import FolderHome
from .index import read_index, stamps_of, write_index
from .layout import CHECKSUMS, SHARDS, RunMetadata, ShardMetadata, StudyMetadata, place_of, shard_folder
from .publishing import FolderExistsError, clear_leftovers
from .readers import DigestPredictions, Metrics, Predictions
from .recorder import RunRecorder
from .records import STATUSES, RunRecord, Seeds, as_seeds, digest, readable, run_id
from .runs import Runs
from .shards import Arrays, ShardRows, read_predictions, read_weights
from .verify import Verification, verify_study

INDEX_AFTER = 64  # the index is rewritten once this many shards are not in it


class Study:
    """A study that is open. Made by `create_study` or `open_study`, not directly.

    Attributes
    ----------
    path : Path
        The study's folder; of a study in a store, the folder that mirrors it here.
    location : str
        What it is opened by: the path, or the URL.
    recipe : dict or None
        What is trained, as plain values, where runspread trains it.
    splits : dict of str to ndarray of int64 [examples]
        Labels of the splits that the study was created with.
    example_ids : dict of str to str
        Digest of the examples' ids, of splits that were created with them.
    """

    def __init__(
        self, home: FolderHome, facts: StudyMetadata, splits: dict[str, NDArray[np.int64]], *, check: bool = True
    ) -> None:
        self._home, self.path, self.location = home, home.path, str(home)
        self._arrays, self._cleared, self.unfetched = Arrays(check, home.fetch), False, home.unfetched
        self.recipe, self.splits, self.example_ids = facts.recipe, splits, facts.example_ids
        self._shards: dict[str, ShardMetadata] = {}
        self._chosen: frozenset[str] | None = None
        self.refresh()

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status in STATUSES if (n := self.runs.count(status)))
        return f"<Study {self.location!r}: {counts or 'no runs'}>"

    # ------------------------------------------------------------------ reading

    def refresh(self) -> None:
        """Look at the folder again: runs that another process published since appear."""
        self._home.refresh()
        stamps = stamps_of(self.path)
        index = read_index(self.path, stamps) if not self._shards else self._shards
        self.corrupt: dict[str, str] = {}
        found = {name: index[name] if name in index else self._read(name) for name in stamps}
        self._shards = {name: facts for name, facts in found.items() if facts is not None}
        self._arranged: tuple[Runs, list[ShardRows]] | None = None
        self._part_of: dict[str, ShardRows] | None = None
        self._columns: dict[str, tuple[int, str]] = {}
        self._kept = {run.id for facts in self._shards.values() for run in facts.runs if run.status != "failed"}
        if len(self._shards.keys() - index.keys()) >= INDEX_AFTER or index.keys() - self._shards.keys():
            write_index(self.path, self._shards, stamps)

    def _read(self, name: str) -> ShardMetadata | None:
        try:
            return read_facts(f"{self.path}/{SHARDS}/{name}")
        except CorruptShardError as error:
            self.corrupt[name] = str(error)
            return None

    def _arrange(self) -> tuple[Runs, list[ShardRows]]:
        """Order the shards, and let a completed run supersede failed attempts of the same id."""
        if self._arranged is None:
            ordered = sorted(self._shards.items(), key=lambda item: (item[1].position, item[0]))
            rows, beside = counting_rows(ordered, self._chosen), digests_beside(self.path, self._arrays)
            parts = [
                ShardRows(self.path, name, facts, rows[name], self._arrays, beside(name, facts, rows[name]))
                for name, facts in ordered
                if name in rows
            ]
            self._arranged = Runs([run for part in parts for run in part.runs]), parts
        return self._arranged

    @property
    def runs(self) -> Runs:
        """The runs: ids, seeds by role, hyperparameters, status, what was recorded, accuracy."""
        return self._arrange()[0]

    @property
    def parts(self) -> list[ShardRows]:
        """The shards in their order, each with the rows of the runs that count."""
        return self._arrange()[1]

    @property
    def shards(self) -> tuple[str, ...]:
        """Ids of the intact shards."""
        return tuple(self._shards)

    def shard_of(self, run: str) -> str:
        """Return the id of the shard that holds a run: of several records of it, the one that counts."""
        if self._part_of is None:
            self._part_of = {each.id: part for part in self._arrange()[1] for each in part.runs}
        return self._part_of[self.runs[run].id].name

    @property
    def run_names(self) -> dict[str, str]:
        """Id of each run, and what a reader calls it: by what differs between the runs ("seed 3, lr 0.1")."""
        return labels_of(self.runs)

    def where(self, **values: Any) -> Study:
        """Return the study with some of its runs only; every method takes it as it takes the whole.

        Parameters
        ----------
        **values
            A hyperparameter (or ``status``, or a seed by its role) and its value, or a list of values. All have to
            hold.

        Returns
        -------
        Study
            A view of the same folder.

        Raises
        ------
        InputError
            No run has such values; the message lists those that there are.

        Examples
        --------
        ``rs.variance(study.where(lr=0.1))``
        """
        return self.only(chosen_runs(self.runs, values))

    def by(self, name: str) -> dict[Any, Study]:
        """Return a view of the study for each value of a hyperparameter (or status, or seed by its role).

        Runs that lack the hyperparameter are under ``"(not set)"``; lists and mappings are keys as JSON text.
        """
        found: dict[Any, Study] = {}
        for value, ids in groups_of(self.runs, name):
            own = isinstance(value, (list, dict)) or value in found  # True and 1 are one key
            found[json.dumps(value, sort_keys=True) if own else value] = self.only(ids)
        return found

    def only(self, ids: frozenset[str]) -> Study:
        """Return the study with these runs alone; see `where`."""
        view = copy.copy(self)
        view._chosen = ids
        view._arranged = view._part_of = None
        return view

    def predictions(self, split: str = "test", *, step: int | None = None) -> Predictions:
        """Return a lazy reader of the outputs on a split.

        Parameters
        ----------
        split : str
            Name of the split.
        step : int, optional
            At which step; None means the end of training.

        Returns
        -------
        Predictions
            Reader with ``shape`` (runs, examples, classes), ``labels``, ``chunks()`` and ``to_array()``.

        Raises
        ------
        MissingDataError
            No completed run has such predictions; the message lists what was recorded.
        """
        return Predictions(self.parts, split, step, self.corrupt, self._home.whole)

    def digest(self, split: str = "test") -> DigestPredictions | None:
        """Return a reader of the digest columns of the final outputs on a split; None unless all runs have them."""
        parts = [part for part in self.parts if any((split, None) in run.predictions for run in part.runs)]
        known = bool(parts) and all(part.digest(split) is not None for part in parts)
        return DigestPredictions(self.parts, split, None, self.corrupt, self._home.whole) if known else None

    def metrics(self) -> Metrics:
        """Return the logged metrics: a mapping from name to `Curves`."""
        return Metrics(self._arrange()[1])

    def weights(self, run: str | RunMetadata, *, step: int | None = None) -> dict[str, NDArray[Any]]:
        """Return the parameters of one run by name, memory-mapped.

        Parameters
        ----------
        run : str or RunMetadata
            The run, or its id.
        step : int, optional
            At which step; None means the end of training.
        """
        facts = self.runs[run.id if isinstance(run, RunMetadata) else run]
        if self._part_of is None:
            self._part_of = {each.id: part for part in self._arrange()[1] for each in part.runs}
        return read_weights(self._part_of[facts.id], facts, step)

    def report(self, path: str | os.PathLike[str] | None = None, *, clusters: ArrayLike | None = None) -> Path:
        """Write the report of this study as one HTML page that opens offline; see `runspread.report`."""
        from .._report.page import report

        return report(self, path, clusters=clusters)

    def verify(self) -> Verification:
        """Compare every file of every shard with its checksum, and the labels; the result names what is corrupt."""
        self._home.complete()
        return verify_study(self.path)

    def columns_of(self, split: str) -> tuple[int, str] | None:
        """Return how many columns completed runs' outputs on a split have (0: classes alone), and a shard with such."""
        if split not in self._columns:
            found = next(self._columns_on(split), None)
            if found is None:
                return None
            self._columns[split] = found
        return self._columns[split]

    def _columns_on(self, split: str) -> Iterator[tuple[int, str]]:
        for name, facts in self._shards.items():
            completed = (run for run in facts.runs if run.status == "completed")
            at = next((at for run in completed for at in run.predictions if at[0] == split), None)
            if at is not None and facts.kinds.get(place_of(*at)) == "classes":
                yield 0, name
            elif at is not None:
                with suppress(CorruptShardError):  # another shard can tell
                    part = ShardRows(self.path, name, facts, (), self._arrays)
                    yield read_predictions(part, *at, None).shape[-1], name

    # ------------------------------------------------------------------ writing

    def is_recorded(
        self, *, seeds: Seeds | Mapping[str, int] | int | None = None, hyperparameters: Mapping[str, Any] | None = None
    ) -> bool:
        """Whether a run of these seeds and hyperparameters is in the study and did not fail.

        A loop that asks this before each run goes on where it was interrupted.
        """
        return run_id(as_seeds(seeds), hyperparameters or {}) in self._kept

    def record(
        self,
        *,
        seeds: Seeds | Mapping[str, int] | int | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> RunRecorder:
        """Return a recorder for one run, to be used in a ``with`` statement.

        Parameters
        ----------
        seeds : Seeds, mapping or int, optional
            Seeds by role; one number stands for all three roles.
        hyperparameters : mapping, optional
            What identifies the configuration: plain values.
        id : str, optional
            Id of the run; by default made from its seeds and hyperparameters.

        Raises
        ------
        DuplicateRunError
            A run of that id is there and did not fail.
        """
        by_role, values = as_seeds(seeds), dict(check_mapping(hyperparameters, "hyperparameters"))
        identity = run_id(by_role, values) if id is None else str(id)
        self._refuse_duplicates([identity])
        return RunRecorder(self, RunRecord(id=identity, seeds=by_role, hyperparameters=values))

    def publish(
        self,
        records: Sequence[RunRecord],
        *,
        provenance: Mapping[str, Any],
        position: int | None = None,
        dtype: str = "float16",
        reproducible: bool = True,
    ) -> str:
        """Write runs as one shard, all or nothing.

        Parameters
        ----------
        records : sequence of RunRecord
            The runs; they share the shapes of what was recorded.
        provenance : mapping
            When, where and how long: facts that differ between two equal trainings.
        position : int, optional
            Orders shards in the study; by default after all that are there.
        dtype : {"float16", "float32"}
            Precision of predictions; a larger type is taken where a value does not fit, or where the class that is
            predicted would be another. Log-probabilities are kept in single precision at least.
        reproducible : bool
            Whether the runs follow from their ids, as those of a recipe do: then they are the same training as
            completed runs of these ids that another process published first, whatever the last digits.

        Returns
        -------
        str
            Id of the shard. The id follows from the ids of the runs: publishing the same runs again changes nothing.

        Raises
        ------
        DuplicateRunError
            Another process published other content of these ids first, and the runs are not `reproducible`.
        """
        if not records:
            raise InputError("there are no runs to publish", "at least one run")
        check_choice(dtype, "dtype", ("float16", "float32"))
        at = len(self._kept) if position is None else position
        self._clear_leftovers()
        records = [readable(record) for record in records]
        name = self._shard_name(records)
        while not self._home.write(name, records, position=at, dtype=dtype, provenance=provenance):
            self.refresh()  # another process was first: with attempts that failed, or with the runs themselves
            free = self._shard_name(records)
            if free == name and not reproducible:
                raise DuplicateRunError(
                    f"run {records[0].id!r} was recorded by another worker in the meantime, with different content",
                    "one record per run",
                )
            if free == name:
                break
            name = free
        self._shards[name] = read_facts(shard_folder(self.path, name))
        self._kept |= {run.id for run in self._shards[name].runs if run.status != "failed"}
        self._arranged = self._part_of = None
        return name

    def _clear_leftovers(self) -> None:
        """Take away, once, what killed processes left where this one is going to write."""
        if not self._cleared:
            self._cleared = True
            for folder in (self.path, self.path / SHARDS):
                clear_leftovers(folder)

    def _shard_name(self, records: Sequence[RunRecord]) -> str:
        """Return the shard's id; an attempt gets a new one where one of the two failed, or cannot be read."""
        name = digest("\n".join(record.id for record in records).encode())
        return free_name(name, records, self._shards, {*self.corrupt, *self._home.taken})

    def _refuse_duplicates(self, runs: Sequence[str]) -> None:
        there = [run for run in runs if run in self._kept]
        if there:
            raise DuplicateRunError(
                f"run {there[0]!r} is already in the study"
                if len(there) == 1
                else f"{len(there)} runs are already in the study, the first is {there[0]!r}",
                "runs with different seeds and hyperparameters, or different ids",
                "Skip runs for which study.is_recorded(...) is true, or pass id=... to keep a repetition.",
            )

    def merge(self, other: Study) -> list[str]:
        """Copy the shards of another study into this one.

        Parameters
        ----------
        other : Study
            A study of the same recipe and splits. It is left as it is.

        Returns
        -------
        list of str
            Ids of the shards that were copied; those that were here already are skipped.

        Raises
        ------
        StudyError
            Recipes or labels differ, the other study has corrupt shards, or this one a corrupt one of the same id.
            Nothing is copied.
        DuplicateRunError
            The studies hold different runs of one id. Nothing is copied.
        """
        new = self._shards_to_copy(other)
        for name in new:
            try:
                with storage_errors(f"copying shard {name}"):
                    self._home.add(name, shard_folder(other.path, name))
            except FolderExistsError:  # another process was first: with the same, or this says what differs
                self.refresh()
                _same_shard(self, other, name)
        self.refresh()
        return new

    def _shards_to_copy(self, other: Study) -> list[str]:
        self._refuse_other_design(other)
        new = [name for name in other._shards if not _same_shard(self, other, name)]
        copied = (run for name in new for run in other._shards[name].runs)
        runs = {run.id: run for run in copied if run.status != "failed" and run.supersedes is None}
        self._refuse_duplicates(list(runs))
        return new

    def _refuse_other_design(self, other: Study) -> None:
        if (self.recipe or other.recipe) and self.recipe != other.recipe:
            ours, theirs = self.recipe or {}, other.recipe or {}
            differ = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
            raise StudyError(
                f"the studies have different recipes (they differ in {', '.join(differ)})", "the same recipe"
            )
        for split in self.splits.keys() & other.splits.keys():
            if not np.array_equal(self.splits[split], other.splits[split]):
                raise StudyError(f"the studies have different labels for split {split!r}", "the same examples")
        ours_ids, their_ids = self._examples(), other._examples()
        for split in ours_ids.keys() & their_ids.keys():
            if ours_ids[split] != their_ids[split]:
                raise StudyError(
                    f"the studies have different example ids for split {split!r}", "the same examples in the same order"
                )
        problems = other.verify()
        if not problems.ok:
            hint = "Repair or remove those shards first. Nothing was copied."
            raise CorruptShardError(problems.sentence(), hint=hint)

    def _examples(self) -> dict[str, str]:
        """Return the digest of each split's example ids, where the study or one of its shards has one."""
        noted = (*(facts.example_ids for facts in self._shards.values()), self.example_ids)
        return {name: known for examples in noted for name, known in examples.items()}


def _same_shard(ours: Study, theirs: Study, name: str) -> bool:
    if name in ours.corrupt:
        raise CorruptShardError(
            f"shard {name} of {ours.path} cannot be read", "an intact shard, or none", "Move it away, and merge again."
        )
    if name not in ours._shards:
        return False
    sums = (shard_folder(theirs.path, name) / CHECKSUMS).read_bytes()
    if not holds(shard_folder(ours.path, name), theirs._shards[name], sums):
        raise DuplicateRunError(f"shard {name} differs between the studies", "equal shards, or different runs")
    return True
