"""The report: one file, nothing fetched, user text escaped, sections registered in one place."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import runspread as rs
import runspread._cli
from runspread._report import sections
from runspread._report.page import report as write_report
from runspread._report.variance import variance as variance_section
from runspread.errors import InputError
from tests.factories import make_study

VOID = {"meta", "br", "link", "input", "img", "hr"}


class Page(HTMLParser):
    """Collects what a browser would fetch, and checks that tags nest."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.fetched += [values[name] for name in ("src", "srcset", "data") if name in values]
        self.fetched += [values["href"]] if tag == "link" else []
        self.ids += [values["id"]] if "id" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    study = make_study(tmp_path_factory.mktemp("report") / "a <b>bold study", runs=8)
    return write_report(study).read_text()


def test_nothing_is_fetched_and_tags_nest(page):
    assert Page(page).fetched == []
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest", page)


def test_user_text_is_escaped(page):
    assert "<b>bold study" not in page
    assert "&lt;b&gt;bold study" in page


def test_ids_are_unique_within_each_drawing(page):
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S):
        ids = Page(svg).ids
        assert len(ids) == len(set(ids))


def test_references_resolve(page):
    ids = set(Page(page).ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= ids


def test_every_figure_says_what_it_shows_and_does_not(page):
    assert page.count("<figure") == page.count("<b>Shows:</b>") == page.count("<b>Does not show:</b>") > 0


def test_lead_of_the_variance_section_is_the_sentence(tmp_path):
    study = make_study(tmp_path / "study")
    section = variance_section(study)
    assert section.lead == rs.variance(study).sentence()


def test_same_study_gives_the_same_page(tmp_path):
    study = make_study(tmp_path / "study")
    pages = [write_report(study, tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


def test_a_study_without_runs_still_has_a_page(tmp_path):
    study = rs.create_study(tmp_path / "empty")
    assert "0 runs: none so far." in write_report(study).read_text()


def test_troubled_runs_are_named(tmp_path):
    study = make_study(tmp_path / "study", runs=3)
    with pytest.raises(RuntimeError), study.record(seeds=99):
        raise RuntimeError("out of <memory>")
    text = write_report(study).read_text()
    assert "RuntimeError: out of &lt;memory&gt;" in text
    assert "3 completed, 1 failed" in text
    assert f"Excluded: 1 failed ({study.run_names[study.runs[-1].id]})" in text


def test_a_section_that_cannot_be_made_says_why(tmp_path, monkeypatch):
    def broken(study):
        raise InputError("nothing to divide by", "two runs")

    monkeypatch.setattr(sections, "broken", broken, raising=False)
    monkeypatch.setattr(sections, "SECTIONS", ("runspread._report.sections:broken",))
    study = make_study(tmp_path / "study", runs=2)
    assert "Not available: nothing to divide by. Expected two runs" in write_report(study).read_text()


def test_a_section_beside_a_command_is_found(tmp_path, monkeypatch):
    """The face of a new method is one module."""
    (tmp_path / "range_of_runs.py").write_text(
        "import click\n"
        "from runspread._report.sections import Section\n\n"
        "@click.command('range-of-runs')\n"
        "def command():\n    pass\n\n"
        "def section(study):\n    return Section('Range', f'{len(study.runs)} runs have a range.')\n"
    )
    monkeypatch.setattr(runspread._cli, "__path__", [*runspread._cli.__path__, str(tmp_path)])
    assert "runspread._cli.range_of_runs:section" in sections.sections_of_commands()
    found = sections.build_sections(make_study(tmp_path / "study", runs=2))
    assert (found[-1].title, found[-1].lead) == ("Range", "2 runs have a range.")


def test_a_long_table_of_runs_is_cut_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sections, "RUNS_LISTED", 3)
    section = sections.accuracy(make_study(tmp_path / "study", runs=5))
    assert len(section.tables[0]) == 3
    assert "the first 3 runs" in section.notes[0]


def test_one_run_and_nan_metrics(tmp_path):
    study = rs.create_study(tmp_path / "study", splits={"test": [0, 1, 1]})
    with study.record(seeds=0) as run:
        run.log(1, loss=float("nan"))
        run.predictions("test", np.eye(3)[:, :2])
    assert "1 run: 1 completed." in write_report(study).read_text()


def test_metrics_of_a_single_point_are_not_drawn_as_curves(tmp_path):
    study = rs.create_study(tmp_path / "study", splits={"test": np.arange(4) % 2})
    for seed in range(3):
        with study.record(seeds=seed) as run:
            run.log(10, loss=0.5)
    assert sections.curves(study) is None
    with study.record(seeds=9) as run:
        for step in range(3):
            run.log(step, loss=0.5, once=1.0) if step == 2 else run.log(step, loss=0.5)
    found = sections.curves(study)
    assert found is not None
    assert [figure.shows.split()[0] for figure in found.figures] == ["loss"]
