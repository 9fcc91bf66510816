"""The command line: output, JSON, exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import COMMANDS, cli, first_line, main
from tests.factories import make_study


@pytest.fixture
def invoke():
    def run(*words):
        return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)

    return run


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("cli") / "study")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(invoke, name):
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_every_module_with_a_command_is_one():
    folder = Path(rs.__file__).parent / "_cli"
    there = {
        file.stem.strip("_")
        for file in folder.glob("*.py")
        if re.search(r"^def command\(", file.read_text(), re.MULTILINE)
    }
    assert {name.replace("-", "_") for name in COMMANDS} == {name.rstrip("_") for name in there}
    assert len(COMMANDS) == len(there)


def test_help_lists_every_command_without_importing_any():
    code = (
        "import sys; from runspread._cli import cli; cli.main(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert all(name in output for name in COMMANDS)
    assert not [name for name in ("numpy", "torch", "rich", "matplotlib") if f" {name} " in output]


def test_info(invoke, study):
    result = invoke("info", study.path, "--runs", 2)
    assert result.exit_code == 0
    assert "completed 6" in result.output
    assert study.runs[1].id in result.output
    assert "and 4 more" in result.output
    assert study.runs[2].id not in result.output


def test_info_json(invoke, study):
    facts = json.loads(invoke("info", study.path, "--json", "--runs", 2).output)
    assert facts["runs"] == 6
    assert facts["table"]["run"] == list(study.runs.ids)
    assert facts["accuracy"]["test"]["runs"] == 6


def test_info_of_one_run_has_no_standard_deviation(invoke, tmp_path):
    study = make_study(tmp_path / "study", runs=1)
    assert "sd" not in json.loads(invoke("info", study.path, "--json").output)["accuracy"]["test"]
    assert "nan" not in invoke("info", study.path).output


def test_info_lists_splits_in_one_order(tmp_path):
    splits = {name: np.arange(6) % 2 for name in ("train", "dev", "test", "shifted")}
    study = rs.create_study(tmp_path / "study", splits=splits)
    with study.record(seeds=0) as run:
        for name in splits:
            run.predictions(name, np.eye(6)[:, :2])
    code = f"from runspread._cli import cli; cli.main(['info', {str(study.path)!r}], standalone_mode=False)"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in "123"
    }
    assert len(outputs) == 1


def test_verify_says_yes_and_no(invoke, tmp_path):
    study = make_study(tmp_path / "study")
    assert invoke("verify", study.path).exit_code == 0
    shard = next((study.path / "shards").iterdir())
    (shard / "weights.safetensors").write_bytes(b"")
    result = invoke("verify", study.path)
    assert result.exit_code == 1
    assert shard.name in result.output


@pytest.mark.parametrize("content", [None, b"cut"])
def test_verify_names_lost_labels(invoke, tmp_path, content):
    study = make_study(tmp_path / "study")
    path = study.path / "labels.safetensors"
    path.unlink() if content is None else path.write_bytes(content)
    result = invoke("verify", study.path)
    assert result.exit_code == 1
    assert "labels.safetensors is corrupt" in result.output
    assert "All 6 shards" in result.output


def test_audit_of_one_run_cannot_answer(invoke, tmp_path):
    result = invoke("audit", make_study(tmp_path / "study", runs=1).path)
    assert result.exit_code == 2
    assert "One run cannot tell" in result.output


def test_recipes(invoke):
    assert "digits-mlp" in invoke("recipes").output
    assert "batch_size" in invoke("recipes", "digits-mlp").output
    assert invoke("recipes", "digits-mpl").exit_code == 2


def test_variance(invoke, study):
    result = invoke("variance", study.path, "--json")
    assert result.exit_code == 0
    assert {"var_test", "var_dist", "var_ind"} <= json.loads(result.output).keys()


def test_report(invoke, study, tmp_path):
    target = tmp_path / "page.html"
    result = invoke("report", study.path, "-o", target)
    assert result.output == f"wrote {target}\n"
    assert target.read_text().startswith("<!doctype html>")


def test_report_names_sections_that_are_not_available(invoke, tmp_path):
    study = make_study(tmp_path / "study", runs=1)
    result = invoke("report", study.path)
    assert result.exit_code == 0
    assert "not available: Typical runs: got 1 run. Expected at least two" in result.stderr
    path = next((study.path / "shards").iterdir()) / "predictions.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    (study.path / "report.html").unlink()
    result = invoke("report", study.path)
    assert result.exit_code == 2
    assert "Variance" in result.stderr
    assert "predictions.safetensors cannot be read" in result.stderr
    assert "Not available: " in (study.path / "report.html").read_text()


@pytest.mark.parametrize("command", ["info", "verify", "variance", "report"])
def test_no_study_is_exit_status_2(command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "runspread", command, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "holds no study" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_split_is_exit_status_2(invoke, study):
    result = invoke("variance", study.path, "--split", "validation")
    assert result.exit_code == 2
    assert "Expected one of: split 'test'" in result.output


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (EOFError("a file ends too early"), 2),
        (ZeroDivisionError("a defect"), 2),
        (BrokenPipeError(32, "Broken pipe"), 2),
        (click.BadParameter("a parameter"), 2),
        (SystemExit(1), 1),
    ],
)
def test_only_an_answer_is_exit_status_1(monkeypatch, capfd, error, status):
    from runspread._cli.same import command

    def fail(**_):
        raise error

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(command, "callback", fail)
    monkeypatch.setattr(sys, "argv", ["runspread", "same", "old", "new"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == status
    assert "Aborted!" not in capfd.readouterr().err


@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["same", "--help"], 0), (["same", "old"], 2)])
def test_usage_keeps_its_exit_status(words, status):
    done = subprocess.run([sys.executable, "-m", "runspread", *words], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("Usage: " in done.stderr) == (status == 2)


def options():
    return [
        pytest.param(name, option, id=f"{name} {option.opts[0]}")
        for name in COMMANDS
        for option in cli.get_command(click.Context(cli), name).params
        if isinstance(option, click.Option)
    ]


@pytest.mark.parametrize(("name", "option"), options())
def test_the_help_of_an_option_is_a_whole_phrase(name, option):
    assert option.help, name
    assert option.help[0].isupper() or option.help[0] == "-"
    assert option.help.endswith((".", "]"))
    assert not option.help.startswith(("Of ", "Also set", "Else"))


def test_one_line_says_what_a_command_does_in_its_help_and_in_the_list():
    listed = " ".join(CliRunner().invoke(cli, ["--help"]).output.split())
    for name in COMMANDS:
        line = cli.get_command(click.Context(cli), name).help.splitlines()[0]
        assert first_line(name) == line
        assert f"{name} {line}" in listed
        assert len(line) <= 110


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        *(("trimming", each) for each in ("reference", "resample", "mode", "margin")),
        ("same", "margin"),
        ("ensemble", "objective"),
        *(("dynamics", each) for each in ("covariance", "preset", "diverged", "standardize")),
        ("train", "executor"),
    ],
)
def test_an_option_with_few_values_lists_them_and_refuses_others(name, parameter):
    option = next(each for each in cli.get_command(click.Context(cli), name).params if each.name == parameter)
    assert isinstance(option.type, click.Choice)
    refused = CliRunner().invoke(cli, [name, *["x"] * (1 + (name == "same")), option.opts[0], "nonsense"])
    assert refused.exit_code == 2
    assert all(str(choice) in refused.output for choice in option.type.choices)
