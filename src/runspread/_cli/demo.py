"""``runspread demo``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .printing import say
from .progress import duration, training_progress
from .targets import target_folder

if TYPE_CHECKING:
    from .._report.sections import Section

# Small enough for a minute, hard enough that runs differ: plain SGD from a small initialisation, at a rate that finds
# its way late and at one that finds it early; a validation split to choose an ensemble on; the weights' metrics.
RECIPE: dict[str, Any] = {
    "hidden": (64, 64),
    "init": "torch",
    "optimizer": "sgd",
    "momentum": 0.9,
    "epochs": 40,
    "record": "2 epochs",
    "weight_metrics": True,
    "test_examples": 500,
    "validation": 400,
    "evaluate": ("test", "validation"),
}
RATES = [0.02, 0.1]
QUESTIONS = {  # what each of the five methods answers, by the section of the report that does
    "Variance of training": "How much of the spread between runs is real?",
    "Typical runs": "Which runs are typical?",
    "Weight spectra": "Does a metric of the weights track accuracy?",
    "Training dynamics": "Why are some runs slow?",
    "The best ensemble": "What is the best ensemble of these runs?",
}


@click.command("demo", epilog="Example: runspread demo --runs 8 --out small-demo")
@click.option(
    "-o",
    "--out",
    default="runspread-demo",
    show_default=True,
    type=target_folder,
    help="Folder of the new study.",
)
@click.option("--runs", type=click.IntRange(min=2), default=48, show_default=True, help="Number of networks to train.")
def command(out: str, runs: int) -> None:
    """Train 48 small networks on digits, ask all five methods about them, and write report.html.

    Half of the networks have one learning rate, half another. Nothing is downloaded: the digits come with scikit-learn.
    Run again, the command only analyses.
    """
    import runspread as rs

    from .._report.page import write_page
    from .._report.sections import build_sections

    started = time.perf_counter()
    with training_progress() as progress:
        study = rs.train(rs.recipe("digits-mlp", **RECIPE), runs=runs, search={"lr": RATES}, out=out, progress=progress)
    say(f"{len(study.runs)} runs in {study.path} ({duration(time.perf_counter() - started)}); analysing them ...")
    sections = build_sections(study)
    page = write_page(study, sections)
    _answer(sections)
    say(f"\nEverything is on one page: {page} ({duration(time.perf_counter() - started)} in all)")
    _advise(out)


def _answer(sections: Sequence[Section]) -> None:
    """Print the answer of each method, under its question."""
    leads = {section.title: section.lead for section in sections}
    for title, question in QUESTIONS.items():
        click.secho(f"\n{question}", bold=True)
        say(leads.get(title, "Not available."))


def _advise(out: str) -> None:
    slow, fast = RATES
    say("\nThree commands to try next:")
    say(f"  runspread compare {out} --by lr                          # is {fast} better than {slow}?")
    say(f"  runspread paradox {out} --by lr                          # what tracks accuracy, and what only the rate?")
    say(f"  runspread plan {out} --where lr={fast} --gap 1             # how many runs does one point take?")
