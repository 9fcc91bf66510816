"""Plug-in of pytest for stochastic training code, by the fixture ``stochastic_baseline``; else it does nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .baselines import Baseline

_WRITTEN = pytest.StashKey[list[Path]]()
_TESTS, _SEED = pytest.StashKey[int](), pytest.StashKey[int]()
_BASELINES = "runspread_baselines"
FIXTURE = "stochastic_baseline"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("runspread", "stochastic tests of training code")
    group.addoption("--update-baselines", action="store_true", help="Run baselines anew, on new seeds, and write them.")
    group.addoption("--stochastic-seed", type=int, metavar="N", help="Repeat with the seeds of an earlier session.")
    group.addoption(
        "--stochastic-budget",
        type=float,
        metavar="RATE",
        help="Share of commits where any stochastic test is falsely red.",
    )
    parser.addini("stochastic_false_red", "share of commits where any stochastic test is falsely red", default="0.01")
    parser.addini("stochastic_budget", "whether that is of the suite or of each test (per_test)", default="suite")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and warn of plug-ins that run a red test again."""
    config.addinivalue_line(
        "markers", "stochastic(level=, max_runs=): a test of training code whose answer depends on seeds (runspread)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that use the fixture, before any are deselected, and share the budget among them."""
    chosen = [item for item in items if FIXTURE in getattr(item, "fixturenames", ())]
    if not chosen:
        return
    for item in chosen:
        if item.get_closest_marker("stochastic") is None:
            item.add_marker("stochastic")
    folders = {item.path.parent / "baselines" for item in chosen}
    stored = sum(len(list(folder.glob("*.json"))) for folder in folders)
    config.stash[_TESTS] = max(len(chosen), stored)  # a part of the suite has the levels of all of it
    if getattr(config.option, "reruns", 0):
        config.issue_config_time_warning(
            pytest.PytestWarning("--reruns runs stochastic tests again, which squares their level: switch it off"), 2
        )


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say how many stochastic tests there are, and at which level."""
    tests = config.stash.get(_TESTS, 0)
    if not tests:
        return []
    each, what = _level(config), "1 test" if tests == 1 else f"{tests} tests, each"
    return [
        f"stochastic: {what} falsely red in at most {100 * each:.3g} % of commits, seeds of "
        f"{_first_seed(config)} (--stochastic-seed)"
    ]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the paths of written baselines to the process that reports, where this one is a worker of pytest-xdist."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_BASELINES] = [str(path) for path in session.config.stash.get(_WRITTEN, [])]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take them from a worker that is done."""
    written = [Path(path) for path in getattr(node, "workeroutput", {}).get(_BASELINES, [])]
    node.config.stash.setdefault(_WRITTEN, []).extend(written)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which baselines were written, and ask for a review."""
    for path in dict.fromkeys(config.stash.get(_WRITTEN, [])):
        if path.is_file():
            from .baselines import read_baseline

            made = read_baseline(path).sentence()
            terminalreporter.write_line(f"{path} was written: {made}. Review and commit it.")


@pytest.fixture
def stochastic_baseline(request: pytest.FixtureRequest) -> Callable[..., Baseline]:
    """Return a function from a name to the baseline in ``baselines/<name>.json`` beside the test.

    Its keywords are metric and higher (whether larger is better), and made_with: a mapping or text, such as the
    configuration, that the baseline must have been made with.
    """
    from dataclasses import replace

    from .baselines import Baseline, config_digest, read_baseline

    marker = request.node.get_closest_marker("stochastic")
    asked: dict[str, Any] = dict(marker.kwargs) if marker else {}
    settings: dict[str, Any] = {
        "false_red": asked.get("level", _level(request.config)),
        "max_runs": asked.get("max_runs", 4),
        "first_seed": _first_seed(request.config),
    }

    def get(
        name: str, *, metric: str = "outcome", higher: bool = False, made_with: Mapping[str, Any] | str | None = None
    ) -> Baseline:
        path = request.path.parent / "baselines" / f"{name}.json"
        facts: dict[str, Any] = {"metric": metric, "higher": higher, "config": config_digest(made_with)}
        if request.config.getoption("--update-baselines"):
            fresh: dict[str, Any] = settings | {"first_seed": random_seed()}
            request.config.stash.setdefault(_WRITTEN, []).append(path)
            return Baseline(name, path=path, update=True, **facts, **fresh)
        return replace(read_baseline(path, **facts), **settings)

    return get


def _level(config: pytest.Config) -> float:
    """Return the share of commits in which one test may be falsely red."""
    given = config.getoption("--stochastic-budget")
    whole = float(config.getini("stochastic_false_red") if given is None else given)
    if not 0 < whole < 1:
        raise pytest.UsageError(f"stochastic_false_red is {whole:g}. Expected a share between 0 and 1, such as 0.01")
    per_test = config.getini("stochastic_budget") == "per_test"
    return whole if per_test else whole / max(config.stash.get(_TESTS, 1), 1)


def _first_seed(config: pytest.Config) -> int:
    """Return what seeds follow from: what was asked for; in CI the commit, so that a job run again answers the same."""
    given = config.getoption("--stochastic-seed")
    if given is not None:
        return int(given)
    kept = config.stash.get(_SEED, None)
    if kept is None:
        kept = config.stash[_SEED] = _drawn_seed(config)
    return kept


def _drawn_seed(config: pytest.Config) -> int:
    from .baselines import revision

    text = revision() if os.environ.get("CI") else ""
    text = text or getattr(config, "workerinput", {}).get("testrunuid", "")  # workers beside each other agree
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big") >> 2 if text else random_seed()


def random_seed() -> int:
    """Return a seed that nobody can foresee."""
    return int.from_bytes(os.urandom(4), "big") >> 2
