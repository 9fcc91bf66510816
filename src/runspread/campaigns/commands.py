"""The command that trains: run with a seed, watched, and its outcome read from what it prints."""

from __future__ import annotations

import math
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .._reading.plain_files import UnfitJsonError, parse_json
from ..errors import InputError

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)(?![\w.])", re.I)


@dataclass(frozen=True)
class Reading:
    """How an outcome is read from what a command prints.

    Attributes
    ----------
    pattern : str
        Regular expression whose first group, or all of it, is the number.
    json_key : str
        Key of a JSON object on a line; ``a.b`` for one inside another. Neither: the one number on the last line.
    last : bool
        Whether the last of several is taken; else they must agree.
    """

    pattern: str = ""
    json_key: str = ""
    last: bool = False

    def value(self, text: str) -> float:
        """Return the outcome in a text.

        Raises
        ------
        InputError
            There is no number, or there are several.
        """
        if self.json_key:
            found, where = [_inside(one, self.json_key) for one in _objects(text)], f"the key {self.json_key!r}"
            numbers = [float(one) for one in found if isinstance(one, (int, float)) and not isinstance(one, bool)]
        elif self.pattern:
            where = f"the pattern {self.pattern!r}"
            numbers = [float(match[1] if match.groups() else match[0]) for match in self._matches(text)]
        else:
            lines = [line for line in text.splitlines() if line.strip()]
            where = f"the last line, {lines[-1].strip()[:80]!r}," if lines else "what was printed, which is empty,"
            numbers = [float(match[0]) for match in NUMBER.finditer(lines[-1])] if lines else []
        if not numbers:
            raise InputError(f"{where} holds no number", "one number, the outcome of the run", _HINT)
        if not self.last and len({repr(one) for one in numbers}) > 1:
            raise InputError(f"{where} holds {len(numbers)} numbers", "one number, the outcome of the run", _HINT)
        return numbers[-1]

    def _matches(self, text: str) -> list[re.Match[str]]:
        try:
            found = list(re.finditer(self.pattern, text, re.MULTILINE))
        except re.error as error:
            raise InputError(f"the pattern {self.pattern!r} is none: {error}", "a regular expression") from error
        for match in found:
            if not NUMBER.fullmatch(match[1] if match.groups() else match[0]):
                raise InputError(
                    f"the pattern {self.pattern!r} finds {match[0]!r}, which is no number", hint="Put (...) around it."
                )
        return found

    def guard(self, text: str, name: str) -> float:
        """Return the value of a guard: a key in JSON, or the number after the name on the last line that has it."""
        keyed = [_inside(one, name) for one in _objects(text)]
        numbers = [float(one) for one in keyed if isinstance(one, (int, float))]
        after = re.findall(rf"(?<![\w.]){re.escape(name)}[\s:=]+({NUMBER.pattern})", text)
        if not numbers and not after:
            raise InputError(f"what was printed holds no value of the guard {name!r}", f"a line such as {name}: 0.93")
        return numbers[-1] if numbers else float(after[-1])


_HINT = (
    "Use --pattern 'val_loss: (\\S+)' or --json-key val_loss, and --last where there are several. "
    "Nothing is lost: report the run with --value and its --seed."
)


def _objects(text: str) -> list[Any]:
    """Return the JSON objects in a text: one a line, or all of it."""
    found = [_parsed(line) for line in text.splitlines() if line.lstrip().startswith("{")]
    found = [one for one in found if isinstance(one, dict)]
    whole = _parsed(text)
    return found or ([whole] if isinstance(whole, dict) else [])


def _parsed(text: str) -> Any:
    try:
        return parse_json(text, constants=True)
    except UnfitJsonError:
        return None


def _inside(found: Any, key: str) -> Any:
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


@dataclass(frozen=True)
class Finished:
    """How a command ended.

    Attributes
    ----------
    text : str
        What it printed.
    seconds : float
        How long it took.
    problem : str
        Why it failed; empty where it ended well.
    """

    text: str
    seconds: float
    problem: str = ""


def words_of(command: str | Sequence[str]) -> list[str]:
    """Return the words of a command, which must take the seed."""
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not any("{seed}" in word for word in words):
        raise InputError(
            f"the command {shlex.join(words)!r} does not take the seed",
            "{seed} where the seed belongs",
            "For example: python train.py --seed {seed}",
        )
    return words


def run_command(words: Sequence[str], seed: int, state: str, *, timeout: float | None = None) -> Finished:
    """Run a command that trains, in a process of its own; what it prints goes to standard error as well.

    Parameters
    ----------
    words : sequence of str
        The command; ``{seed}`` and ``{state}`` are replaced. They are in RUNSPREAD_SEED and RUNSPREAD_STATE too.
    seed : int
        Seed of the run.
    state : str
        State to train.
    timeout : float, optional
        Seconds after which it is ended with all processes that it started, and counts as failed.
    """
    filled = [word.replace("{seed}", str(seed)).replace("{state}", state) for word in words]
    given = os.environ | {"RUNSPREAD_SEED": str(seed), "RUNSPREAD_STATE": state}
    begun = time.monotonic()
    try:
        child = subprocess.Popen(
            filled, stdout=subprocess.PIPE, env=given, text=True, errors="replace", start_new_session=True
        )
    except OSError as error:
        raise InputError(f"the command {filled[0]} cannot be started: {error.strerror}", "a program") from error
    late = threading.Event()
    timer = threading.Timer(timeout, lambda: (late.set(), _end(child))) if timeout else None
    try:
        if timer:
            timer.start()
        text = _copied(child)
        status = child.wait()
    except BaseException:
        _end(child)
        raise
    finally:
        if timer:
            timer.cancel()
    seconds = time.monotonic() - begun
    if late.is_set():
        return Finished(text, seconds, f"timed out after {timeout:g} s")
    return Finished(text, seconds, f"exit status {status}" if status else "")


def _copied(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    lines = list[str]()
    with child.stdout as printed:
        for line in printed:
            lines.append(line)
            sys.stderr.write(line)
    return "".join(lines)


def _end(child: subprocess.Popen[str]) -> None:
    """End a process and those that it started, which may outlive it and keep its output open."""
    if sys.platform == "win32":
        child.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def outcome_of(done: Finished, reading: Reading, guards: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Return the outcome of a finished command, and of its guards; NaN where it failed."""
    if done.problem:
        return math.nan, {}
    value = reading.value(done.text)
    found = {name: reading.guard(done.text, name) for name in guards if name != "seconds"}
    return value, found if math.isfinite(value) else {}
