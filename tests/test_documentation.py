"""What README and docs say is true: their code runs, their commands parse, their names and paths exist."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import warnings
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

import runspread as rs
from runspread._cli import COMMANDS, cli

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
SINGLE = ("start", "quickstart", "peers", "cheat-sheet")
GUIDES = [*(DOCS / f"{name}.md" for name in SINGLE), *sorted((DOCS / "how-to").glob("*.md"))]
EXECUTED = [DOCS / "gallery.md", *sorted((DOCS / "notebooks").glob("*.md"))]  # whenever the documentation is built
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = {  # the same calls, made small enough for a test
    r"epochs=10, hidden=\(128,\)\), runs=64": "epochs=1, hidden=(8,)), runs=4",
    r"range\(32\)": "range(4)",
    r"integers\(10, ": "integers(4, ",  # classes: the report compares runs on each
    r"1000, 10\)": "1000, 4)",
    r"\b1000\b": "200",
    r"\b16\b": "6",
    r'"digits-mlp", until': 'rs.recipe("digits-mlp", epochs=1), until',
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of a page's blocks; one without a language is a terminal."""
    return BLOCK.findall(page.read_text())


def commands(text: str) -> list[list[str]]:
    """Return the words of each line that calls runspread."""
    lines = [line for line in text.splitlines() if line.startswith("runspread ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def run_python(text: str, names: dict[str, object]) -> None:
    for long, short in SMALL.items():
        text = re.sub(long, short, text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rs.errors.RunspreadWarning)
        exec(compile(text, "<page>", "exec"), names)


@pytest.fixture
def no_windows():
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_block_of_a_guide_runs(page, tmp_path, monkeypatch, no_windows):
    """In the order of the page, in one folder: what a reader does who copies all of it."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}  # dataclasses look their module up
    ran = 0
    for language, text in blocks(page):
        if language == "python":
            run_python(text, names)
            ran += 1
        skipped = language or page.stem == "cheat-sheet"  # whose commands are about runs of the reader's
        for words in commands(text) if not skipped else ():
            done = CliRunner().invoke(cli, words)
            assert done.exit_code in (0, 1, 3), (words, done.output, done.exception)
            assert done.exception is None or isinstance(done.exception, SystemExit), words
            ran += 1
    assert ran


def executed():
    spec = importlib.util.spec_from_file_location("executed", DOCS / "executed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_blocks_print_and_draw_stands_under_them(tmp_path, no_windows):
    page = "Look:\n\n```python\nimport matplotlib.pyplot as plt\n\nprint(6 * 7)\nplt.plot([1, 2])\n```\n\nSo.\n"
    (tmp_path / "notebooks").mkdir()
    written = executed().with_outputs(page, "notebooks/one", tmp_path)
    assert written.startswith(page[: page.index("\n\nSo")])
    assert "```text\n42\n```" in written
    drawing = re.search(r"!\[[^]]+\]\(([^)]+)\)", written)
    assert drawing is not None
    assert (tmp_path / "notebooks" / drawing[1]).read_bytes().startswith(b"\x89PNG")
    cells = json.loads((tmp_path / "_made" / "one.ipynb").read_text())["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "markdown"]
    assert [output["output_type"] for output in cells[1]["outputs"]] == ["stream", "display_data"]
    with pytest.raises(ZeroDivisionError):
        executed().with_outputs("```python\n1 / 0\n```\n", "gallery", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_every_block_that_is_executed_when_the_documentation_is_built_runs(page, tmp_path):
    name = page.relative_to(DOCS).with_suffix("").as_posix()
    assert "![" in executed().with_outputs(page.read_text(), name, tmp_path)


def test_every_plot_is_in_the_gallery_in_at_most_ten_lines():
    gallery = (DOCS / "gallery.md").read_text()
    assert [name for name in rs.plots.__all__ if not re.search(rf"\b{name}\b", gallery)] == []
    long = [text for language, text in blocks(DOCS / "gallery.md") if len([*filter(None, text.splitlines())]) > 11]
    assert long == []


def test_figures_of_simulations_that_are_quoted_are_those_that_were_printed():
    """After `studies/simulate.py --write` the rows on the pages that explain the methods are to be copied again."""
    printed = (DOCS / "simulations.md").read_text().splitlines()
    quoted = [
        line
        for page in (DOCS / "explanation").glob("*.md")
        for line in page.read_text().splitlines()
        if re.search(r"\| (kept|assumption broken) \|$", line)
    ]
    assert len(quoted) >= 15
    assert [line for line in quoted if line not in printed] == []


def test_a_first_answer_takes_two_commands_or_ten_lines():
    """The page for newcomers; the block before the last of a section stands for what the reader has."""
    sections = (DOCS / "start.md").read_text().split("\n## ")[1:]
    asked = [section for section in sections if "```" in section]
    assert len(asked) >= 7
    for section in asked:
        language, text = BLOCK.findall(section)[-1]
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) <= (10 if language else 2), section.partition("\n")[0]


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, no_windows):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=90)
    logits = rng.normal(size=(6, 90, 3)) + np.eye(3)[labels]
    np.save("logits.npy", logits)
    np.save("labels.npy", labels)

    class Model(dict):
        def __call__(self, x):
            return x @ self["weight"]

    def train(seed, on_epoch):
        on_epoch(1, 0.5)
        return Model(weight=np.random.default_rng(seed).normal(size=(5, 3)))

    names = {"y_test": labels, "x_test": rng.normal(size=(90, 5)), "train": train, "logits": logits, "labels": labels}
    python = [text for language, text in blocks(REPOSITORY / "README.md") if language == "python"]
    assert len(python) == 3
    for text in python:
        run_python(text, names)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with what the commands of the README and of the helps are about."""
    folder = tmp_path_factory.mktemp("readme")
    rng, labels = np.random.default_rng(0), np.arange(120) % 4
    for name in ("a", "b", "old", "new", "init"):
        study = rs.create_study(folder / "runs" / name, splits={"test": labels})
        for seed in range(6):
            init, order = seed + 10 * (name == "init"), 0 if name == "init" else seed
            hyperparameters = {"lr": 0.1 + seed % 2}
            with study.record(seeds={"init": init, "order": order}, hyperparameters=hyperparameters) as run:
                for step in range(1, 13):
                    run.log(step, loss=1 / step + 0.01 * rng.random())
                run.predictions("test", 2 * np.eye(4)[labels] + rng.normal(size=(120, 4)))
    save_file({"fc.weight": np.random.default_rng(0).normal(size=(80, 90)).astype("f4")}, folder / "model.safetensors")
    (folder / "scores.csv").write_text(
        next(text for language, text in blocks(REPOSITORY / "README.md") if language == "csv")
    )
    rows = "".join(f"m{i},{2 + i % 2},{i % 7},0.{50 + i}\n" for i in range(20))
    version = folder / "lightning_logs" / "version_0"
    version.mkdir(parents=True)
    (version / "metrics.csv").write_text("epoch,step,val_loss\n0,7,1.0\n1,15,0.5\n")
    (folder / "sweep.csv").write_text("model,depth,alpha,test_accuracy\n" + rows)
    (folder / "results.tsv").write_text("name\tval_loss\tstatus\nstart\t3.3\tkeep\nwider\t3.2\tkeep\n")
    for name in ("old", "new"):
        (folder / "logs" / name).mkdir(parents=True)
        lines = [
            {
                "doc_id": i,
                "doc": {},
                "doc_hash": f"h{i}",
                "resps": [],
                "filter": "none",
                "metrics": ["acc"],
                "acc": right,
            }
            for i, right in enumerate(map(float, rng.random(40) < 0.7))
        ]
        log = folder / "logs" / name / "samples_reading_2026-01-01T00-00-00.jsonl"
        log.write_text("\n".join(map(json.dumps, lines)))
    return folder


def example_of(command: click.Command) -> str:
    """Return the example of a command's help, which a backslash may continue on a second line."""
    said = (command.epilog or "").removeprefix("\b\n")
    assert max(map(len, said.splitlines()), default=0) < 78
    return said.removeprefix("Example: ").replace("\\\n", "")


def examples(group: click.Group, path: str = "") -> list[tuple[str, list[str]]]:
    """Return every command with the example in its help."""
    context, found = click.Context(group), []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += examples(command, f"{path}{name} ")
        else:
            found.append((f"{path}{name}", shlex.split(example_of(command))))
    return found


EXAMPLES = dict(examples(cli))
TRAINS = ("demo", "train", "hyper-deep", "hyper-batch")


def test_every_help_has_an_example():
    assert [
        name for name, words in EXAMPLES.items() if " ".join(words[: 1 + len(name.split())]) != f"runspread {name}"
    ] == []


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in TRAINS and "gate " not in name])
def test_the_example_of_a_help_runs(shelf, monkeypatch, name):
    monkeypatch.chdir(shelf)
    done = CliRunner().invoke(cli, EXAMPLES[name][1:])
    assert done.exit_code in (0, 1, 3), done.output
    assert done.output


