"""The page of the format says what is on disk, and one module alone knows it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

import runspread as rs
from runspread._reading.plain_files import sealed
from runspread.studies import layout

from .keeping import write_everything

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "format.md").read_text()
PACKAGE = Path(rs.__file__).parent
FOLDERS = {layout.SHARDS, layout.CACHE, layout.DAMAGED, layout.DIGESTS}
FILES = {v for k, v in vars(layout).items() if k.isupper() and isinstance(v, str)} - FOLDERS - {layout.STUDY_FORMAT}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Cells of the tables in a text, without headings."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    rules = {number for number, row in enumerate(cells) if set("".join(row)) == {"-"}}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def keys_of(before: str) -> list[str]:
    """Keys in the first table after a text."""
    table = section("JSON files").partition(before)[2].lstrip("\n ").partition("|")[1:]
    return [row[0].strip("`") for row in rows("".join(table).partition("\n\n")[0])]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that uses all of the format."""
    folder = tmp_path_factory.mktemp("format") / "study"
    write_everything(folder)
    return folder


# ------------------------------------------------------------------ the page and the code


def test_the_page_draws_every_file_and_no_other():
    drawn = re.findall(r"^ +(\S+)  +\S", section("A study").partition("```")[2].partition("```")[0], re.MULTILINE)
    expected = [*FILES, f"{layout.CACHE}/", f"{layout.DAMAGED}/", f"{layout.SHARDS}/<id>/", f"{layout.DIGESTS}/<id>/"]
    assert sorted(drawn) == sorted(expected)


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        (f"`{layout.STUDY}`:", layout.StudyMetadata),
        (f"`{layout.SHARD}`;", layout.ShardMetadata),
        ("Each of its `runs`:", layout.RunMetadata),
        ("`digest.json`, in `digests/<id>/`:", layout.DigestMetadata),
    ],
)
def test_the_page_lists_every_key_in_order(before, kind):
    assert keys_of(before) == [field.name for field in msgspec.structs.fields(kind)]


def test_the_page_lists_every_version():
    assert [row[0] for row in rows(section("Versions"))] == [str(k) for k in range(1, layout.FORMAT_VERSION + 1)]


def names_on_the_page() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    file = ""
    for row in rows(section("Arrays")):
        file = row[0].strip("`") or file
        found.setdefault(file, []).append(row[1].strip("`"))
    return found


def pattern(name: str) -> str:
    """Regular expression of an array's name on the page."""
    text = re.escape(name).replace(r"\[@<step>\]", r"(@\d+)?").replace("<step>", r"\d+")
    return re.sub("<[a-z]+>", r"[^/@]+", text)


def test_arrays_are_called_as_the_page_says(everything):
    written: dict[str, set[str]] = {}
    for path in everything.rglob("*.safetensors"):
        written.setdefault(path.name, set()).update(load_file(path))
    listed = names_on_the_page()
    assert written.keys() == listed.keys()
    for file, names in written.items():
        patterns = [pattern(name) for name in listed[file]]
        assert [name for name in names if not any(re.fullmatch(one, name) for one in patterns)] == [], file
        assert [one for one in patterns if not any(re.fullmatch(one, name) for name in names)] == [], file


def test_files_hold_the_keys_that_the_page_lists(everything):
    shard = json.loads(next(everything.rglob(layout.SHARD)).read_text())
    assert list(json.loads((everything / layout.STUDY).read_text())) == keys_of(f"`{layout.STUDY}`:")
    assert list(shard) == keys_of(f"`{layout.SHARD}`;")
    assert list(shard["runs"][0]) == keys_of("Each of its `runs`:")
    assert shard["version"] == layout.FORMAT_VERSION


def test_the_page_has_every_file_that_is_written(everything):
    there = {path.name for path in everything.rglob("*") if path.is_file()}
    assert there == FILES - {layout.PLAN_OF_LOOKS, layout.REPORT}
    assert rs.report(rs.open_study(everything)).name == layout.REPORT


def test_no_other_module_names_files_of_a_study():
    """Prose may."""
    names = FILES | FOLDERS
    own = {PACKAGE / "studies" / "layout.py", PACKAGE / "training" / "ensembles" / "saved.py"}  # of an ensemble
    found: set[tuple[str, str]] = set()
    for path in {*PACKAGE.rglob("*.py")} - own:
        texts = [n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)]
        for text in texts:
            if isinstance(text, str) and not re.search(r"\s", text):
                found |= {
                    (path.name, part) for part in text.split("/") if part.removeprefix(".") in names or part in names
                }
    assert found == {("cache.py", ".cache")}  # of the user


# ------------------------------------------------------------------ versions


def test_a_shard_says_the_oldest_version_that_has_what_it_uses(tmp_path):
    study = rs.create_study(tmp_path / "s", splits={"test": np.arange(4) % 2})
    with study.record(seeds=0) as run:
        run.predictions("test", np.random.default_rng(0).normal(size=(4, 2)))
    assert json.loads(next(study.path.rglob(layout.SHARD)).read_text())["version"] == 1


def test_what_is_older_is_migrated_step_by_step(monkeypatch):
    def seeds_by_role(content: dict[str, Any]) -> dict[str, Any]:
        return content | {"splits": [*content["splits"], "from 1"]}

    def another(content: dict[str, Any]) -> dict[str, Any]:
        return content | {"splits": [*content["splits"], "from 2"]}

    monkeypatch.setattr(layout, "FORMAT_VERSION", 3)
    monkeypatch.setitem(layout.MIGRATIONS, (layout.StudyMetadata, 1), seeds_by_role)
    monkeypatch.setitem(layout.MIGRATIONS, (layout.StudyMetadata, 2), another)
    for version, expected in ((1, ("test", "from 1", "from 2")), (2, ("test", "from 2")), (3, ("test",))):
        data = sealed(json.dumps({"version": version, "splits": ["test"]}).encode())
        assert layout.decoded(data, layout.StudyMetadata, Path("study.json")).splits == expected


def test_an_old_shard_is_migrated_when_it_is_opened(tmp_path, monkeypatch):
    """On disk it stays as it is."""
    old = Path(__file__).parents[1] / "data" / "studies" / "v1" / "recorded"
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}

    def of_version_2(content: dict[str, Any]) -> dict[str, Any]:
        return content | {"runs": [run | {"hyperparameters": {"migrated": True}} for run in content["runs"]]}

    monkeypatch.setitem(layout.MIGRATIONS, (layout.ShardMetadata, 1), of_version_2)
    assert {run.hyperparameters["migrated"] for run in rs.open_study(old).runs} == {True}
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", [layout.STUDY, layout.SHARD])
def test_a_version_that_is_not_known_yet_is_refused(everything, tmp_path, name):
    import shutil

    study = shutil.copytree(everything, tmp_path / "newer")
    path = next(study.rglob(name))
    path.write_text(path.read_text().replace('"version": ', '"version": 9', 1))
    with pytest.raises(rs.errors.FormatVersionError, match=rf"{name} has format version 9\d. Expected at most"):
        rs.open_study(study)
