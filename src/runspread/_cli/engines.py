"""Options of commands that count: on which workers they do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from .._engine import EXECUTORS, engine


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the runs of studies are counted."""

    @click.option(
        "--executor",
        type=click.Choice(EXECUTORS),
        default="local",
        show_default=True,
        help="Where runs of studies are counted; the answer is the same.",
    )
    @click.option("--workers", type=click.IntRange(min=1), help="Number of workers [default: the cores here].")
    @click.option("--address", metavar="HOST:PORT", help="Ray cluster [default: one on this machine].")
    @functools.wraps(command)
    def counting(*args: Any, executor: str, workers: int | None, address: str | None, **kwargs: Any) -> Any:
        with engine(executor, workers=workers, address=address):
            return command(*args, **kwargs)

    return counting