def test_the_examples_of_gate_run_one_after_another(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.tsv").write_bytes((shelf / "results.tsv").read_bytes())
    start, wider = "gate try start --value 3.5", 'gate try "wider mlp" --value 3.4'
    between = {"void": [start], "try": [start, start], "status": [wider]}
    between["merge"] = [f"gate init --metric val_loss --ledger {name}.jsonl" for name in "ab"]
    order = ["init", "void", "try", "status", "keep?", "next-seed", "report", "certify", "merge", "import"]
    assert sorted(f"gate {name}" for name in order) == sorted(name for name in EXAMPLES if "gate " in name)
    for name in order:
        for words in (*map(shlex.split, between.get(name, ())), EXAMPLES[f"gate {name}"][1:]):
            done = CliRunner().invoke(cli, words)
            assert done.exit_code in (0, 1, 3), (name, words, done.output)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINS)
def test_the_example_of_a_help_that_trains_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, EXAMPLES[name][1:])
    assert done.exit_code == 0, done.output


README = [
    words for language, text in blocks(REPOSITORY / "README.md") if not language for words in commands(text) if words
]
TAKES_LONGER = ("train", "ensemble", "dynamics", "sources")  # what is trained by runspread, and tested elsewhere


@pytest.mark.parametrize("words", [words for words in README if words[0] not in TAKES_LONGER], ids=" ".join)
def test_the_commands_of_the_readme_run(shelf, monkeypatch, words):
    monkeypatch.chdir(shelf)
    known = (Path(words[1]) / "study.json").exists() or Path(words[1]).is_file() if len(words) > 1 else True
    known = known or words[0] == "import"
    if not known:
        pytest.skip(f"{words[1]} is made by a command that trains")
    done = CliRunner().invoke(cli, words)
    assert done.exit_code in (0, 1, 3), done.output


