"""Progress of a training: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .printing import rewrite, say
from .waiting import sign

if TYPE_CHECKING:
    from ..training.progress import TrainingProgress

LINE_EVERY = 10.0  # seconds between plain lines


@contextmanager
def training_progress() -> Generator[Callable[[TrainingProgress], None]]:
    """Yield what `train` calls with its progress; it goes to standard error, so that results can be piped."""
    if sys.stderr.isatty():
        with sign.held(), _bar() as update:
            yield update
    else:
        yield _lines()


@contextmanager
def step_progress() -> Generator[Callable[[int, int], None]]:
    """Yield what a training of one network calls with the steps done and those in all."""
    from ..training.progress import TrainingProgress

    started = 0.0
    with training_progress() as tell:

        def update(done: int, total: int) -> None:
            nonlocal started
            started = started or time.perf_counter()  # after the first step, which has more to prepare
            elapsed = time.perf_counter() - started
            left = elapsed * (total - done) / (done - 1) if done > 1 else None
            tell(TrainingProgress(done, total, done / total, elapsed=elapsed, remaining=left, unit="steps"))

        yield update


@contextmanager
def _bar() -> Generator[Callable[[TrainingProgress], None]]:
    from rich.progress import BarColumn, Progress, TextColumn

    from .show import console

    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        told = ""

        def update(now: TrainingProgress) -> None:
            nonlocal told
            if now.message != told:
                told = now.message
                bar.console.print(told)
            bar.update(task, completed=now.fraction, description=describe(now))

        yield update


def _lines() -> Callable[[TrainingProgress], None]:
    last_time, last_text, told = -LINE_EVERY, "", ""

    def update(now: TrainingProgress) -> None:
        nonlocal last_time, last_text, told
        if now.message != told:
            told = now.message
            say(told, err=True)
        text = describe(now)
        due = time.monotonic() - last_time >= LINE_EVERY or now.runs_done == now.runs_total
        if due and text != last_text:
            last_time, last_text = time.monotonic(), text
            say(text, err=True)

    return update


def counted(what: str = "") -> Callable[[int, int], None] | None:
    """Return what says on a terminal how many of how many (of what) are done; None where there is no terminal."""
    if not sys.stderr.isatty():
        return None
    return lambda done, total: rewrite(f"{done} of {total} {what}".rstrip(), last=done == total)


def describe(now: TrainingProgress) -> str:
    """Return runs done, current accuracy and time left as one line."""
    parts = [f"{now.runs_done}/{now.runs_total} {now.unit}"]
    if now.accuracy is not None:
        of = " of the new runs" if now.runs_before else ""
        parts.append(f"accuracy{of} {100 * now.accuracy:.2f} %")
    if now.remaining is not None and now.runs_done < now.runs_total:
        parts.append(f"{duration(now.remaining)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return seconds as "45 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
