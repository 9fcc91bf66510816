"""What an import can be asked for, in one place for Python and the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .._checks import check_choice
from ..errors import InputError
from .curves import RESTARTS
from .limits import Limits
from .seeds import parsed_seed_keys


class ImportSettings(TypedDict, total=False):
    r"""Settings of an import.

    Attributes
    ----------
    seed_keys : mapping of str to str, or sequence of str
        Which key of the configuration is which seed: ``{"run_seed": "init"}`` or ``["run_seed=init"]``, with the roles
        init, order, augment, all, none.
    seed_from_name : str
        Pattern with one group that finds the seed in a run's path. By default ``seed[_-]?(\d+)``, and only where no
        run has a key and all names have it.
    step : str
        Metric that is the step.
    metrics : sequence of str
        Patterns of the metrics to take; by default all but runtimes, throughputs and what counts the step.
    ignore : sequence of str
        Patterns of keys that are no hyperparameters.
    restarts : {"last", "first", "split", "refuse"}
        What counts where steps were written again.
    running : {"skip", "partial"}
        Whether runs that are still running are saved, as failed attempts.
    stale : float
        Seconds without a change after which a run without an end counts as killed; default 3600.
    config : {"unknown", "all-equal"}
        What runs without a configuration are: not comparable, or all of one configuration.
    predictions : mapping of str to str
        Pattern of the files of predictions of each split, below each run's folder or the root.
    outputs : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the predictions are.
    weights : {"none", "final"}
        Whether final weights in safetensors are copied.
    pattern : str
        Regular expression with named groups that reads lines of plain text logs.
    verify : bool
        Whether checksums of data are checked too, not only those of lengths.
    limits : Limits
        What one file may cost.
    """

    seed_keys: Mapping[str, str] | Sequence[str]
    seed_from_name: str | None
    step: str | None
    metrics: Sequence[str] | str | None
    ignore: Sequence[str]
    restarts: str | None
    running: str
    stale: float
    config: str
    predictions: Mapping[str, str]
    outputs: str
    weights: str
    pattern: str | None
    verify: bool
    limits: Limits


@dataclass(frozen=True)
class Options:
    """The settings of one import, checked."""

    seed_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    seed_from_name: str | None = None
    step: str | None = None
    metrics: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    restarts: str | None = None
    running: str = "skip"
    stale: float = 3600.0
    config: str = "unknown"
    predictions: Mapping[str, str] = field(default_factory=dict[str, str])
    outputs: str = "auto"
    weights: str = "none"
    pattern: re.Pattern[str] | None = None
    verify: bool = False
    limits: Limits = field(default_factory=Limits)
    table: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of `from_table` alone


def options_of(settings: Mapping[str, Any], table: Mapping[str, Any] | None = None) -> Options:
    """Return checked settings.

    Raises
    ------
    InputError
        A setting that does not exist, or a value that it does not take.
    """
    for name in settings:
        check_choice(name, "setting of an import", tuple(ImportSettings.__annotations__))
    values = dict(settings)
    values["seed_keys"] = parsed_seed_keys(values.get("seed_keys"))
    if values.get("restarts") is not None:
        check_choice(values["restarts"], "restarts", RESTARTS)
    check_choice(values.get("running", "skip"), "running", ("skip", "partial"))
    check_choice(values.get("config", "unknown"), "config", ("unknown", "all-equal"))
    check_choice(values.get("weights", "none"), "weights", ("none", "final"))
    for name in ("ignore", "metrics"):
        given = values.get(name)
        if given is not None:
            values[name] = (given,) if isinstance(given, str) else tuple(given)
    values["pattern"] = _pattern(values.get("pattern"))
    values["predictions"] = dict(values.get("predictions") or {})
    return Options(**values, table=dict(table or {}))


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        compiled = re.compile(text, re.MULTILINE)
    except re.error as error:
        raise InputError(f"--pattern {text} is no regular expression ({error})", "one with named groups") from error
    if not compiled.groupindex:
        raise InputError(
            f"--pattern {text} has no named group",
            "a group for each metric",
            r"Write for example 'step:(?P<step>\d+) val_loss:(?P<val_loss>[\d.]+)'.",
        )
    return compiled