def test_the_first_example_of_the_readme_prints_what_it_says(shelf, monkeypatch, no_windows):
    """A table of scores, one command: the sentence and the LaTeX table that are printed there, and a figure."""
    monkeypatch.chdir(shelf)
    done = CliRunner().invoke(cli, README[0])
    assert README[0][:2] == ["compare", "scores.csv"]
    assert done.exit_code == 0
    assert done.output == next(text for language, text in blocks(REPOSITORY / "README.md") if language == "latex")
    assert (shelf / "scores.png").stat().st_size > 1000


def written_commands() -> list[tuple[str, list[str]]]:
    pages = [REPOSITORY / "README.md", *DOCS.rglob("*.md")]
    found = []
    for page in pages:
        text = page.read_text()
        lines = [words for language, block in BLOCK.findall(text) if not language for words in commands(block)]
        inline = [shlex.split(line)[1:] for line in re.findall(r"`(runspread [^`]*)`", text) if " -- " not in line]
        found += [(page.name, words) for words in [*lines, *inline]]
    return found


@pytest.mark.parametrize(("page", "words"), written_commands(), ids=lambda value: " ".join(value)[:60])
def test_every_command_that_is_written_down_exists(page, words):
    """Name and options; a value may be left open (``...``)."""
    if not words or words[0].isupper():
        return
    if words[0].startswith("-"):
        assert words[0] in ("--help", "--version")
        return
    assert words[0] in COMMANDS, page
    command = cli.get_command(click.Context(cli), words[0])
    if (
        isinstance(command, click.Group) and words[1:] and words[1][0] not in "-["
    ):  # a command of a command, such as gate try
        assert words[1] in command.commands, page
        command = command.commands[words[1]]
    words = words[: words.index("--")] if "--" in words else words  # what follows is another's command
    known = {name for option in command.params for name in option.opts} | {"--help", "-h"}
    options = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
    assert options <= known, (page, options - known)


