"""The runs of a study as a sequence and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from .._checks import check_choice
from .._results import Table
from .layout import RunMetadata
from .records import SEED_ROLES, STATUSES


class Runs(Sequence[RunMetadata]):
    """The runs of a study, as facts; prints as a table."""

    def __init__(self, facts: Sequence[RunMetadata]) -> None:
        self._facts = tuple(facts)
        self._by_id = {run.id: run for run in self._facts}

    @overload
    def __getitem__(self, index: int | str) -> RunMetadata: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | str | slice) -> RunMetadata | Runs:
        if isinstance(index, str):
            return self._by_id[check_choice(index, "run", self._by_id)]
        return Runs(self._facts[index]) if isinstance(index, slice) else self._facts[index]

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, run: object) -> bool:
        return run in self._by_id or run in self._facts

    @property
    def ids(self) -> tuple[str, ...]:
        """Id of each run."""
        return tuple(self._by_id)

    def count(self, value: Any) -> int:
        """Return how many runs have the status `value`."""
        return sum(run.status == check_choice(value, "status", STATUSES) for run in self._facts)

    def table(self) -> Table:
        """Return one row per run: id, status, accuracy on each split, seeds by role, hyperparameters."""
        columns: dict[str, list[Any]] = {
            "run": [run.id for run in self._facts],
            "status": [run.status for run in self._facts],
        }
        if any(run.source_status for run in self._facts):
            columns["source status"] = [run.source_status for run in self._facts]
        accuracies = _names(run.accuracy for run in self._facts)
        for split in accuracies:
            columns[f"accuracy {split}"] = [run.accuracy.get(split) for run in self._facts]
        for role in SEED_ROLES:
            columns[f"seed {role}"] = [getattr(run.seeds, role) for run in self._facts]
        for name in _names(run.hyperparameters for run in self._facts):
            values = [run.hyperparameters.get(name) for run in self._facts]
            while name in columns:  # what the user called "status" stands beside the run's own
                name = f"hyperparameter {name}"
            columns[name] = values
        return Table(columns, formats={f"accuracy {split}": ".2%" for split in accuracies})

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _names(mappings: Iterator[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
