"""The report in a headless browser: widths, colours, print, keyboard, accessibility.

Needs playwright, axe-playwright-python and a Chromium that is installed (CHROMIUM names its program).
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

import runspread as rs
from runspread.methods.dynamics.metrics_of_weights import WEIGHT_METRICS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PROGRAM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed"),
    pytest.mark.filterwarnings("default"),
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]
QUIET += ["--disable-component-update", "--disable-sync"]
HOSTILE = "<img src=x onerror=alert(1)> \"'&\u202e $x$ " + "very_long_name_" * 6

# Text whose contrast with what is behind it is below 4.5: [text, ratio]; of drawings, against the page.
CONTRAST = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const behind = one => { for (let at = one; at; at = at.parentElement) {
    const found = numbers(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found; } return [255, 255, 255]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), one = walker.currentNode.parentElement;
    if (!text || !one.checkVisibility() || one.closest("script, style, template, .aloud, .skip")) continue;
    const style = getComputedStyle(one);
    const ink = numbers(one.closest("svg") ? style.fill : style.color);
    const same = [String(behind(one)), "255,255,254", "0,0,1"];  // what is written on colours of the drawing
    if (one.closest("svg") && same.includes(String(ink))) continue;
    const [a, b] = [light(ink), light(behind(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push([text, (a + 0.05) / (b + 0.05)]);
  }
  return found;
}"""
CLIPPED = """() => [...document.querySelectorAll("td, th")].filter(one => one.checkVisibility()
  && one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"""
OUTSIDE = """() => [...document.querySelectorAll("figure svg")].filter(one => one.checkVisibility()).flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => { const own = text.getBoundingClientRect();
    return own.left < box.left - 2 || own.right > box.right + 2 || own.top < box.top - 2
      || own.bottom > box.bottom + 2; })
    .map(text => text.textContent); })"""
SMALL = """() => [...document.querySelectorAll("figure svg")].filter(one => one.checkVisibility()).flatMap(svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll("text")].map(text => parseFloat(getComputedStyle(text).fontSize) * scale)
    .filter(size => size < 9); })"""


def add_runs(study, runs, *, name="lr"):
    rng = np.random.default_rng(0)
    for number in range(runs):
        with study.record(seeds=number, hyperparameters={name: (0.1, 0.3)[number % 2]}) as run:
            slow = number % 3 == 0
            for step in range(12):
                state = step > (8 if slow else 4)
                values = {metric: state + 0.1 * rng.normal() for metric in WEIGHT_METRICS}
                run.log(step, val_accuracy=0.9 if state else 0.3, **values)
            for split, labels in study.splits.items():
                run.predictions(split, 3 * np.eye(4)[labels] + rng.normal(size=(len(labels), 4)))
            run.weights({"layer.weight": rng.normal(size=(20, 30))})


def everything(folder):
    labels = np.random.default_rng(1).integers(4, size=200)
    study = rs.create_study(folder / "all five", splits={"validation": labels[:120], "test": labels[120:]})
    add_runs(study, 12)
    with pytest.raises(RuntimeError), study.record(seeds=99):
        raise RuntimeError(HOSTILE)
    return study


def hostile(folder):
    study = rs.create_study(folder / "<b>a 'name' & more", splits={"test": np.arange(60) % 4})
    add_runs(study, 4, name=HOSTILE)
    return study


def single(folder):
    study = rs.create_study(folder / "one", splits={"test": np.arange(60) % 4})
    add_runs(study, 1)
    return study


def scalars(folder):
    study = rs.create_study(folder / "scalars")
    for seed in range(3):
        with study.record(seeds=seed) as run:
            run.log(1, val_loss=float(seed), **{HOSTILE: 1.0})
    return study


def many(folder):
    """500 runs, some of which diverged."""
    study = rs.create_study(folder / "many", splits={"test": np.arange(50) % 3})
    rng = np.random.default_rng(2)
    truth = np.eye(3)[np.arange(50) % 3]
    for number in range(500):
        with study.record(seeds=number, hyperparameters={"lr": number / 1000}) as run:
            for step in range(30):
                run.log(step, loss=float("nan") if number % 100 == 7 else rng.random(), accuracy=rng.random())
            run.predictions("test", truth + rng.normal(size=truth.shape))
    return study


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    made = {make.__name__: make(folder) for make in (everything, hostile, single, scalars, many)}
    paths = {name: rs.report(study) for name, study in made.items()}
    return paths | {"several": rs.report([made["everything"], made["hostile"]], folder / "several.html")}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tools:
        found = tools.chromium.launch(executable_path=PROGRAM, args=QUIET)
        yield found
        found.close()


def opened(browser, path, width=1200, scheme="light"):
    """Return the page, all of it unfolded, and what it said and asked for."""
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}") or dialog.dismiss())
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    return page, said, [url for url in asked if not url.startswith(("data:", path.as_uri()))]


NAMES = ("everything", "hostile", "single", "scalars", "many", "several")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 800, 390])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_and_can_be_read(pages, browser, name, width, scheme):
    page, said, asked = opened(browser, pages[name], width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(SMALL) == []
    assert page.evaluate(CONTRAST) == []
    assert (said, asked) == ([], [])
    page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_passes_checks_of_accessibility(pages, browser, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    for scheme in ("light", "dark"):
        page, *_ = opened(browser, pages[name], 800, scheme)
        page.evaluate("document.querySelector('meta[http-equiv]').remove()")
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
        page.context.close()


def test_the_keyboard_reaches_every_control(pages, browser):
    page, *_ = opened(browser, pages["everything"])
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, summary, [tabindex]')]"
        ".filter(one => one.checkVisibility()).length"
    )
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") in ("solid", "auto", "none")
    assert len(reached) >= wanted
    page.context.close()


def test_tables_are_sorted_filtered_and_copied(pages, browser):
    page, *_ = opened(browser, pages["many"])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    table = page.locator("#every-run-table1")
    table.get_by_role("button", name="accuracy test").click()
    cells = table.locator("tbody tr td.number[data-value]:nth-child(3)").evaluate_all(
        "found => found.map(one => Number(one.dataset.value))"
    )
    assert len(cells) == 500
    assert cells == sorted(cells)
    page.locator("[data-filters=every-run-table1]").fill("lr 0.123")
    assert table.locator("tbody tr:visible").count() == 1
    page.locator("#variance").get_by_role("button", name="Copy LaTeX").first.click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("\\begin{table}")
    page.locator("#variance").get_by_role("button", name="Copy BibTeX").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("@inproceedings{jordan2024variance,")
    page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_printed_page_begins_with_the_answers(pages, browser, tmp_path, name):
    page, *_ = opened(browser, pages[name])
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 700, "height": 990})
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.locator("#summary").bounding_box()["y"] < 300
    assert page.evaluate(CONTRAST) == []
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    page.context.close()


def test_a_page_of_500_runs_is_small(pages):
    assert pages["many"].stat().st_size < 1e6


def test_the_page_of_all_methods_answers_every_question(pages):
    text = pages["everything"].read_text()
    for key in ("accuracy", "configurations", "variance", "audit", "trimming", "dynamics", "ensemble", "spectra"):
        assert f'<section id="{key}"' in text, key
    assert "Not answered" not in text
