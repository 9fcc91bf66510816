"""What is needed of a study and of a network, said once; no floor below the studies knows their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray


@runtime_checkable
class HoldsRuns(Protocol):
    """What is needed of a study: facts of its runs, and weights by run and step."""

    @property
    def runs(self) -> Sequence[Any]: ...
    def weights(self, run: Any, *, step: int | None = None) -> Mapping[str, NDArray[Any]]: ...


@runtime_checkable
class HoldsEvidence(HoldsRuns, Protocol):
    """What the audit needs of a study: metrics and predictions too."""

    def metrics(self) -> Mapping[str, Any]: ...
    def predictions(self, split: str = "test") -> Any: ...


def is_study(source: Any) -> bool:
    """Return whether `source` is a study, or stands for one: it has runs, and a method that reads what they left."""
    reads = ("predictions", "metrics", "weights")
    return hasattr(source, "runs") and any(callable(getattr(source, name, None)) for name in reads)


class Module(Protocol):
    """What is needed of a ``torch.nn.Module``."""

    def named_modules(self) -> Any: ...
    def state_dict(self) -> Any: ...