def test_every_command_is_in_the_readme_or_the_reference():
    told = (REPOSITORY / "README.md").read_text() + (DOCS / "reference" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"runspread {name}" not in told] == []


def test_what_follows_from_the_code_is_up_to_date():
    spec = importlib.util.spec_from_file_location("derived", DOCS / "derived.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stale = [file.name for file, text in module.DERIVED.items() if file.read_text() != text()]
    assert stale == [], "run: python docs/derived.py"


def test_links_between_pages_lead_somewhere():
    pages = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *DOCS.glob("*.md"), *DOCS.glob("*/*.md")]
    lost = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert lost == []


def test_every_page_is_in_the_index():
    listed = (DOCS / "index.md").read_text()
    pages = [page.relative_to(DOCS).with_suffix("") for page in (*DOCS.glob("*.md"), *DOCS.glob("*/*.md"))]
    assert [
        str(page) for page in pages if page.parts[0] not in ("_build", "index") and f"\n{page}\n" not in listed
    ] == []


def test_every_path_in_the_architecture_exists():
    """Files and folders of the package, and tests, wherever they are named."""
    root = Path(rs.__file__).parent
    text = (DOCS / "architecture.md").read_text()
    named = set(re.findall(r"`([\w/<>]+(?:/|\.pyi?|\.md))`", text))
    here = [path.relative_to(root).as_posix() for path in (*root.rglob("*.py"), *root.rglob("*.pyi"))]
    folders = {str(Path(path).parent) + "/" for path in here}

    def exists(name: str) -> bool:
        if "<" in name or (REPOSITORY / name).exists():
            return True
        return any(path == name or path.endswith(f"/{name}") for path in (*here, *folders))

    assert sorted(name for name in named if not exists(name)) == []


def test_the_changelog_begins_with_this_version_or_what_is_not_released():
    first = re.search(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == "Unreleased" if "dev" in rs.__version__ else first[1].startswith(rs.__version__)


def test_the_cheat_sheet_is_one_page_of_pdf(tmp_path):
    spec = importlib.util.spec_from_file_location("printed", DOCS / "printed.py")
    printed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(printed)
    printed.draw(DOCS / "cheat-sheet.md", tmp_path / "sheet.pdf")
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")
    said = "\n".join(text for line in printed.laid_out((DOCS / "cheat-sheet.md").read_text()) for _, text, _ in line)
    assert "runspread plan runs/a --gap 1" in said
    assert not re.search(r"[`<]|\*\*", said)
    (tmp_path / "long.md").write_text("a line\n\n" * 60)
    with pytest.raises(ValueError, match="no longer fits"):
        printed.draw(tmp_path / "long.md", tmp_path / "long.pdf")
