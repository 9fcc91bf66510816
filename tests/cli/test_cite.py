"""`runspread cite`: BibTeX of methods, and of results that lie in files."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._papers import METHODS, PAPERS, papers_of
from tests.factories import make_study


def cite(*what):
    return CliRunner().invoke(cli, ["cite", *map(str, what)])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_entries_that_are_closed(method):
    text = cite(method).output
    assert re.findall(r"@\w+{(\w+),", text) == [*METHODS[method], "runspread"]
    assert text.count("{") == text.count("}")
    assert all(paper.url.startswith("https://") for paper in papers_of(method))


def test_every_paper_is_cited_by_a_method():
    assert {key for keys in METHODS.values() for key in keys} == set(PAPERS)


@pytest.mark.parametrize("method", ["variance", "audit", "calibration"])
def test_a_result_in_a_file_is_known_by_its_keys(tmp_path, method):
    result = getattr(rs, method)(make_study(tmp_path / "study"))
    (tmp_path / "result.json").write_text(result.to_json())
    assert cite(tmp_path / "result.json").output == result.bibtex()


def test_what_is_no_result_and_no_method_is_refused(tmp_path):
    (tmp_path / "other.json").write_text('{"a": 1}')
    assert "has the keys of no result" in cite(tmp_path / "other.json").output
    (tmp_path / "list.json").write_text("[]")
    assert "holds no result" in cite(tmp_path / "list.json").output
    assert "variance" in cite("varianc").output
