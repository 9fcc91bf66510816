"""Promises 9 and 10: names are data. They lose no run, script no page, and move no terminal."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runspread as rs
from runspread._cli import COMMANDS, cli
from tests.breaking.tools import LABELS, logits

HOSTILE = (
    "\x1b]0;owned\x07", "\x1b[2J", "\x1b]52;c;cm0gLXJm\x07", "\x9b31m", "\u202etxt.exe", "a\rb", "\x08" * 9,
    "\udcff.png",
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\foo$", "$x$", "../../etc/passwd", "a\0b", "%s%n",
    "{0.__class__}", "{{ 7 * 7 }}", "[red]x[/red]", "x" * 300, "", " ", "\u2028", "😀",
)  # fmt: skip
MOVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def hostile_study(folder, names=HOSTILE):
    study = rs.create_study(folder, splits={"test": LABELS})
    for number, name in enumerate(names):
        with study.record(id=f"{number} {name}", seeds=number, hyperparameters={name or "none": name}) as run:
            for step in range(4):
                run.log(step, **{name or "none": 1 / (1 + step), "loss": 1.0 / (1 + step)})
            run.predictions("test", logits(number))
            run.predictions(f"more {name}", logits(number), labels=LABELS)
            run.weights({name or "none": logits(number)})
    with pytest.raises(RuntimeError), study.record(seeds=999) as run:
        raise RuntimeError("".join(HOSTILE))
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return hostile_study(tmp_path_factory.mktemp("names") / "study\x1b[31m")


def test_a_run_is_kept_whatever_it_is_called(study):
    again = rs.open_study(study.path)
    assert len(again.runs) == len(HOSTILE) + 1
    assert again.verify().ok
    for number, name in enumerate(HOSTILE):
        spelled = name.encode(errors="backslashreplace").decode() or "none"
        run = next(run for run in again.runs if run.seeds.init == number)
        assert run.status == "completed"
        assert spelled in run.metrics
        assert spelled in again.weights(run)
        np.testing.assert_allclose(again.predictions()[again.predictions().run_ids.index(run.id)], logits(number), 1e-2)


@given(names=st.lists(st.text(st.characters(), max_size=40), min_size=1, max_size=3, unique=True))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_name(names, tmp_path_factory):
    """Half characters too; what is kept can be read again."""
    study = hostile_study(tmp_path_factory.mktemp("any") / "study", names)
    assert len(rs.open_study(study.path).runs) == len(names) + 1
    assert study.verify().ok


@pytest.mark.parametrize("clock", [-1e300, 1e300, float("inf"), float("nan"), 2.0**62])
def test_an_absurd_clock_loses_no_run(tmp_path, monkeypatch, clock):
    study = rs.create_study(tmp_path / "s", splits={"test": LABELS})
    monkeypatch.setattr("time.time", lambda: clock)
    with study.record(seeds=0) as run:
        run.predictions("test", logits(0))
    assert len(rs.open_study(study.path).runs) == 1


@pytest.mark.parametrize("value", [2**70, -(2**70), {"a": [[[[[[[[[[[[[1]]]]]]]]]]]]]}])
def test_hyperparameters_that_could_not_be_written_are_refused_before_the_run(tmp_path, value):
    study = rs.create_study(tmp_path / "s", splits={"test": LABELS})
    with pytest.raises(rs.errors.InputError):
        study.record(seeds=0, hyperparameters={"x": value})


LONG = ("dynamics", "report", "spectra", "trimming", "ensemble")
LEFT = ("demo", "train", "hyper-deep", "hyper-batch", "recipes")


@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=[pytest.mark.slow] * (c in LONG)) for c in COMMANDS if c not in LEFT]
)
def test_no_command_moves_the_terminal(command, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile = tmp_path / "t\x1b[2J.csv"
    hostile.write_text(
        "arm,score\n" + "".join(f'"{name}",0.{k}\n' for k, name in enumerate(("a\x1b[2J", "b\x9b1m") * 3))
    )
    for path in (str(study.path), str(hostile), "none\x1b]0;x\x07"):
        for more in ([], [path]):
            result = CliRunner().invoke(cli, [command, path, *more])
            said = re.sub(r"\r\d+ of \d+[^\n]*", "", result.output)
            assert not MOVES.search(said), (command, MOVES.search(said))


def test_one_place_prints():
    folder = Path(rs.__file__).parent / "_cli"
    others = [path.name for path in folder.glob("*.py") if "click.echo(" in path.read_text()]
    assert others == ["printing.py"]


def test_results_and_errors_that_are_printed_move_no_terminal(study):
    assert not MOVES.search(str(rs.audit(study)))
    assert not MOVES.search(str(study.runs.table()))
    with pytest.raises(rs.errors.RunspreadError) as raised:
        study.predictions("\x1b[2J")
    assert not MOVES.search(str(raised.value))


@pytest.mark.slow
def test_names_script_no_page_and_are_no_mathematics(study):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        page = rs.report(rs.open_study(study.path)).read_text()
    assert "<script>alert" not in page
    assert "onerror=alert(1)>" not in page.replace("&#34;&gt;&lt;img src=x onerror=alert(1)&gt;", "")
    assert page.count("<script") == 1
    assert "script-src &#39;sha256-" in page or "script-src 'sha256-" in page
    assert "Not available" not in page


def test_a_metric_that_looks_like_mathematics_is_text(tmp_path):
    """It killed the report."""
    study = rs.create_study(tmp_path / "s", splits={"test": LABELS})
    for seed in range(3):
        with study.record(seeds=seed) as run:
            for step in range(3):
                run.log(step, **{r"$\foo$": 1.0 + step})
            run.predictions("test", logits(seed))
    from runspread._report.any_study import curves

    assert curves(study).figures


def test_one_failing_section_never_takes_the_page(study, monkeypatch):
    from runspread._report import any_study, sections

    def broken(study):
        raise ZeroDivisionError("in one section")

    monkeypatch.setattr(any_study, "accuracy", broken)
    entries = (sections.Entry("any_study:every_run", "The runs"), sections.Entry("any_study:accuracy", "Accuracy"))
    monkeypatch.setattr(sections, "SECTIONS", entries)
    monkeypatch.setattr(sections, "sections_of_commands", list)
    built = sections.build_sections(study)
    assert [section.title for section in built] == ["The runs", "Accuracy"]
    assert "ZeroDivisionError: in one section" in built[1].lead


def test_merging_follows_no_link_out_of_a_study(tmp_path):
    for name in ("ours", "theirs"):
        rs.create_study(tmp_path / name, splits={"test": LABELS})
    theirs = rs.open_study(tmp_path / "theirs")
    with theirs.record(seeds=0) as run:
        run.predictions("test", logits(0))
    secret = tmp_path / "secret"
    secret.write_text("key")
    shard = next((theirs.path / "shards").iterdir())
    (shard / "provenance.json").unlink()
    (shard / "provenance.json").symlink_to(secret)
    ours = rs.open_study(tmp_path / "ours")
    with pytest.raises(rs.errors.StudyError):
        ours.merge(rs.open_study(theirs.path))
    assert "key" not in "".join(p.read_text(errors="replace") for p in ours.path.rglob("*") if p.is_file())
