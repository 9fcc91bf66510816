"""The keywords that the verbs of trimming share, checked and filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..._checks import check_settings, check_workers
from ..._reading.scalars import Reading, Scalars, read_scalars
from .defaults import TrimmingSettings
from .resampling import Progress

_SCALARS = ("margin", "classes", "clip")
_AS_THEY_ARE = Reading()


@dataclass(frozen=True)
class Inputs:
    """Checked `TrimmingSettings`: how sources are read, and by how many threads levels are computed."""

    scalars: Reading = _AS_THEY_ARE
    labels: Any = None
    split: str = "test"
    kind: str = "auto"
    nan: str = "exclude"
    workers: int | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        """Refuse threads that are none."""
        check_workers(self.workers)

    @classmethod
    def of(cls, verb: Callable[..., Any], given: TrimmingSettings) -> Inputs:
        """Return the settings that a verb was given; an unknown one is an error that names the nearest."""
        check_settings(given, TrimmingSettings.__annotations__, verb)
        rest: dict[str, Any] = {**given}
        scalars = Reading(**{name: rest.pop(name) for name in _SCALARS if name in rest})
        return cls(scalars, **rest)

    def read(self, source: Any) -> Scalars:
        """Return the scalar outputs of the usable runs of a source."""
        return read_scalars(source, self.labels, self.split, self.scalars, kind=self.kind, nan=self.nan)

    def used(self, runs: Scalars) -> dict[str, Any]:
        """Return what a result says of how outputs were read."""
        return {"margin": runs.margin, "classes": self.scalars.classes, "clip": self.scalars.clip}
