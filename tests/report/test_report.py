"""The report: one file, nothing fetched, user text escaped, sections registered in one place."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import runspread as rs
import runspread._cli
from runspread._report import any_study, sections
from runspread._report.page import report as write_report
from runspread._report.rendering import page_of_sections
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


def test_nothing_turns_the_direction_of_reading(tmp_path):
    study = make_study(tmp_path / "study\u202e", runs=2)
    with study.record(seeds=7, hyperparameters={"lr\u202e": "\u2066a"}) as run:
        run.log(1, **{"loss\u202e": 1.0})
        run.log(2, **{"loss\u202e": 1.0})
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", write_report(study).read_text())


def test_ids_are_unique_within_each_drawing(page):
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S):
        ids = Page(svg).ids
        assert len(ids) == len(set(ids))


def test_references_resolve(page):
    ids = set(Page(page).ids)
    assert len(ids) == len(Page(page).ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= ids


def test_every_figure_says_what_it_shows_and_does_not(page):
    assert page.count("<figure") == page.count("<b>Shows:</b>") == page.count("<b>Does not show:</b>") > 0


def test_the_answers_come_first_and_lead_to_their_sections(page):
    answers = page[page.index('class="answers"') : page.index("Accuracy over runs</h2>")]
    assert 4 <= answers.count("<li>") <= 6
    assert set(re.findall(r'href="#([^"]+)"', answers)) <= set(Page(page).ids)
    assert answers.index("How good") < answers.index("How much of the spread is real") < answers.index("limits these")
    order = [page.index(f'<section id="{key}"') for key in ("accuracy", "variance", "limits", "trained", "seeds")]
    assert order == sorted(order)


def test_recipe_seeds_and_environment_are_folded(page):
    for title in ("What was trained", "Seeds", "Environment"):
        assert f'<details class="folded"><summary><h2>{title}</h2>' in page


def test_what_the_study_lacks_is_said_in_a_line_each(page):
    for title in ("Training dynamics needs", "The best ensemble needs"):
        assert page.count(title) == 1
    assert "Not answered: Training dynamics and The best ensemble" in page


@pytest.mark.parametrize("target", ["latex", "bibtex", "lead"])
def test_what_buttons_copy_is_there(page, target):
    copied = re.findall(rf'data-copies="([^"]+-{target})"', page)
    assert copied
    assert set(copied) <= set(Page(page).ids)
    if target != "lead":
        (kind,) = {"latex": [r"\begin{table}"], "bibtex": ["@inproceedings{"]}[target]
        assert kind in page


def test_the_page_of_several_studies_compares_them(tmp_path):
    old = make_study(tmp_path / "old" / "runs", runs=4)
    new = rs.create_study(tmp_path / "new & <b>" / "runs", splits=old.splits)
    rng = np.random.default_rng(9)
    for seed in range(50, 54):
        with new.record(seeds=seed) as run:
            run.predictions("test", np.eye(4)[old.splits["test"]] + rng.normal(size=(80, 4)))
    studies = [old, new]
    path = rs.report([studies[0], str(studies[1].path)])
    text = path.read_text()
    assert path == tmp_path / "old" / "report.html"
    assert rs.compare(*studies).sentence()[:20] in text
    assert "Is new &amp; &lt;b&gt;/runs better than old/runs" in text
    ids = Page(text).ids
    assert len(ids) == len(set(ids))
    assert {"better", "best", "side", "s1-variance", "s2-variance"} <= set(ids)


def test_a_study_without_a_split_called_test_is_judged_on_what_it_has(tmp_path):
    labels = np.arange(60) % 3
    study = rs.create_study(tmp_path / "study", splits={"val": labels})
    for seed in range(4):
        with study.record(seeds=seed, hyperparameters={"lr": (0.1, 0.3)[seed % 2]}) as run:
            run.log(1, loss=1.0, size=float("inf"))
            run.log(2, loss=float("nan"), size=1.0)
            run.predictions("val", np.eye(3)[labels] + np.random.default_rng(seed).normal(size=(60, 3)))
    built = {section.key: section for section in sections.build_sections(study)}
    assert not [section.title for section in built.values() if section.error]
    assert built["variance"].lead == rs.variance(study, split="val").sentence()
    assert built["variance"].notes[0] == "This is on split 'val': no run has predictions on a split 'test'."
    assert built["trimming"].lead == rs.trimming(study, split="val").sentence()
    assert built["configurations"].figures
    assert built["curves"].figures


def test_no_studies_are_no_report():
    with pytest.raises(InputError, match="no study to report on"):
        rs.report([])


def test_a_study_of_scalars_alone_is_judged_by_its_metric(tmp_path):
    study = rs.create_study(tmp_path / "scalars")
    for seed in range(4):
        with study.record(seeds=seed, hyperparameters={"<i>": "<script>alert(1)</script>"}) as run:
            for step in range(3):
                run.log(step, train_loss=1.0 + seed, val_accuracy=0.5 + 0.1 * seed)
    text = write_report(study).read_text()
    assert "Judged by the last value of val_accuracy" in text
    assert "<script>alert" not in text
    assert "Variance of training needs predictions on a split" in text


def test_numbers_in_a_drawing_are_not_cut(tmp_path):
    drawn = sections.figure(lambda ax: ax.set_title("0.123456 #0072b2"), shows="a", does_not_show="b")
    assert "0.123456 #0072b2" in drawn.svg
    assert not re.search(r' d="[^"]*\.\d{3}', drawn.svg)


def test_very_many_points_are_an_image(tmp_path):
    def draw(ax):
        for _ in range(500):
            ax.plot(np.random.default_rng(0).random(100), linewidth=0.6)

    drawn = sections.figure(draw, shows="a", does_not_show="b")
    assert len(drawn.svg) < 300_000
    assert "data:image/png;base64" in drawn.svg


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
    monkeypatch.setattr(sections, "SECTIONS", (sections.Entry("sections:broken", "Broken"),))
    monkeypatch.setattr(sections, "sections_of_commands", list)
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
    assert "_cli.range_of_runs:section" in [entry.make for entry in sections.sections_of_commands()]
    found = sections.build_sections(make_study(tmp_path / "study", runs=2))
    assert ("Range", "2 runs have a range.", "range-of-runs") in [(one.title, one.lead, one.key) for one in found]


def test_a_long_table_of_runs_is_cut_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sections, "ROWS_LISTED", 3)
    monkeypatch.setattr(sections, "SECTIONS", (sections.Entry("any_study:every_run", "The runs"),))
    monkeypatch.setattr(sections, "sections_of_commands", list)
    (section,) = sections.build_sections(make_study(tmp_path / "study", runs=5))
    assert len(section.tables[0]) == 3
    assert "lists the first 3 of 5 rows" in section.notes[0]


def test_a_long_table_of_any_page_is_cut_too(monkeypatch):
    monkeypatch.setattr(sections, "ROWS_LISTED", 3)
    table = rs.methods.Table({"a": range(5)}, title="Tries")
    page = page_of_sections("name", "about", [sections.Section("One", "lead", tables=(table,))])
    assert page.count("<tr>") == 1 + 3
    assert "lists the first 3 of 5 rows" in page


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
    assert any_study.curves(study) is None
    with study.record(seeds=9) as run:
        for step in range(3):
            run.log(step, loss=0.5, once=1.0) if step == 2 else run.log(step, loss=0.5)
    found = any_study.curves(study)
    assert found is not None
    assert [figure.shows.split()[0] for figure in found.figures] == ["loss"]
